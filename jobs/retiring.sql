-- counted_errors: in DuckDB, how many errors the rows of some files stand for
select coalesce(sum(stands_for), 0)::bigint from {parts};

-- counted_executions: the same for trials
select coalesce(sum(finished), 0)::bigint from {parts};

-- is_here_errors: in Postgres, whether it still has errors of a day
select exists (
    select from error_metrics where "timestamp" >= %(day)s::date::timestamptz
        and "timestamp" < (%(day)s::date + 1)::timestamptz
);

-- is_here_executions: the same for trials
select exists (
    select from execution_metrics where "timestamp" >= %(day)s::date::timestamptz
        and "timestamp" < (%(day)s::date + 1)::timestamptz
);

-- note: what was retired, together with what was before
insert into retired_days as known (dataset, day, rows, counted)
values (%(dataset)s, %(day)s, %(rows)s, %(counted)s)
on conflict (dataset, day) do update
    set rows = known.rows + excluded.rows, counted = known.counted + excluded.counted, retired_at = now();
