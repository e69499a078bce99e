-- In a flood errors are counted without their details: one row stands for several of them. Keys and projects have limits.

alter table meshhook_errors.error_metrics add column stands_for bigint not null default 1;
comment on column meshhook_errors.error_metrics.stands_for is 'How many errors this row stands for: 1, or more where they were counted without their details.';

alter table meshhook_errors.api_keys
    add column events_per_minute integer check (events_per_minute > 0);
alter table meshhook_errors.projects
    add column events_per_minute integer check (events_per_minute > 0);

comment on column meshhook_errors.api_keys.events_per_minute is 'Above that, events sent with this key are counted without their details and answered 429; null: the setting.';
comment on column meshhook_errors.projects.events_per_minute is 'The same for all keys of a project together.';

insert into meshhook_errors.schema_migrations (version, name) values (4, 'floods');
