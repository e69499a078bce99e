-- What kind of error one is, and how bad, is decided by rules that people change. A key may send without being believed.

create table meshhook_errors.classification_rules (
    id uuid primary key default gen_random_uuid(),
    position integer not null,
    name text not null unique,
    definition jsonb not null,
    is_enabled boolean not null default true,
    changed_by text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

comment on table meshhook_errors.classification_rules is 'The installation''s own rules of classification, which stand before the shipped ones.';
comment on column meshhook_errors.classification_rules.position is 'The first rule that holds decides; the one with the lowest position is asked first.';
comment on column meshhook_errors.classification_rules.name is 'One with the name of a shipped rule stands in its place.';
comment on column meshhook_errors.classification_rules.definition is 'Conditions and result. One that this version doesn''t understand is left aside, and said to be.';

alter table meshhook_errors.api_keys add column trusted boolean not null default true;

comment on column meshhook_errors.api_keys.trusted is 'Whether type and severity that are sent with this key are kept; otherwise the rules decide.';

insert into meshhook_errors.schema_migrations (version, name) values (5, 'classification');
