-- applied_versions: the migrations that this database has had
select version from meshhook_errors.schema_migrations;

-- strays: rows for which no daily partition stood ready
select (select count(*) from only error_metrics_default) + (select count(*) from only execution_metrics_default);

-- mirror_lag: seconds that the oldest unpublished error has waited
select extract(epoch from now() - received_at)::float8 from error_metrics
where xact_id >= %(watermark)s::text::xid8 order by xact_id limit 1;

-- last_seen: the newest sign of life of a component
select max(seen_at) from components where component = %(component)s;
