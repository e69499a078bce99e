-- functions: what MeshHook's statements call when something fails; they never raise, and wait 10 ms
-- for a lock, once in a transaction
create or replace function meshhook_errors.meshhook_put(what text, raw jsonb) returns void
language plpgsql set search_path = '' set lock_timeout = '10ms' as $capture$
begin
    if pg_catalog.current_setting('meshhook_errors.gave_up', true) = '55P03' then
        raise lock_not_available using message = 'the inbox was locked a moment ago';
    end if;
    if pg_catalog.pg_table_size('meshhook_errors.meshhook_inbox') > {most_bytes} then
        raise exception 'the inbox is full';
    end if;
    insert into meshhook_errors.meshhook_inbox (kind, record) values (what, raw);
end $capture$;
revoke execute on function meshhook_errors.meshhook_put(text, jsonb) from public;

create or replace function meshhook_errors.meshhook_missed() returns void
language plpgsql set search_path = '' set lock_timeout = '10ms' as $capture$
begin
    if pg_catalog.current_setting('meshhook_errors.gave_up_counting', true) = '55P03' then
        return;
    end if;
    perform pg_catalog.nextval('meshhook_errors.meshhook_misses');
exception when others then
    perform pg_catalog.set_config('meshhook_errors.gave_up_counting', sqlstate, true);
end $capture$;
revoke execute on function meshhook_errors.meshhook_missed() from public;

create or replace function meshhook_errors.meshhook_capture() returns trigger
language plpgsql security definer set search_path = '' as $capture$
declare
    what constant text := tg_argv[0];
    raw jsonb;
    job jsonb;
begin
    begin
        if what = 'step_failed' then
            raw := pg_catalog.jsonb_build_object(
                'event_id', new.id,
                'run_id', new.run_id,
                'ts', new.ts,
                'node', pg_catalog.left(case when pg_catalog.jsonb_typeof(new.payload -> 'node') = 'string'
                    then new.payload ->> 'node' else new.payload #>> '{node,id}' end, 200),
                'node_type', pg_catalog.left(new.payload #>> '{node,type}', 200),
                'attempt', new.payload -> 'attempt',
                'max_attempts', new.payload -> 'max_attempts',
                'error', pg_catalog.left(new.payload ->> 'error', 65536)
            );
        elsif what = 'run_ended' then
            raw := pg_catalog.jsonb_build_object(
                'run_id', new.id,
                'status', new.status,
                'project_id', new.project_id,
                'workflow_id', new.workflow_id,
                'started_at', new.started_at,
                'ended_at', coalesce(new.finished_at, pg_catalog.now())
            );
        else
            job := pg_catalog.to_jsonb(new);
            raw := pg_catalog.jsonb_build_object(
                'job_id', job -> 'id',
                'run_id', job -> 'run_id',
                'msg_id', job -> 'msg_id',
                'queue', job -> 'queue_name',
                'attempt', job -> 'attempt',
                'max_attempts', job -> 'max_attempts',
                'at', job -> 'moved_to_dlq_at',
                'error', pg_catalog.left(job ->> 'error_message', 65536),
                'stack', pg_catalog.left(job ->> 'error_stack', 65536)
            );
        end if;
        perform meshhook_errors.meshhook_put(what, raw);
    exception when others then
        perform pg_catalog.set_config('meshhook_errors.gave_up', sqlstate, true);
        perform meshhook_errors.meshhook_missed();
    end;
    return null;
exception when others then
    return null;
end $capture$;
comment on function meshhook_errors.meshhook_capture() is 'capture version {version}';

-- workflow_events: a try that failed; the condition is evaluated by Postgres itself, without a call
create or replace trigger meshhook_errors_capture after insert on public.workflow_events
for each row when (new.type = 'step_failed')
execute function meshhook_errors.meshhook_capture('step_failed');

-- workflow_runs: a run that ends without a word in the event log
create or replace trigger meshhook_errors_capture after update of status on public.workflow_runs
for each row when (new.status = any ('{failed,canceled}') and old.status is distinct from new.status)
execute function meshhook_errors.meshhook_capture('run_ended');

-- job_tracking: a job that goes into the dead-letter queue by an update
create or replace trigger meshhook_errors_capture after update of moved_to_dlq_at on public.job_tracking
for each row when (new.moved_to_dlq_at is not null and old.moved_to_dlq_at is null)
execute function meshhook_errors.meshhook_capture('dead_letter');

-- job_tracking_insert: one that is written as dead at once
create or replace trigger meshhook_errors_capture_insert after insert on public.job_tracking
for each row when (new.moved_to_dlq_at is not null)
execute function meshhook_errors.meshhook_capture('dead_letter');

-- drop_functions: with them go the triggers, also on tables that belong to somebody else
drop function if exists
    meshhook_errors.meshhook_capture(), meshhook_errors.meshhook_put(text, jsonb), meshhook_errors.meshhook_missed() cascade;
