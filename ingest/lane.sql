-- claim_error_ids: record ids that no earlier event had, and wake the tally at commit; answers those that aren't new
with given as (
    select distinct error_id from unnest($1::uuid[]) as given (error_id)
), claimed as (
    insert into error_ids (error_id)
    select error_id from given order by error_id
    on conflict do nothing
    returning error_id
)
select missing.error_id
from (select pg_notify('meshhook_errors', '')) woken
left join (select error_id from given except select error_id from claimed) missing on true;

-- claim_report_ids: the same for reports of trials
with given as (
    select distinct report_id from unnest($1::uuid[]) as given (report_id)
), claimed as (
    insert into report_ids (report_id)
    select report_id from given order by report_id
    on conflict do nothing
    returning report_id
)
select missing.report_id
from (select pg_notify('meshhook_errors', '')) woken
left join (select report_id from given except select report_id from claimed) missing on true;

-- copy_errors: the rows of new errors
copy error_metrics (
    error_id, "timestamp", source, error_type, severity, workflow_id, metadata, project_id, run_id, title, fingerprint,
    stands_for
) from stdin;

-- copy_executions: the rows of new reports
copy execution_metrics (report_id, "timestamp", source, project_id, workflow_id, finished, failed) from stdin;
