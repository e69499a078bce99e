-- groups: what Postgres knows of each group of a lake
select fingerprint, any_value(title), min("timestamp"), max("timestamp"), count(*), any_value(source),
    any_value(error_type), any_value(severity), any_value(project_id), any_value(workflow_id)
from read_parquet($paths, hive_partitioning = false) group by fingerprint;

-- slice: the newest rows of a lake as text
copy (
    select error_id, "timestamp", source, error_type, severity, workflow_id, metadata, project_id, run_id, title,
        fingerprint, received_at, xact_id, stands_for
    from read_parquet({paths}, hive_partitioning = false) order by "timestamp" desc limit {rows}
) to '{path}' (format csv, header false);

-- keep: the rows of a slice into Postgres
copy error_metrics (error_id, "timestamp", source, error_type, severity, workflow_id, metadata, project_id, run_id,
    title, fingerprint, received_at, xact_id, stands_for) from stdin (format csv);

-- counted: up to where the tally has counted
insert into tally_watermark (xact_id, system_identifier) values (%(watermark)s::xid8, 'bench');

-- series: errors per hour and severity, as the overview asks Postgres
select date_bin('1 hour', "timestamp", '2000-01-01') as bucket, severity, sum(stands_for) from error_metrics
where "timestamp" >= %(start)s and "timestamp" < %(end)s group by 1, 2;

-- top: the groups with most errors
select fingerprint, sum(stands_for), max(severity), max("timestamp") from error_metrics
where "timestamp" >= %(start)s and "timestamp" < %(end)s group by 1 order by 2 desc limit 10;

-- newest: the latest errors
select error_id, "timestamp", source, severity, title, fingerprint from error_metrics
where "timestamp" >= %(start)s and "timestamp" < %(end)s order by "timestamp" desc, error_id desc limit 50;

-- size: the bytes of all errors with their indexes
select sum(pg_total_relation_size(inhrelid))::bigint from pg_inherits where inhparent = 'error_metrics'::regclass;

-- plain: the newest errors of one day by plain DuckDB
select error_id, "timestamp", source, error_type, severity, workflow_id, project_id, run_id, title, fingerprint,
    stands_for
from read_parquet($paths, hive_partitioning = false)
where "timestamp" >= $start and "timestamp" < $end order by "timestamp" desc, error_id desc limit 200;
