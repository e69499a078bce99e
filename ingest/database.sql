-- applied_versions: the migrations that this database has had
select version from meshhook_errors.schema_migrations;

-- partitions: names of the partitions of a fact
select child.relname
from pg_inherits
join pg_class child on child.oid = inhrelid
where inhparent = to_regclass('meshhook_errors.' || %(fact)s);

-- database_identity: a stand-in for the system identifier where that may not be read
select 'database ' || oid || ' ' || datname from pg_database where datname = current_database();
