-- lake: rows of the lake's files with all columns
select {columns} from {parts}
where "timestamp" >= $start and "timestamp" < $end {filters};

-- postgres_errors: errors that the lake doesn't have yet, in the columns of the lake
select error_id::text, "timestamp", source, error_type, severity::text, workflow_id::text, metadata::text,
    project_id::text, run_id::text, title, fingerprint, received_at, xact_id::text::bigint, stands_for
from error_metrics
where xact_id >= %(watermark)s::text::xid8 and "timestamp" >= %(start)s and "timestamp" < %(end)s {filters};

-- postgres_executions: trials that the lake doesn't have yet, in the columns of the lake
select report_id::text, "timestamp", source, project_id::text, workflow_id::text, finished, failed, received_at,
    xact_id::text::bigint
from execution_metrics
where xact_id >= %(watermark)s::text::xid8 and "timestamp" >= %(start)s and "timestamp" < %(end)s {filters};
