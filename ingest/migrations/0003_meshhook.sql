-- What a connected MeshHook needs: the inbox that its triggers write, how far its event log was read, its names.

-- Written by triggers in MeshHook's own transactions, emptied in the transaction that writes the errors.
create table meshhook_errors.meshhook_inbox (
    id bigint generated always as identity primary key,
    kind text not null check (kind in ('step_failed', 'run_ended', 'dead_letter')),
    record jsonb not null,
    written_at timestamptz not null default clock_timestamp()
);

comment on table meshhook_errors.meshhook_inbox is 'Raw failures of MeshHook, before masking; a row lives for a second or so.';

-- A sequence, because it counts also where nothing can be written.
create sequence meshhook_errors.meshhook_misses;
comment on sequence meshhook_errors.meshhook_misses is 'Failures that a trigger could not put into the inbox.';

create table meshhook_errors.meshhook_connection (
    only_row boolean primary key default true check (only_row),
    connected_at timestamptz not null default now(),
    disconnected_at timestamptz,
    events_table oid,
    first_id bigint not null default 0,
    next_id bigint not null default 0,
    gaps jsonb not null default '[]',
    covered int8multirange not null default '{}',
    max_attempts integer not null default 5 check (max_attempts >= 1),
    failed_after_seconds double precision not null default 10 check (failed_after_seconds > 0),
    stuck_after_seconds double precision not null default 600 check (stuck_after_seconds > 0),
    stuck_factor double precision not null default 5 check (stuck_factor >= 1),
    recovered bigint not null default 0,
    read_at timestamptz
);

comment on column meshhook_errors.meshhook_connection.first_id is 'Events with a greater id are read as they come; the others are backfilled on request.';
comment on column meshhook_errors.meshhook_connection.gaps is 'Ids below next_id that were not visible yet: a transaction may still commit them.';
comment on column meshhook_errors.meshhook_connection.covered is 'Ids up to first_id that were backfilled.';

-- Each run once, however often it is told of. Those that ended well are forgotten after an hour, others after a month.
create table meshhook_errors.meshhook_runs (
    run_id uuid primary key,
    project_id uuid,
    workflow_id uuid,
    started_at timestamptz not null,
    last_event_id bigint not null,
    last_event_at timestamptz not null,
    last_node text,
    steps jsonb not null default '{}',
    exhausted jsonb,
    outcome text check (outcome in ('succeeded', 'failed', 'canceled')),
    ended_at timestamptz,
    stuck_error_id uuid,
    looked_at timestamptz,
    saved_at timestamptz not null default now()
) with (fillfactor = 70);

create index meshhook_runs_exhausted on meshhook_errors.meshhook_runs (looked_at nulls first) where outcome is null and exhausted is not null;
create index meshhook_runs_open on meshhook_errors.meshhook_runs (looked_at nulls first) where outcome is null and exhausted is null;
create index meshhook_runs_ended on meshhook_errors.meshhook_runs (saved_at) where outcome is not null;

create table meshhook_errors.stuck_runs (
    error_id uuid primary key,
    run_id uuid not null,
    project_id uuid,
    workflow_id uuid,
    reason text not null check (reason in ('exhausted', 'too_long')),
    node text,
    since timestamptz not null,
    noticed_at timestamptz not null,
    moved_at timestamptz
);
create index stuck_runs_run on meshhook_errors.stuck_runs (run_id) where moved_at is null;
create index stuck_runs_noticed on meshhook_errors.stuck_runs (noticed_at);

create table meshhook_errors.project_names (
    project_id uuid primary key,
    name text not null
);

create table meshhook_errors.workflow_names (
    workflow_id uuid primary key,
    project_id uuid,
    slug text not null,
    version integer,
    name text not null
);

insert into meshhook_errors.schema_migrations (version, name) values (3, 'meshhook');
