-- The two append-only facts, the rollup that live readers use, and the state of alerting.
-- Runs unchanged under any tool that applies numbered .sql files in order (PostgreSQL 15 to 18).

create schema if not exists meshhook_errors;

create table meshhook_errors.schema_migrations (
    version integer primary key,
    name text not null,
    applied_at timestamptz not null default now()
);

create type meshhook_errors.error_severity as enum ('low', 'medium', 'high');

-- Facts ---------------------------------------------------------------------------------------

-- Partitioned by the day of receipt, not of occurrence: a late event lands in today's partition,
-- so the default partition stays empty, and a partition can be dropped once its days are mirrored.
create table meshhook_errors.error_metrics (
    error_id uuid not null,
    "timestamp" timestamptz not null,
    source text not null,
    error_type text not null,
    severity meshhook_errors.error_severity not null,
    workflow_id uuid,
    metadata jsonb not null default '{}',
    project_id uuid,
    run_id uuid,
    title text not null,
    fingerprint text not null,
    received_at timestamptz not null default now(),
    xact_id xid8 not null default pg_current_xact_id()
) partition by range (received_at);

create index error_metrics_xact_id on meshhook_errors.error_metrics (xact_id);
create index error_metrics_timestamp on meshhook_errors.error_metrics ("timestamp");
create table meshhook_errors.error_metrics_default partition of meshhook_errors.error_metrics default;

comment on table meshhook_errors.error_metrics is 'One row per error, append-only. Secrets are masked before a row is written.';
comment on column meshhook_errors.error_metrics.error_id is 'Made by whoever captured the error; a resend is a duplicate (see error_ids).';
comment on column meshhook_errors.error_metrics."timestamp" is 'When it happened (UTC).';
comment on column meshhook_errors.error_metrics.xact_id is 'The writing transaction: what the tally and the mirror read by.';

create table meshhook_errors.execution_metrics (
    report_id uuid not null,
    "timestamp" timestamptz not null,
    source text not null,
    project_id uuid,
    workflow_id uuid,
    finished bigint not null,
    failed bigint not null,
    received_at timestamptz not null default now(),
    xact_id xid8 not null default pg_current_xact_id(),
    constraint failed_is_a_part_of_finished check (failed >= 0 and finished >= failed)
) partition by range (received_at);

create index execution_metrics_xact_id on meshhook_errors.execution_metrics (xact_id);
create table meshhook_errors.execution_metrics_default partition of meshhook_errors.execution_metrics default;

comment on table meshhook_errors.execution_metrics is 'Trials: how many executions finished, and how many of those failed.';

-- A unique constraint on a partitioned table must contain the partition key, and a resend arrives on
-- another day. So uniqueness stands in two narrow ledgers that outlive the partitions.
create table meshhook_errors.error_ids (
    error_id uuid primary key,
    received_at timestamptz not null default now(),
    xact_id xid8 not null default pg_current_xact_id()
);

create table meshhook_errors.report_ids (
    report_id uuid primary key,
    received_at timestamptz not null default now()
);

-- Rollup --------------------------------------------------------------------------------------

create table meshhook_errors.error_counts (
    bucket timestamptz not null,
    project_id uuid,
    workflow_id uuid,
    source text not null,
    error_type text not null,
    severity meshhook_errors.error_severity not null,
    fingerprint text not null,
    errors bigint not null,
    constraint error_counts_series unique nulls not distinct
        (bucket, project_id, workflow_id, source, error_type, severity, fingerprint)
) with (fillfactor = 70);

create table meshhook_errors.execution_counts (
    bucket timestamptz not null,
    project_id uuid,
    workflow_id uuid,
    source text not null,
    finished bigint not null,
    failed bigint not null,
    constraint execution_counts_series unique nulls not distinct (bucket, project_id, workflow_id, source)
) with (fillfactor = 70);

comment on table meshhook_errors.error_counts is 'Errors per 10 seconds and series, up to the tally''s watermark.';
comment on table meshhook_errors.execution_counts is 'Finished and failed executions per 10 seconds and series, up to the tally''s watermark.';

create table meshhook_errors.error_groups (
    fingerprint text primary key,
    title text not null,
    first_seen timestamptz not null,
    last_seen timestamptz not null
);

-- Jobs ----------------------------------------------------------------------------------------

-- Everything below xact_id is folded into the rollup. system_identifier names the cluster whose
-- transaction ids these are: after a restore into another cluster they mean nothing.
create table meshhook_errors.tally_watermark (
    only_row boolean primary key default true check (only_row),
    xact_id xid8 not null,
    system_identifier text not null,
    updated_at timestamptz not null default now()
);

-- The range that the mirror publishes next or has published last. Written by the session that holds
-- the leader lock, before any file: whoever continues redoes exactly this range.
create table meshhook_errors.mirror_claims (
    dataset text primary key,
    from_xact xid8 not null,
    to_xact xid8 not null,
    system_identifier text not null,
    claimed_at timestamptz not null default now()
);

create table meshhook_errors.components (
    component text not null,
    instance text not null,
    started_at timestamptz not null,
    seen_at timestamptz not null,
    detail jsonb not null default '{}',
    primary key (component, instance)
);

-- Access --------------------------------------------------------------------------------------

create table meshhook_errors.api_keys (
    id uuid primary key default gen_random_uuid(),
    name text not null,
    role text not null check (role in ('ingest', 'read', 'admin')),
    key_prefix text not null,
    key_sha256 bytea not null unique,
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);

create table meshhook_errors.users (
    id uuid primary key default gen_random_uuid(),
    name text not null unique,
    password_hash text not null,
    created_at timestamptz not null default now()
);

create table meshhook_errors.sessions (
    token_sha256 bytea primary key,
    user_id uuid not null references meshhook_errors.users (id) on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);

-- Alerting ------------------------------------------------------------------------------------

create table meshhook_errors.channels (
    id uuid primary key default gen_random_uuid(),
    name text not null unique,
    kind text not null,
    settings jsonb not null default '{}',
    secret bytea,
    created_at timestamptz not null default now()
);

comment on column meshhook_errors.channels.secret is 'Encrypted with the installation''s key (Fernet).';

create table meshhook_errors.alert_rules (
    id uuid primary key default gen_random_uuid(),
    name text not null unique,
    enabled boolean not null default true,
    signal text not null check (signal in ('count', 'rate_per_minute', 'error_rate_percent')),
    scope jsonb not null default '{}',
    window_seconds integer not null check (window_seconds between 10 and 86400),
    threshold double precision not null check (threshold > 0),
    for_seconds integer not null default 0 check (for_seconds between 0 and 86400),
    keep_firing_seconds integer not null default 60 check (keep_firing_seconds between 0 and 86400),
    min_executions integer not null default 10 check (min_executions >= 1),
    no_data text not null default 'keep' check (no_data in ('keep', 'resolve', 'fire')),
    channel_ids uuid[] not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- One row per rule; state_version lets exactly one evaluator make each transition.
create table meshhook_errors.alert_states (
    rule_id uuid primary key references meshhook_errors.alert_rules (id) on delete cascade,
    state text not null check (state in ('ok', 'pending', 'firing')),
    since timestamptz not null,
    below_since timestamptz,
    alert_id uuid,
    value double precision,
    reason text not null,
    state_version bigint not null default 1,
    evaluated_at timestamptz not null
);

create table meshhook_errors.alerts (
    id uuid primary key,
    rule_id uuid references meshhook_errors.alert_rules (id) on delete set null,
    rule_name text not null,
    rule jsonb not null,
    started_at timestamptz not null,
    fired_at timestamptz not null,
    resolved_at timestamptz,
    fired_value double precision,
    peak_value double precision,
    resolve_reason text
);
create index alerts_fired_at on meshhook_errors.alerts (fired_at);

-- The outbox: written in the transaction that changes the state, sent by a separate step.
create table meshhook_errors.notifications (
    id uuid primary key default gen_random_uuid(),
    alert_id uuid not null references meshhook_errors.alerts (id) on delete cascade,
    channel_id uuid references meshhook_errors.channels (id) on delete set null,
    channel_name text not null,
    kind text not null check (kind in ('firing', 'resolved')),
    dedup_key text not null unique,
    message jsonb not null,
    status text not null default 'pending' check (status in ('pending', 'delivered', 'failed')),
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    leased_until timestamptz,
    lease uuid,
    created_at timestamptz not null default now(),
    delivered_at timestamptz
);
create index notifications_due on meshhook_errors.notifications (next_attempt_at) where status = 'pending';

create table meshhook_errors.notification_attempts (
    id bigint generated always as identity primary key,
    notification_id uuid not null references meshhook_errors.notifications (id) on delete cascade,
    attempted_at timestamptz not null,
    duration_ms integer not null,
    outcome text not null check (outcome in ('delivered', 'retry', 'permanent')),
    detail text not null
);

insert into meshhook_errors.schema_migrations (version, name) values (1, 'foundation');
