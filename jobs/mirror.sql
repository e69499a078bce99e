-- horizon: below it every transaction has ended
select numbered(pg_snapshot_xmin(pg_current_snapshot()))::text::bigint;

-- claim: the range claimed last
select from_xact::text::bigint, to_xact::text::bigint, system_identifier from mirror_claims where dataset = %(dataset)s;

-- claim_range: say which range is published next, before its first file
insert into mirror_claims (dataset, from_xact, to_xact, system_identifier)
values (%(dataset)s, %(start)s::text::xid8, %(end)s::text::xid8, %(system_identifier)s)
on conflict (dataset) do update
    set from_xact = excluded.from_xact, to_xact = excluded.to_xact,
        system_identifier = excluded.system_identifier, claimed_at = now();

-- oldest_error: seconds that the oldest unpublished error has waited
select extract(epoch from now() - received_at)::float8 from error_metrics
where xact_id >= %(start)s::text::xid8 and xact_id < %(end)s::text::xid8 order by xact_id limit 1;

-- oldest_execution: seconds that the oldest unpublished report has waited
select extract(epoch from now() - received_at)::float8 from execution_metrics
where xact_id >= %(start)s::text::xid8 and xact_id < %(end)s::text::xid8 order by xact_id limit 1;

-- cut_errors: the transaction in which row number `rows` stands, null where fewer wait
select xact_id::text::bigint from error_metrics
where xact_id >= %(start)s::text::xid8 and xact_id < %(end)s::text::xid8
order by xact_id offset %(rows)s limit 1;

-- cut_executions: the same for trials
select xact_id::text::bigint from execution_metrics
where xact_id >= %(start)s::text::xid8 and xact_id < %(end)s::text::xid8
order by xact_id offset %(rows)s limit 1;

-- try_lock: be the mirror; held until the session ends
select pg_try_advisory_lock(%(key)s);

-- holds_lock: whether this very session holds the lock
select exists (
    select from pg_locks
    where locktype = 'advisory' and pid = pg_backend_pid() and granted and objsubid = 1
        and database = (select oid from pg_database where datname = current_database())
        and (classid::bigint << 32) | objid::bigint = %(key)s
);
