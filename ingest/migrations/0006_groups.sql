-- Groups as things: a state, an assignee, notes, a history; merged by hand and carried on across fingerprint versions.

alter table meshhook_errors.error_groups
    add column head text,
    add column merged_into text references meshhook_errors.error_groups (fingerprint),
    add column continues text references meshhook_errors.error_groups (fingerprint),
    add column state text not null default 'open' check (state in ('open', 'resolved', 'ignored', 'regressed')),
    add column resolved_at timestamptz,
    add column ignored_until timestamptz,
    add column ignored_until_errors bigint,
    add column assignee uuid references meshhook_errors.users (id) on delete set null,
    add column errors bigint not null default 0,
    add column source text,
    add column error_type text,
    add column severity meshhook_errors.error_severity,
    add column project_id uuid,
    add column workflow_id uuid,
    add column changed_at timestamptz,
    add column changed_by text;

-- Groups that are there already are open. Their counts begin with what the rollup still holds.
update meshhook_errors.error_groups set head = fingerprint;
update meshhook_errors.error_groups g
set errors = c.errors, source = c.source, error_type = c.error_type, severity = c.severity,
    project_id = c.project_id, workflow_id = c.workflow_id
from (
    select fingerprint, sum(errors)::bigint as errors, max(severity) as severity,
        (array_agg(source order by bucket desc))[1] as source,
        (array_agg(error_type order by bucket desc))[1] as error_type,
        (array_agg(project_id order by bucket desc))[1] as project_id,
        (array_agg(workflow_id order by bucket desc))[1] as workflow_id
    from meshhook_errors.error_counts group by fingerprint
) c
where c.fingerprint = g.fingerprint;

alter table meshhook_errors.error_groups
    alter column head set not null,
    add constraint error_groups_head foreign key (head) references meshhook_errors.error_groups (fingerprint),
    add constraint error_groups_head_is_none_of_others
        check ((head = fingerprint) = (merged_into is null and continues is null)),
    set (fillfactor = 70);
create index error_groups_members on meshhook_errors.error_groups (head);
create index error_groups_ignored_until on meshhook_errors.error_groups (ignored_until) where state = 'ignored';
create index error_groups_merged_into on meshhook_errors.error_groups (merged_into) where merged_into is not null;
create index error_groups_continues on meshhook_errors.error_groups (continues) where continues is not null;

comment on column meshhook_errors.error_groups.head is 'The fingerprint of the group that this one counts for: its own, unless it was merged or continues another. State and assignee are those of the head.';
comment on column meshhook_errors.error_groups.merged_into is 'The head that it was merged into by hand.';
comment on column meshhook_errors.error_groups.continues is 'What an earlier version of the fingerprint called it.';
comment on column meshhook_errors.error_groups.ignored_until_errors is 'Ignored until the errors of the whole group are that many.';
comment on column meshhook_errors.error_groups.errors is 'Errors with this fingerprint, for ever.';
comment on column meshhook_errors.error_groups.source is 'Like type, project and workflow: of its newest error. The severity is the highest.';

create table meshhook_errors.group_notes (
    id bigint generated always as identity primary key,
    fingerprint text not null references meshhook_errors.error_groups (fingerprint),
    at timestamptz not null default now(),
    author text not null,
    note text not null
);
create index group_notes_of on meshhook_errors.group_notes (fingerprint);

create table meshhook_errors.group_events (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    kind text not null check (kind in
        ('new', 'regressed', 'resolved', 'ignored', 'reopened', 'merged', 'split', 'assigned')),
    fingerprint text not null references meshhook_errors.error_groups (fingerprint),
    member text references meshhook_errors.error_groups (fingerprint),
    by text,
    detail text,
    source text,
    error_type text,
    severity meshhook_errors.error_severity,
    project_id uuid,
    workflow_id uuid
);
create index group_events_of on meshhook_errors.group_events (fingerprint);
create index group_events_members on meshhook_errors.group_events (member) where member is not null;
create index group_events_counted on meshhook_errors.group_events (at) where kind in ('new', 'regressed');

comment on table meshhook_errors.group_events is 'The history of groups; new and regressed ones are what alert rules count.';
comment on column meshhook_errors.group_events.at is 'For new and regressed: when the error that tells it was received.';
comment on column meshhook_errors.group_events.by is 'Who did it; null: the tally.';
comment on column meshhook_errors.group_events.member is 'The fingerprint that was merged or split.';

alter table meshhook_errors.alert_rules drop constraint alert_rules_signal_check;
alter table meshhook_errors.alert_rules add constraint alert_rules_signal_check
    check (signal in ('count', 'rate_per_minute', 'error_rate_percent', 'new_groups', 'regressed_groups'));

insert into meshhook_errors.schema_migrations (version, name) values (6, 'groups');
