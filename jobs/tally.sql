-- position: the watermark, and the horizon below which every transaction has ended
select watermark.xact_id::text::bigint, numbered(pg_snapshot_xmin(pg_current_snapshot()))::text::bigint,
    watermark.system_identifier
from tally_watermark watermark
for update;

-- start_at_zero: the first watermark; everything is still to be folded in
insert into tally_watermark (xact_id, system_identifier) values ('0', %(system_identifier)s)
on conflict do nothing;

-- cut: the transaction in which row number `rows` of either fact stands, null where fewer wait
select least(
    (select xact_id from error_metrics
     where xact_id >= %(watermark)s::text::xid8 and xact_id < %(horizon)s::text::xid8
     order by xact_id offset %(rows)s limit 1),
    (select xact_id from execution_metrics
     where xact_id >= %(watermark)s::text::xid8 and xact_id < %(horizon)s::text::xid8
     order by xact_id offset %(rows)s limit 1)
)::text::bigint;

-- fold_errors: add the rows between watermark and horizon to the rollup; answers the touched series' new totals
insert into error_counts as kept (bucket, project_id, workflow_id, source, error_type, severity, fingerprint, errors)
select date_bin('10 seconds', "timestamp", 'epoch'::timestamptz) as bucket,
    project_id, workflow_id, source, error_type, severity, fingerprint, sum(stands_for)
from error_metrics
where xact_id >= %(watermark)s::text::xid8 and xact_id < %(horizon)s::text::xid8
group by 1, 2, 3, 4, 5, 6, 7
on conflict on constraint error_counts_series do update set errors = kept.errors + excluded.errors
returning bucket, project_id, workflow_id, source, error_type, severity::text, fingerprint, errors;

-- fold_executions: the same for trials
insert into execution_counts as kept (bucket, project_id, workflow_id, source, finished, failed)
select date_bin('10 seconds', "timestamp", 'epoch'::timestamptz) as bucket,
    project_id, workflow_id, source, sum(finished), sum(failed)
from execution_metrics
where xact_id >= %(watermark)s::text::xid8 and xact_id < %(horizon)s::text::xid8
group by 1, 2, 3, 4
on conflict on constraint execution_counts_series do update
    set finished = kept.finished + excluded.finished, failed = kept.failed + excluded.failed
returning bucket, project_id, workflow_id, source, finished, failed;

-- move_watermark: from now on these rows are in the rollup
update tally_watermark set xact_id = %(horizon)s::text::xid8, updated_at = now();

-- pending_errors: what is visible above the horizon, in the rollup's shape
select date_bin('10 seconds', "timestamp", 'epoch'::timestamptz) as bucket,
    project_id, workflow_id, source, error_type, severity::text, fingerprint, sum(stands_for)::bigint as errors
from error_metrics
where xact_id >= %(horizon)s::text::xid8
group by 1, 2, 3, 4, 5, 6, 7;

-- pending_executions: the same for trials
select date_bin('10 seconds', "timestamp", 'epoch'::timestamptz) as bucket,
    project_id, workflow_id, source, sum(finished)::bigint as finished, sum(failed)::bigint as failed
from execution_metrics
where xact_id >= %(horizon)s::text::xid8
group by 1, 2, 3, 4;
