-- errors_rows: errors of files, one row each
select epoch_us("timestamp") as moment, source, error_type, severity, workflow_id, project_id, fingerprint,
    stands_for as errors, "timestamp" as last_seen
from {parts}
where "timestamp" >= {start} and "timestamp" < {end};

-- errors_rollup: errors of rollups, one row for each bucket and series
select epoch_us(bucket) as moment, source, error_type, severity, workflow_id, project_id, fingerprint, errors, last_seen
from {parts}
where bucket >= {start} and bucket < {end};

-- errors_outline: errors of outlines, which know neither workflows nor groups
select epoch_us(bucket) as moment, source, error_type, severity, null::text as workflow_id, project_id,
    null::text as fingerprint, errors, last_seen
from {parts}
where bucket >= {start} and bucket < {end};

-- executions_rows: trials of files
select epoch_us("timestamp") as moment, source, project_id, workflow_id, finished, failed
from {parts}
where "timestamp" >= {start} and "timestamp" < {end};

-- executions_rollup: trials of rollups
select epoch_us(bucket) as moment, source, project_id, workflow_id, finished, failed
from {parts}
where bucket >= {start} and bucket < {end};

-- executions_outline: trials of outlines
select epoch_us(bucket) as moment, source, project_id, null::text as workflow_id, finished, failed
from {parts}
where bucket >= {start} and bucket < {end};

-- rollups: rollups as they are
read_parquet({paths}, hive_partitioning = false);
