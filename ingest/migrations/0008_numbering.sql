-- Rows are numbered by transaction. After a restore into another cluster, which counts from the beginning, the numbers
-- go on where the backup ended: `restore` replaces this function by one that adds what is missing.

create function meshhook_errors.numbered(xact_id xid8) returns xid8
    language sql immutable parallel safe as 'select $1';

comment on function meshhook_errors.numbered is 'The number of a transaction of this cluster in our tables and in the lake: its id, and more after a restore.';

alter table meshhook_errors.error_metrics alter column xact_id set default meshhook_errors.numbered(pg_current_xact_id());
alter table meshhook_errors.execution_metrics alter column xact_id set default meshhook_errors.numbered(pg_current_xact_id());
alter table meshhook_errors.error_ids alter column xact_id set default meshhook_errors.numbered(pg_current_xact_id());

insert into meshhook_errors.schema_migrations (version, name) values (8, 'numbering');
