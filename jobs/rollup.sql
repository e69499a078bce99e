-- errors: what the errors of a file come to per bucket and series
select make_timestamptz(epoch_us("timestamp") // {size} * {size}) as bucket, source, error_type, severity,
    workflow_id, project_id, fingerprint, sum(stands_for)::bigint as errors, max("timestamp") as last_seen
from {parts}
group by all;

-- executions: what the trials of a file come to per bucket and series
select make_timestamptz(epoch_us("timestamp") // {size} * {size}) as bucket, source, project_id, workflow_id,
    sum(finished)::bigint as finished, sum(failed)::bigint as failed
from {parts}
group by all;

-- derived_errors: what a rollup of errors per hour comes to in longer buckets, or by fewer columns
select make_timestamptz(epoch_us(bucket) // {size} * {size}) as bucket, {keys}, sum(errors)::bigint as errors,
    max(last_seen) as last_seen
from ({hours})
group by all;

-- derived_executions: the same for trials
select make_timestamptz(epoch_us(bucket) // {size} * {size}) as bucket, {keys}, sum(finished)::bigint as finished,
    sum(failed)::bigint as failed
from ({hours})
group by all;

-- together_errors: rollups of several files as one
select bucket, source, error_type, severity, workflow_id, project_id, fingerprint, sum(errors)::bigint as errors,
    max(last_seen) as last_seen
from ({selects})
where not ({without})
group by all;

-- together_executions: the same for trials
select bucket, source, project_id, workflow_id, sum(finished)::bigint as finished, sum(failed)::bigint as failed
from ({selects})
where not ({without})
group by all;

-- rows: how many rows a file has
select count(*) from {parts};

-- write: a rollup as a file
copy (select * from ({select}) order by {order}) to {path} (
    format parquet, compression zstd, compression_level 3, row_group_size 32768, kv_metadata {footer}
);

-- differences: how many rows of either the other lacks
with told as (
    select {columns} from ({left})
), counted as (
    select {columns} from ({right})
)
select (select count(*) from (from told except all from counted))
    + (select count(*) from (from counted except all from told));

-- all_of: every value of a rollup
select bit_xor(hash(told)) from ({told}) as told;

-- readable: rollups as they are
select {columns} from read_parquet({rollups}, hive_partitioning = false);
