-- standing: which of MeshHook's relations stand in public, and the comment on each
select c.relname, obj_description(c.oid, 'pg_class')
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and c.relname in ('projects', 'workflow_definitions', 'workflows', 'workflow_runs', 'workflow_events',
        'job_tracking', 'queue_config', 'audit_log');

-- tables: projects, workflows and their runs
create function public.meshhook_demo_touch() returns trigger language plpgsql set search_path = '' as $$
begin
    new.updated_at := now();
    return new;
end
$$;

create table public.projects (
    id uuid primary key default gen_random_uuid(),
    owner uuid not null,
    name text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table public.workflow_definitions (
    id uuid primary key default gen_random_uuid(),
    project_id uuid not null references public.projects (id) on delete cascade,
    slug text not null,
    version integer not null default 1,
    definition jsonb not null,
    name text,
    description text,
    status text not null default 'draft' check (status in ('draft', 'published', 'archived')),
    user_id uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (project_id, slug, version)
);
create index workflow_definitions_project on public.workflow_definitions (project_id);
create view public.workflows as select * from public.workflow_definitions;

create table public.workflow_runs (
    id uuid primary key default gen_random_uuid(),
    project_id uuid not null references public.projects (id) on delete cascade,
    workflow_id uuid not null references public.workflow_definitions (id) on delete cascade,
    status text not null default 'running' check (status in ('running', 'succeeded', 'failed', 'paused', 'canceled')),
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index workflow_runs_project on public.workflow_runs (project_id);
create index workflow_runs_workflow on public.workflow_runs (workflow_id);
create index workflow_runs_status on public.workflow_runs (status);
create index workflow_runs_started on public.workflow_runs (project_id, started_at desc);

create trigger projects_touch before update on public.projects
    for each row execute function public.meshhook_demo_touch();
create trigger workflow_definitions_touch before update on public.workflow_definitions
    for each row execute function public.meshhook_demo_touch();
create trigger workflow_runs_touch before update on public.workflow_runs
    for each row execute function public.meshhook_demo_touch();

-- events_by_month: the event log as MeshHook has it, partitioned by month
create table public.workflow_events (
    id bigserial,
    run_id uuid not null references public.workflow_runs (id) on delete cascade,
    ts timestamptz not null default now(),
    type text not null,
    payload jsonb not null default '{}',
    created_at timestamptz not null default now(),
    primary key (id, ts)
) partition by range (ts);

-- events_in_one: the event log in one table, as an installation that doesn't partition it would have it
create table public.workflow_events (
    id bigserial,
    run_id uuid not null references public.workflow_runs (id) on delete cascade,
    ts timestamptz not null default now(),
    type text not null,
    payload jsonb not null default '{}',
    created_at timestamptz not null default now(),
    primary key (id, ts)
);

-- event_indexes: how the event log is looked up
create index workflow_events_run on public.workflow_events (run_id);
create index workflow_events_run_ts on public.workflow_events (run_id, ts);
create index workflow_events_type on public.workflow_events (type);

-- queues: what stands beside the queues, and what admins did
create table public.queue_config (
    id uuid primary key default gen_random_uuid(),
    queue_name text not null unique,
    visibility_timeout_seconds integer not null default 30,
    max_retry_attempts integer not null default 5,
    retry_backoff_base_ms integer not null default 1000,
    dlq_enabled boolean not null default true
);
insert into public.queue_config (queue_name) values ('workflow_jobs');

create table public.audit_log (
    id uuid primary key default gen_random_uuid(),
    user_id uuid,
    action text not null,
    details jsonb not null default '{}',
    created_at timestamptz not null default now()
);

-- job_tracking: each job of a queue, on its way
create table public.job_tracking (
    id uuid primary key default gen_random_uuid(),
    msg_id bigint not null,
    run_id uuid,
    queue_name text not null,
    attempt integer not null default 0,
    max_attempts integer not null default 5,
    enqueued_at timestamptz not null default now(),
    started_at timestamptz,
    completed_at timestamptz,
    failed_at timestamptz,
    moved_to_dlq_at timestamptz,
    error_message text,
    error_stack text
);
create index job_tracking_run on public.job_tracking (run_id);
create index job_tracking_message on public.job_tracking (queue_name, msg_id);
