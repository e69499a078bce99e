-- stuck_runs: runs that were noticed lately and stand still, alike ones as one row with its newest run, the newest first,
-- then those that moved again a moment ago
with lately as (
    select *, moved_at is not null as has_moved from stuck_runs
    where noticed_at > %(noticed_after)s and (moved_at is null or moved_at > %(moved_after)s) {filters}
), numbered as (
    select *, count(*) over alike as runs,
        row_number() over (alike order by noticed_at desc, error_id) as number,
        count(*) filter (where not has_moved) over () as still
    from lately window alike as (partition by has_moved, project_id, workflow_id, reason, node)
)
select error_id::text, run_id::text, project_id::text, workflow_id::text, reason, node, since, noticed_at, moved_at, runs,
    still
from numbered where number = 1
order by has_moved, noticed_at desc, error_id
limit %(limit)s;
