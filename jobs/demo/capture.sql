-- usual_limits: as if none had been chosen
update meshhook_errors.meshhook_connection
set failed_after_seconds = default, stuck_after_seconds = default, stuck_factor = default, max_attempts = default;

-- forget_stuck: runs that are about to be gone are nobody's concern
delete from meshhook_errors.stuck_runs where run_id in (select id from public.workflow_runs);
