-- try_lock: keep others with the same task away, until the session ends
select pg_try_advisory_lock(%(key)s);

-- versions: the migrations that the database has had
select max(version) from schema_migrations;

-- is_prepared: whether anything of ours stands here
select to_regclass('meshhook_errors.schema_migrations') is not null;

-- keep_out: nobody writes a row, or takes a number for one, until the restore is whole
lock table error_metrics, execution_metrics, error_ids, report_ids, tally_watermark, mirror_claims, users, api_keys,
    projects in access exclusive mode;

-- people: users and keys that somebody has made here
select (select count(*) from users where name <> %(admin)s), (select count(*) from api_keys where name <> %(ours)s);

-- horizon: every transaction that can still write has this id or a greater one
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

-- number_from: number this cluster's transactions anew
create or replace function meshhook_errors.numbered(xact_id xid8) returns xid8
    language sql immutable parallel safe as 'select ($1::text::bigint + {offset})::text::xid8';

-- tables_of_a_cluster: those that say whose transactions they mean
select c.relname from pg_attribute a join pg_class c on c.oid = a.attrelid
where c.relnamespace = to_regnamespace('meshhook_errors') and c.relkind = 'r' and a.attname = 'system_identifier'
    and not a.attisdropped;

-- adopt_claim: up to here the lake is complete, and this database's
insert into mirror_claims (dataset, from_xact, to_xact, system_identifier)
values (%(dataset)s, %(watermark)s::text::xid8, %(watermark)s::text::xid8, %(system_identifier)s);

-- free_messages: nobody is sending them
update notifications set lease = null, leased_until = null where lease is not null;

-- forget_channel_secrets: they can't be read here
update channels set secret = null;

-- forget_sealed_keys: the same for keys that are shown again
update api_keys set sealed = null;
