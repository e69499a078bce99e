-- stuck_runs: runs that were noticed lately and stand still, the newest first, then those that moved again a moment ago
select error_id::text, run_id::text, project_id::text, workflow_id::text, reason, node, since, noticed_at, moved_at,
    count(*) filter (where moved_at is null) over () as still
from stuck_runs
where noticed_at > %(noticed_after)s and (moved_at is null or moved_at > %(moved_after)s) {filters}
order by moved_at is not null, noticed_at desc, error_id
limit %(limit)s;
