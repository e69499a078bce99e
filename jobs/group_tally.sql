-- fold_groups: counts, sights and dimensions of each fingerprint between watermark and horizon; answers those that are
-- new, and those whose group is resolved or ignored
with sighted as (
    select fingerprint, min("timestamp") as first_seen, max("timestamp") as last_seen, sum(stands_for)::bigint as errors,
        max(severity) as severity,
        (array_agg(title order by "timestamp" desc))[1] as title,
        (array_agg(source order by "timestamp" desc))[1] as source,
        (array_agg(error_type order by "timestamp" desc))[1] as error_type,
        (array_agg(project_id order by "timestamp" desc))[1] as project_id,
        (array_agg(workflow_id order by "timestamp" desc))[1] as workflow_id
    from error_metrics
    where xact_id >= %(watermark)s::text::xid8 and xact_id < %(horizon)s::text::xid8
    group by fingerprint
), folded as (
    insert into error_groups as kept (fingerprint, head, title, first_seen, last_seen, errors, source, error_type,
        severity, project_id, workflow_id)
    select fingerprint, fingerprint, title, first_seen, last_seen, errors, source, error_type, severity, project_id,
        workflow_id
    from sighted
    on conflict (fingerprint) do update set
        title = case when excluded.last_seen >= kept.last_seen then excluded.title else kept.title end,
        source = case when excluded.last_seen >= kept.last_seen then excluded.source else kept.source end,
        error_type = case when excluded.last_seen >= kept.last_seen then excluded.error_type else kept.error_type end,
        project_id = case when excluded.last_seen >= kept.last_seen then excluded.project_id else kept.project_id end,
        workflow_id = case when excluded.last_seen >= kept.last_seen then excluded.workflow_id else kept.workflow_id end,
        severity = greatest(kept.severity, excluded.severity),
        first_seen = least(kept.first_seen, excluded.first_seen),
        last_seen = greatest(kept.last_seen, excluded.last_seen),
        errors = kept.errors + excluded.errors
    returning fingerprint, head, state
)
select folded.fingerprint, known.fingerprint is null as is_new
from folded
left join error_groups known on known.fingerprint = folded.fingerprint
left join error_groups head on head.fingerprint = folded.head
where known.fingerprint is null or folded.state in ('resolved', 'ignored') or head.state in ('resolved', 'ignored');

-- carry_on: new fingerprints of which a first error names the group that it had by an earlier version. A process names it
-- with the first one that it sees, which is the first in its transaction: no more documents are opened
with first as (
    select distinct on (fingerprint, xact_id) fingerprint, metadata from error_metrics
    where xact_id >= %(watermark)s::text::xid8 and xact_id < %(horizon)s::text::xid8 and fingerprint = any(%(new)s)
    order by fingerprint, xact_id, ctid
), named as (
    select fingerprint, min(metadata ->> 'fingerprint_before') as before from first group by fingerprint
)
update error_groups g set continues = known.fingerprint, head = known.head
from named
join error_groups known on known.fingerprint = named.before and known.fingerprint <> all(%(new)s)
where g.fingerprint = named.fingerprint;

-- tell_new: an event for each new group; one that carries on another isn't new
with first as (
    select fingerprint, min(received_at) as received_at, min("timestamp") as first_seen
    from error_metrics
    where xact_id >= %(watermark)s::text::xid8 and xact_id < %(horizon)s::text::xid8 and fingerprint = any(%(new)s)
    group by fingerprint
)
insert into group_events (at, kind, fingerprint, source, error_type, severity, project_id, workflow_id)
select case when first.first_seen < first.received_at - %(history)s then first.first_seen else first.received_at end,
    'new', g.fingerprint, g.source, g.error_type, g.severity, g.project_id, g.workflow_id
from first
join error_groups g on g.fingerprint = first.fingerprint
where g.continues is null
returning {event};

-- regress: resolved groups of which an error has happened since; each with its event
with relapsed as (
    select head.fingerprint, head.resolved_at, min(m.received_at) as at, max(m.severity) as severity,
        (array_agg(m.source order by m."timestamp" desc))[1] as source,
        (array_agg(m.error_type order by m."timestamp" desc))[1] as error_type,
        (array_agg(m.project_id order by m."timestamp" desc))[1] as project_id,
        (array_agg(m.workflow_id order by m."timestamp" desc))[1] as workflow_id
    from error_metrics m
    join error_groups g on g.fingerprint = m.fingerprint
    join error_groups head on head.fingerprint = g.head
    where m.xact_id >= %(watermark)s::text::xid8 and m.xact_id < %(horizon)s::text::xid8
        and m.fingerprint = any(%(touched)s) and head.state = 'resolved' and m."timestamp" > head.resolved_at
    group by head.fingerprint, head.resolved_at
), regressed as (
    update error_groups g set state = 'regressed', changed_at = now(), changed_by = null
    from relapsed r
    where g.fingerprint = r.fingerprint and g.state = 'resolved' and g.resolved_at = r.resolved_at
    returning g.fingerprint
)
insert into group_events (at, kind, fingerprint, source, error_type, severity, project_id, workflow_id)
select r.at, 'regressed', r.fingerprint, r.source, r.error_type, r.severity, r.project_id, r.workflow_id
from relapsed r
join regressed using (fingerprint)
returning {event};

-- end_by_count: groups that were ignored until they have so many errors, and have them
with awake as (
    update error_groups g
    set state = 'open', ignored_until = null, ignored_until_errors = null, changed_at = now(), changed_by = null
    where g.state = 'ignored' and g.ignored_until_errors is not null
        and g.fingerprint in (select head from error_groups where fingerprint = any(%(touched)s))
        and g.ignored_until_errors <= (select sum(m.errors) from error_groups m where m.head = g.fingerprint)
    returning g.fingerprint
)
insert into group_events (at, kind, fingerprint, detail)
select now(), 'reopened', fingerprint, 'It has had as many errors as it was ignored for.' from awake;

-- end_by_time: groups that were ignored until then
with over as (
    select fingerprint, ignored_until from error_groups
    where state = 'ignored' and ignored_until <= now()
    for update
), awake as (
    update error_groups g
    set state = 'open', ignored_until = null, ignored_until_errors = null, changed_at = now(), changed_by = null
    from over
    where g.fingerprint = over.fingerprint
    returning g.fingerprint
)
insert into group_events (at, kind, fingerprint, detail)
select over.ignored_until, 'reopened', fingerprint, 'The time that it was ignored for is over.' from over join awake using (fingerprint);

-- telling: which of these fingerprints are unknown (null), or of a group that is resolved (since when)
select given.fingerprint, head.resolved_at
from unnest(%(fingerprints)s::text[]) as given (fingerprint)
left join error_groups g on g.fingerprint = given.fingerprint
left join error_groups head on head.fingerprint = g.head
where g.fingerprint is null or head.state = 'resolved';

-- pending_new: groups that are visible above the horizon alone, as the events that they will be
with first as (
    select distinct on (fingerprint, xact_id) fingerprint, metadata from error_metrics
    where xact_id >= %(horizon)s::text::xid8 and fingerprint = any(%(unknown)s)
    order by fingerprint, xact_id, ctid
), named as (
    select fingerprint, min(metadata ->> 'fingerprint_before') as before from first group by fingerprint
), fresh as (
    select fingerprint from named
    where not exists (select from error_groups where error_groups.fingerprint = named.before)
)
select 0::bigint, date_bin('10 seconds', case when min("timestamp") < min(received_at) - %(history)s
        then min("timestamp") else min(received_at) end, 'epoch'::timestamptz),
    (array_agg(project_id order by "timestamp" desc))[1], (array_agg(workflow_id order by "timestamp" desc))[1],
    (array_agg(source order by "timestamp" desc))[1], (array_agg(error_type order by "timestamp" desc))[1],
    max(severity)::text, fingerprint, 'new'
from error_metrics
where xact_id >= %(horizon)s::text::xid8 and fingerprint in (select fingerprint from fresh)
group by fingerprint;

-- pending_regressed: the same for groups that will have regressed
select 0::bigint, date_bin('10 seconds', min(m.received_at), 'epoch'::timestamptz),
    (array_agg(m.project_id order by m."timestamp" desc))[1], (array_agg(m.workflow_id order by m."timestamp" desc))[1],
    (array_agg(m.source order by m."timestamp" desc))[1], (array_agg(m.error_type order by m."timestamp" desc))[1],
    max(m.severity)::text, head.fingerprint, 'regressed'
from error_metrics m
join error_groups g on g.fingerprint = m.fingerprint
join error_groups head on head.fingerprint = g.head
where m.xact_id >= %(horizon)s::text::xid8 and m.fingerprint = any(%(resolved)s)
    and head.state = 'resolved' and m."timestamp" > head.resolved_at
group by head.fingerprint;
