-- total: how many errors or trials a rollup tells of
select coalesce(sum({measure}), 0)::bigint from ({select});
