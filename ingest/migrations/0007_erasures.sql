-- What was taken away on purpose: erasures, and the days of the lake that have outlived their detail.

create table meshhook_errors.erasures (
    id uuid primary key default gen_random_uuid(),
    at timestamptz not null default now(),
    by text not null,
    kind text not null check (kind in ('project', 'workflow', 'run', 'fingerprint', 'value')),
    keys text[] not null,
    rows bigint,
    errors bigint,
    trials bigint,
    below jsonb,
    noted_at timestamptz,
    days integer,
    finished_at timestamptz
);

comment on table meshhook_errors.erasures is 'What was erased, when and by whom: asked for, noted in the transaction that erases in Postgres, finished when the lake has followed.';
comment on column meshhook_errors.erasures.keys is 'What it was erased by. For a value its marks, never the value itself.';
comment on column meshhook_errors.erasures.below is 'By dataset, the transaction below which the lake''s rows are erased.';

create index erasures_unfinished on meshhook_errors.erasures (at) where finished_at is null;

create table meshhook_errors.retired_days (
    dataset text not null,
    day date not null,
    rows bigint not null,
    counted bigint not null,
    retired_at timestamptz not null default now(),
    primary key (dataset, day)
);

comment on table meshhook_errors.retired_days is 'Days whose rows were removed from the lake because of their age. The rollups tell of them.';

insert into meshhook_errors.schema_migrations (version, name) values (7, 'erasures');
