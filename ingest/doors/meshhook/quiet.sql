-- gone_quiet: open runs whose last try failed a while ago, and nothing has followed, also not in what is being backfilled
select {columns} from meshhook_runs
where outcome is null and exhausted is not null and least((exhausted ->> 'at')::timestamptz, last_event_at) < %(before)s
    and (looked_at is null or looked_at < %(before)s)
    and exists (
        select from meshhook_connection c
        where last_event_id > c.first_id or int8range(last_event_id, c.first_id + 1) <@ c.covered
    )
order by looked_at nulls first limit %(rows)s;

-- idle: open runs without an event for a while, those first that weren't looked at for longest
select {columns} from meshhook_runs
where outcome is null and exhausted is null and last_event_at < %(idle_since)s
    and (looked_at is null or looked_at < case when stuck_error_id is null then %(looked_before)s else %(stuck_before)s end)
    and exists (
        select from meshhook_connection c
        where last_event_id > c.first_id or int8range(last_event_id, c.first_id + 1) <@ c.covered
    )
order by looked_at nulls first limit %(rows)s;

-- looked_at: when these runs were looked at
update meshhook_runs set looked_at = %(now)s where run_id = any(%(runs)s);

-- statuses: what MeshHook says of these runs
select id, status,
    case when finished_at is not null then least(greatest(finished_at, '2000-01-01 00:00Z'), '9000-01-01 00:00Z') end
from public.workflow_runs where id = any(%(runs)s);

-- forget_deleted: runs that MeshHook has deleted will never end
delete from meshhook_runs where run_id = any(%(runs)s);

-- told_of: those of the runs whose end stands in the inbox: the next reading takes it
select (record ->> 'run_id')::uuid from meshhook_inbox where kind = 'run_ended' and record ->> 'run_id' = any(%(runs)s::text[]);

-- found: ends of runs that a trigger had to miss
update meshhook_connection set recovered = recovered + %(found)s;

-- waiting_jobs: those of the runs that have a job waiting for another try
select distinct run_id from public.job_tracking
where run_id = any(%(runs)s) and completed_at is null and failed_at is null and moved_to_dlq_at is null
    and started_at is null;

-- has_jobs: whether this MeshHook tracks its jobs in the way that we know
select count(*) = 6 from information_schema.columns
where table_schema = 'public' and table_name = 'job_tracking'
    and column_name in ('run_id', 'started_at', 'completed_at', 'failed_at', 'moved_to_dlq_at', 'enqueued_at');

-- usual_seconds: how long the newest thousand finished runs of a workflow took, all but one in a hundred
select extract(epoch from percentile_cont(0.99) within group (order by lasted))::float8
from (
    select finished_at - started_at as lasted from public.workflow_runs
    where workflow_id = %(workflow)s and project_id = %(project)s and isfinite(finished_at) and isfinite(started_at) and status = 'succeeded'
    order by started_at desc limit 1000
) finished;

-- note_stuck: a run is stuck
insert into stuck_runs (error_id, run_id, project_id, workflow_id, reason, node, since, noticed_at)
values (%(error_id)s, %(run_id)s, %(project_id)s, %(workflow_id)s, %(reason)s, %(node)s, %(since)s, %(noticed_at)s)
on conflict do nothing;

-- forget_ended: runs that have ended well; should one be told of again, the event log still has its end
delete from meshhook_runs where outcome = 'succeeded' and saved_at < %(before)s;

-- forget_stuck: stuck runs that nobody will look for any more
delete from stuck_runs where noticed_at < %(before)s;

-- forget_old: other runs of which nothing was heard for so long that nothing more will be
delete from meshhook_runs where last_event_at < %(before)s and saved_at < %(before)s;
