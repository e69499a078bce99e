-- every: each fingerprint as of now, the visible errors above the tally's watermark included; the beginning of the others
with pending as (
    select fingerprint, sum(stands_for)::bigint as errors, min("timestamp") as first_seen,
        max("timestamp") as last_seen, max(severity) as severity,
        (array_agg(title order by "timestamp" desc))[1] as title,
        (array_agg(source order by "timestamp" desc))[1] as source,
        (array_agg(error_type order by "timestamp" desc))[1] as error_type,
        (array_agg(project_id order by "timestamp" desc))[1] as project_id,
        (array_agg(workflow_id order by "timestamp" desc))[1] as workflow_id
    from error_metrics
    where xact_id >= coalesce((select xact_id from tally_watermark), '0'::xid8) and xact_id <= '18446744073709551615'::xid8
    group by fingerprint
), every as (
    select g.fingerprint, g.head, g.merged_into, g.continues, coalesce(p.title, g.title) as title,
        least(g.first_seen, p.first_seen) as first_seen, greatest(g.last_seen, p.last_seen) as last_seen,
        g.errors + coalesce(p.errors, 0) as errors, greatest(g.severity, p.severity) as severity,
        coalesce(p.source, g.source) as source, coalesce(p.error_type, g.error_type) as error_type,
        coalesce(p.project_id, g.project_id) as project_id, coalesce(p.workflow_id, g.workflow_id) as workflow_id
    from error_groups g
    left join pending p on p.fingerprint = g.fingerprint
    union all
    select p.fingerprint, p.fingerprint, null, null, p.title, p.first_seen, p.last_seen, p.errors, p.severity, p.source,
        p.error_type, p.project_id, p.workflow_id
    from pending p
    where not exists (select from error_groups g where g.fingerprint = p.fingerprint)
);

-- candidates: the fingerprints of groups by assignee and text, with their sights in microseconds (which are read ten
-- times faster than times), the group's state, and whether their own dimensions match
{every}
select e.fingerprint, e.head, (extract(epoch from e.first_seen) * 1000000)::bigint as first_seen,
    (extract(epoch from e.last_seen) * 1000000)::bigint as last_seen, coalesce(g.state, 'open') as state,
    e.fingerprint in (select fingerprint from every where true {filters}) as matches
from every e
left join error_groups g on g.fingerprint = e.head
left join users u on u.id = g.assignee
where (%(assignee)s::text is null or coalesce(u.name, '') = %(assignee)s)
    and (%(text)s = '' or e.head in (
        select head from every where position(lower(%(text)s) in lower(title)) > 0 or fingerprint = %(text)s));

-- described: all about some groups but their counts of a range
{every}
select e.head as fingerprint, (array_agg(e.title order by e.last_seen desc))[1] as title,
    coalesce(g.state, 'open') as state, g.resolved_at, g.ignored_until, g.ignored_until_errors, u.name as assignee,
    g.changed_at, g.changed_by,
    (array_agg(e.source order by e.last_seen desc))[1] as source,
    (array_agg(e.error_type order by e.last_seen desc))[1] as error_type, max(e.severity)::text as severity,
    (array_agg(e.project_id order by e.last_seen desc))[1]::text as project_id,
    (array_agg(e.workflow_id order by e.last_seen desc))[1]::text as workflow_id,
    min(e.first_seen) as first_seen, max(e.last_seen) as last_seen, sum(e.errors)::bigint as total,
    array_agg(e.fingerprint order by e.fingerprint) as members
from every e
left join error_groups g on g.fingerprint = e.head
left join users u on u.id = g.assignee
where e.head = any(%(heads)s)
group by e.head, g.fingerprint, u.id;

-- head_of: the group that a fingerprint counts for
{every}
select head from every where fingerprint = %(fingerprint)s;

-- members: the fingerprints of a group, its own first
{every}
select fingerprint, title, merged_into, continues, errors as total, first_seen, last_seen
from every where head = %(fingerprint)s
order by fingerprint <> head, first_seen, fingerprint;

-- members_of: the fingerprints of some groups
select fingerprint from error_groups where head in (select head from error_groups where fingerprint = any(%(given)s))
union
select unnest(%(given)s::text[])
order by 1;

-- notes: what people wrote about a group, the newest first
select n.id, n.at, n.author, n.note, n.fingerprint
from group_notes n
join error_groups g on g.fingerprint = n.fingerprint
where g.head = %(fingerprint)s
order by n.at desc, n.id desc;

-- history: what became of a group, the newest first
select at, kind, by, detail, fingerprint, member
from group_events
where fingerprint in (select fingerprint from error_groups where head = %(fingerprint)s)
    or member in (select fingerprint from error_groups where head = %(fingerprint)s)
order by at desc, id desc
limit %(limit)s;

-- events: new or regressed groups in their 10-second buckets
select date_bin('10 seconds', at, 'epoch'::timestamptz) as bucket, count(*) as events
from group_events
where kind = %(kind)s and at >= %(start)s and at < %(end)s {filters}
group by 1
order by 1;

-- event_groups: which groups were new or regressed, the latest first
select fingerprint, max(at) as at from group_events
where kind = %(kind)s and at >= %(start)s and at < %(end)s {filters}
group by fingerprint
order by at desc, fingerprint
limit %(limit)s;
