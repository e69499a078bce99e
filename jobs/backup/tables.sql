-- tables: our tables, a partitioned one as one
select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'meshhook_errors' and c.relkind in ('r', 'p') and not c.relispartition order by 1;

-- bytes: what tables take without their indexes, a partitioned one with its partitions
select name, (
    select coalesce(sum(pg_table_size(relid)), 0)::bigint
    from pg_partition_tree(to_regclass('meshhook_errors.' || quote_ident(name)))
) from unnest(%(tables)s::text[]) name;

-- columns: what can be written of a table
select attname from pg_attribute
where attrelid = to_regclass('meshhook_errors.' || %(table)s) and attnum > 0 and not attisdropped and attgenerated = ''
order by attnum;

-- references: which table names rows of which other one
select distinct child.relname, parent.relname
from pg_constraint join pg_class child on child.oid = conrelid join pg_class parent on parent.oid = confrelid
where contype = 'f' and connamespace = to_regnamespace('meshhook_errors') and conrelid <> confrelid;

-- identities: columns that a sequence counts
select c.relname, a.attname, pg_get_serial_sequence('meshhook_errors.' || c.relname, a.attname)
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'meshhook_errors' and c.relkind = 'r' and not c.relispartition and a.attidentity <> '' and not a.attisdropped;
