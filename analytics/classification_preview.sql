-- newest_errors: the newest rows since then, without what no rule looks at
select error_id::text, "timestamp", source, error_type, severity::text, title, stands_for,
    metadata - '{frames,stack,causes,breadcrumbs,contexts,modules,extra,request,body,attributes,resource}'::text[]
from error_metrics
where "timestamp" >= %(since)s
order by "timestamp" desc
limit %(limit)s;

-- bounded: no statement of this transaction may take longer
select set_config('statement_timeout', %(milliseconds)s, true);
