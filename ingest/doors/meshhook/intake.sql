-- alone: one reader at a time, live or backfill; held until the transaction ends
select pg_advisory_xact_lock(%(key)s);

-- position: the connection's state, and the database's clock; nothing where none is connected
select first_id, next_id, gaps, max_attempts, failed_after_seconds, stuck_after_seconds, stuck_factor,
    coalesce(events_table = to_regclass('public.workflow_events')::oid, false),
    to_regclass('public.workflow_runs') is not null, clock_timestamp(),
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint
from meshhook_connection where disconnected_at is null;

-- snapshot_end: no transaction that has begun by now has this id or a greater one
select pg_snapshot_xmax(pg_current_snapshot())::text::bigint;

-- event: what is read of an event, never what a webhook sent
id, run_id, least(greatest(ts, '2000-01-01 00:00Z'), '9000-01-01 00:00Z'), type,
    case when type not in ('run_created', 'http_attempted') then
        left(case when jsonb_typeof(payload -> 'node') = 'string' then payload ->> 'node' else payload #>> '{node,id}' end, 200)
    end,
    case when type not in ('run_created', 'http_attempted') then left(payload #>> '{node,type}', 200) end,
    case when type = 'step_failed' then substring(payload ->> 'attempt' from '^[1-9][0-9]{0,8}$')::integer end,
    case when type = 'step_failed' then substring(payload ->> 'max_attempts' from '^[1-9][0-9]{0,8}$')::integer end,
    case when type = 'step_failed' then left(payload ->> 'error', 65536) end;

-- new_events: the next rows of the event log
select {event}
from public.workflow_events
where id >= %(from_id)s and id < %(to_id)s and run_id is not null order by id limit %(rows)s;

-- late_events: rows in the gaps, whose transactions have committed meanwhile; in the order of the gaps
select {event}
from unnest(%(from_ids)s::bigint[], %(to_ids)s::bigint[]) gap (from_id, to_id)
join public.workflow_events on id >= gap.from_id and id < gap.to_id and run_id is not null
limit %(rows)s;

-- move_position: how far the log was read
update meshhook_connection set next_id = %(next_id)s, gaps = %(gaps)s, read_at = clock_timestamp(),
    recovered = recovered + %(recovered)s;

-- begin_again: a log that was emptied, with its ids beginning anew, is read anew
update meshhook_connection set first_id = 0, next_id = 1, gaps = '[]', covered = '{}'
from pg_get_serial_sequence('public.workflow_events', 'id') name, lateral (
    select case when has_sequence_privilege(name, 'USAGE, SELECT') then pg_sequence_last_value(name::regclass) end as newest
) ids
where newest < next_id - 1 and newest >= (select coalesce(max(id), 0) from public.workflow_events);

-- take_inbox: the oldest failures, taken out; of numbers only those that are some
delete from meshhook_inbox where id in (select id from meshhook_inbox where kind = any(%(kinds)s) order by id limit %(rows)s)
returning id, kind, case when record ?& '{attempt,max_attempts}' then record || jsonb_build_object(
    'attempt', substring(record ->> 'attempt' from '^[1-9][0-9]{0,8}$')::integer,
    'max_attempts', substring(record ->> 'max_attempts' from '^[1-9][0-9]{0,8}$')::integer) else record end;

-- known_errors: which of these errors are stored already
select error_id from error_ids where error_id = any(%(ids)s);

-- step_history: when each step of these runs was started and ended
select run_id, id, type,
    left(case when jsonb_typeof(payload -> 'node') = 'string' then payload ->> 'node' else payload #>> '{node,id}' end, 200),
    substring(payload ->> 'attempt' from '^[1-9][0-9]{0,8}$')::integer,
    substring(payload ->> 'max_attempts' from '^[1-9][0-9]{0,8}$')::integer
from public.workflow_events
where run_id = any(%(runs)s) and type in ('step_started', 'step_succeeded', 'step_failed');

-- places: project and workflow of these runs
select r.id, r.project_id, r.workflow_id,
    case when r.started_at is not null then least(greatest(r.started_at, '2000-01-01 00:00Z'), '9000-01-01 00:00Z') end, n.slug, n.version
from public.workflow_runs r left join workflow_names n on n.workflow_id = r.workflow_id
where r.id = any(%(runs)s);

-- completed: ends of these runs that were read before, though their states may have been forgotten
select run_id, id from public.workflow_events, meshhook_connection
where run_id = any(%(runs)s) and type = 'run_completed' and (id > first_id and id < next_id or covered @> id);

-- load_runs: what is known of these runs
select {columns} from meshhook_runs where run_id = any(%(runs)s);

-- save_runs: the same, written back; what is of the future has happened by now at the latest
insert into meshhook_runs (run_id, project_id, workflow_id, started_at, last_event_id, last_event_at, last_node, steps,
    exhausted, outcome, ended_at, stuck_error_id)
select run_id, project_id, workflow_id, started_at, last_event_id, least(last_event_at, clock_timestamp()), last_node, steps,
    exhausted, outcome, ended_at, stuck_error_id
from jsonb_to_recordset(%(runs)s) as r (run_id uuid, project_id uuid, workflow_id uuid, started_at timestamptz,
    last_event_id bigint, last_event_at timestamptz, last_node text, steps jsonb, exhausted jsonb, outcome text,
    ended_at timestamptz, stuck_error_id uuid)
on conflict (run_id) do update set project_id = excluded.project_id, workflow_id = excluded.workflow_id,
    started_at = excluded.started_at, last_event_id = excluded.last_event_id, last_event_at = excluded.last_event_at,
    last_node = excluded.last_node, steps = excluded.steps, exhausted = excluded.exhausted, outcome = excluded.outcome,
    ended_at = excluded.ended_at, stuck_error_id = excluded.stuck_error_id,
    saved_at = now();

-- note_moved: stuck runs that go on after all
update stuck_runs set moved_at = %(at)s where run_id = %(run)s and moved_at is null;
