-- claim_error_ids: record ids that no earlier event had; answers those that are not new (usually none)
with given as (
    select distinct error_id from unnest(%(ids)s::uuid[]) as given (error_id)
), claimed as (
    insert into error_ids (error_id)
    select error_id from given order by error_id
    on conflict do nothing
    returning error_id
)
select error_id from given except select error_id from claimed;

-- claim_report_ids: record ids that no earlier report had; answers those that are not new (usually none)
with given as (
    select distinct report_id from unnest(%(ids)s::uuid[]) as given (report_id)
), claimed as (
    insert into report_ids (report_id)
    select report_id from given order by report_id
    on conflict do nothing
    returning report_id
)
select report_id from given except select report_id from claimed;

-- copy_errors: the rows of new errors
copy error_metrics (
    error_id, "timestamp", source, error_type, severity, workflow_id, metadata, project_id, run_id, title, fingerprint
) from stdin;

-- copy_executions: the rows of new reports
copy execution_metrics (report_id, "timestamp", source, project_id, workflow_id, finished, failed) from stdin;

-- wake_jobs: tell the tally that there is something to fold in; delivered at commit
select pg_notify('meshhook_errors', '');
