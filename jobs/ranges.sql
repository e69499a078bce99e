-- errors: the rows of a range, in the column order of the lake
copy (
    select error_id, "timestamp", source, error_type, severity, workflow_id, metadata, project_id, run_id, title,
        fingerprint, received_at, xact_id, stands_for
    from error_metrics
    where xact_id >= '{start}'::xid8 and xact_id < '{end}'::xid8
) to stdout;

-- executions: the rows of a range, in the column order of the lake
copy (
    select report_id, "timestamp", source, project_id, workflow_id, finished, failed, received_at, xact_id
    from execution_metrics
    where xact_id >= '{start}'::xid8 and xact_id < '{end}'::xid8
) to stdout;
