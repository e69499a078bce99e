-- errors: errors per bucket from the lake
select moment // $interval_us * $interval_us as bucket, {group} as "group", sum(errors)::bigint as errors
from {sources}
where true {filters}
group by 1, 2;

-- executions: trials per bucket from the lake
select moment // $interval_us * $interval_us as bucket, {group} as "group",
    sum(finished)::bigint as finished, sum(failed)::bigint as failed
from {sources}
where true {filters}
group by 1, 2;

-- groups: errors per group from the lake
select fingerprint, sum(errors)::bigint as errors,
    max(case severity when 'high' then 3 when 'medium' then 2 else 1 end) as rank, max(last_seen) as last_seen
from {sources}
where true {filters}
group by 1;

-- events: the newest errors of the lake's parts
select error_id, "timestamp", source, error_type, severity, workflow_id, project_id, title, fingerprint, stands_for
    {details}
from {parts}
where "timestamp" >= $start and "timestamp" < $end
    and ("timestamp" < $before or ("timestamp" = $before and error_id < $before_id)) {filters}
order by "timestamp" desc, error_id desc
limit $limit;

-- error_by_id: one error as the lake has it
select error_id, "timestamp", source, error_type, severity, workflow_id, project_id, run_id, title, fingerprint,
    stands_for, metadata, received_at
from {parts}
where error_id = $error_id;
