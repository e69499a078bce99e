-- one_moment: what follows sees the database as it is at its first look
set transaction isolation level repeatable read, read only;

-- keep_partitions: no day of the facts is dropped from now on; taken before the first look
lock table error_metrics, execution_metrics in access share mode;

-- numbered_to: no transaction that we see has this number or a greater one
select numbered(pg_snapshot_xmax(pg_current_snapshot()))::text::bigint;

-- versions: of the schema, and of Postgres
select (select max(version) from schema_migrations), current_setting('server_version');

-- claim: the range that the mirror claimed last
select from_xact::text::bigint, to_xact::text::bigint, system_identifier from mirror_claims where dataset = %(dataset)s;

-- tally: in which cluster the tally counts
select system_identifier from tally_watermark;
