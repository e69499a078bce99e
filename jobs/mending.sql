-- days_errors: how many rows of a range each day has
select ("timestamp" at time zone 'UTC')::date, count(*) from error_metrics
where xact_id >= %(start)s::text::xid8 and xact_id < %(end)s::text::xid8 group by 1 order by 1;

-- days_executions: the same for trials
select ("timestamp" at time zone 'UTC')::date, count(*) from execution_metrics
where xact_id >= %(start)s::text::xid8 and xact_id < %(end)s::text::xid8 group by 1 order by 1;

-- before_errors: whether Postgres still has errors of earlier transactions, and so all later ones
select exists (select from error_metrics where xact_id < %(start)s::text::xid8);

-- before_executions: the same for trials
select exists (select from execution_metrics where xact_id < %(start)s::text::xid8);
