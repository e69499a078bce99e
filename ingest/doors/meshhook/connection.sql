-- tables: MeshHook's tables that are here: name, oid, kind, whether we may put triggers on it, read it, and see all rows,
-- and its columns with their types
select c.relname, c.oid::bigint, c.relkind::text, has_table_privilege(c.oid, 'TRIGGER'),
    has_table_privilege(c.oid, 'SELECT'), not row_security_active(c.oid),
    (select jsonb_object_agg(attname, format_type(atttypid, null))
    from pg_attribute a where a.attrelid = c.oid and attnum > 0 and not attisdropped)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relname = any(%(names)s);

-- triggers: ours, as they stand: table and name
select c.relname, t.tgname, t.tgenabled <> 'D'
from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and t.tgname like 'meshhook\_errors\_capture%%' and t.tgparentid = 0;

-- installed_version: the version of the capture's functions, nothing where one of them is missing
select obj_description(to_regprocedure('meshhook_errors.meshhook_capture()'), 'pg_proc')
where to_regprocedure('meshhook_errors.meshhook_put(text, jsonb)') is not null
    and to_regprocedure('meshhook_errors.meshhook_missed()') is not null;

-- alone: one process at a time connects or disconnects
select pg_advisory_lock(%(key)s);

-- alone_no_more: the next one
select pg_advisory_unlock(%(key)s);

-- cached_ids: how many ids of the event log a session draws at a time
select seqcache from pg_sequence where seqrelid = pg_get_serial_sequence('public.workflow_events', 'id')::regclass;

-- in_recovery: whether this server only follows another one
select pg_is_in_recovery();

-- in_the_way: what holds a lock on a table longest
select a.pid, coalesce(a.application_name, ''), extract(epoch from clock_timestamp() - a.xact_start)::float8
from pg_locks l join pg_stat_activity a on a.pid = l.pid
where l.relation = to_regclass(%(table)s) and l.granted and a.pid <> pg_backend_pid() and a.xact_start is not null
order by a.xact_start limit 1;

-- newest_event: the greatest id of the event log; exact while a lock keeps writers out
select coalesce(max(id), 0) from public.workflow_events;

-- connected: the connection's state, nothing before the first one
select connected_at, disconnected_at, events_table::bigint, first_id, next_id, read_at
from meshhook_connection;

-- begin_connection: from now on, events with a greater id are read as they come
insert into meshhook_connection (events_table, first_id, next_id) values (%(table)s, %(newest)s, %(newest)s + 1)
on conflict (only_row) do update set connected_at = now(), disconnected_at = null, read_at = null,
    events_table = excluded.events_table, first_id = excluded.first_id, next_id = excluded.next_id, gaps = '[]',
    covered = case when meshhook_connection.events_table is distinct from excluded.events_table
        then '{}' else meshhook_connection.covered end;

-- set_limits: what was chosen on the command line; what wasn't stays as it is
update meshhook_connection set
    max_attempts = coalesce(%(max_attempts)s, max_attempts),
    failed_after_seconds = coalesce(%(failed_after_seconds)s, failed_after_seconds),
    stuck_after_seconds = coalesce(%(stuck_after_seconds)s, stuck_after_seconds),
    stuck_factor = coalesce(%(stuck_factor)s, stuck_factor);

-- end_connection: what was read counts as covered; open runs are watched no longer
with forgotten as (
    delete from meshhook_runs where outcome is null
)
update meshhook_connection set disconnected_at = now(),
    covered = covered + int8multirange(int8range(first_id + 1, greatest(next_id, first_id + 1)))
where disconnected_at is null;

-- missed: failures that a trigger couldn't write, and those of them that were found in another way
select case when is_called then last_value else 0 end, coalesce((select recovered from meshhook_connection), 0)
from meshhook_misses;

-- forget_misses: count anew
select setval('meshhook_misses', 1, false);

-- forget_recovered: count anew
update meshhook_connection set recovered = 0;
