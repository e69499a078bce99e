-- claim: the range that the mirror publishes next, or has published last
select from_xact::text::bigint, to_xact::text::bigint, system_identifier from mirror_claims where dataset = %(dataset)s;

-- oldest_errors: the oldest transaction whose errors are still in Postgres
select xact_id::text::bigint from error_metrics order by xact_id limit 1;

-- oldest_executions: the same for trials
select xact_id::text::bigint from execution_metrics order by xact_id limit 1;

-- waiting_errors: how many errors the lake doesn't have yet
select count(*) from error_metrics where xact_id >= %(watermark)s::text::xid8;

-- waiting_executions: the same for trials
select count(*) from execution_metrics where xact_id >= %(watermark)s::text::xid8;

-- retired: the days whose rows left the lake for their age, with what these stood for
select day, counted from retired_days where dataset = %(dataset)s;
