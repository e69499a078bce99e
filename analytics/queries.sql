-- What isn't counted yet lies above the tally's watermark. Postgres doesn't know how little that is, and would take a
-- lone inequality for a third of the table; a range counts as little. So ids are said to be at most the highest there is.

-- live_errors: errors per bucket from the rollup and the rows above the tally's watermark, in one snapshot
with watermark as (
    select coalesce((select xact_id from tally_watermark), '0'::xid8) as xact_id
)
select bucket, {group} as "group", sum(errors)::bigint as errors
from (
    select date_bin(make_interval(secs => %(interval)s), bucket, 'epoch'::timestamptz) as bucket, {columns}, errors
    from error_counts
    where bucket >= %(start)s and bucket < %(end)s {filters}
    union all
    select date_bin(make_interval(secs => %(interval)s), "timestamp", 'epoch'::timestamptz), {columns}, stands_for
    from error_metrics
    where xact_id >= (select xact_id from watermark) and xact_id <= '18446744073709551615'::xid8
        and "timestamp" >= %(start)s and "timestamp" < %(end)s {filters}
) counted
group by 1, 2;

-- live_executions: trials per bucket from the rollup and the rows above the tally's watermark, in one snapshot
with watermark as (
    select coalesce((select xact_id from tally_watermark), '0'::xid8) as xact_id
)
select bucket, {group} as "group", sum(finished)::bigint as finished, sum(failed)::bigint as failed
from (
    select date_bin(make_interval(secs => %(interval)s), bucket, 'epoch'::timestamptz) as bucket, {columns},
        finished, failed
    from execution_counts
    where bucket >= %(start)s and bucket < %(end)s {filters}
    union all
    select date_bin(make_interval(secs => %(interval)s), "timestamp", 'epoch'::timestamptz), {columns},
        finished, failed
    from execution_metrics
    where xact_id >= (select xact_id from watermark) and xact_id <= '18446744073709551615'::xid8
        and "timestamp" >= %(start)s and "timestamp" < %(end)s {filters}
) counted
group by 1, 2;

-- tail_errors: errors per bucket that the lake doesn't have yet
select date_bin(make_interval(secs => %(interval)s), "timestamp", 'epoch'::timestamptz) as bucket,
    {group} as "group", sum(stands_for)::bigint as errors
from error_metrics
where xact_id >= %(watermark)s::text::xid8 and "timestamp" >= %(start)s and "timestamp" < %(end)s {filters}
group by 1, 2;

-- tail_executions: trials per bucket that the lake doesn't have yet
select date_bin(make_interval(secs => %(interval)s), "timestamp", 'epoch'::timestamptz) as bucket,
    {group} as "group", sum(finished)::bigint as finished, sum(failed)::bigint as failed
from execution_metrics
where xact_id >= %(watermark)s::text::xid8 and "timestamp" >= %(start)s and "timestamp" < %(end)s {filters}
group by 1, 2;

-- live_groups: errors per group from the rollup and the rows above the tally's watermark
with watermark as (
    select coalesce((select xact_id from tally_watermark), '0'::xid8) as xact_id
)
select fingerprint, sum(errors)::bigint as errors, max(severity)::text as severity, max(seen) as last_seen
from (
    select fingerprint, errors, severity, bucket as seen from error_counts
    where bucket >= %(start)s and bucket < %(end)s {filters}
    union all
    select fingerprint, stands_for, severity, "timestamp" from error_metrics
    where xact_id >= (select xact_id from watermark) and xact_id <= '18446744073709551615'::xid8
        and "timestamp" >= %(start)s and "timestamp" < %(end)s {filters}
) counted
group by 1 order by errors desc, fingerprint limit %(limit)s;

-- tail_groups: errors per group that the lake doesn't have yet
select fingerprint, sum(stands_for)::bigint as errors, max(severity)::text as severity, max("timestamp") as last_seen
from error_metrics
where xact_id >= %(watermark)s::text::xid8 and "timestamp" >= %(start)s and "timestamp" < %(end)s {filters}
group by 1;

-- group_titles: the readable line of some groups, and when each was last seen
select fingerprint, title, last_seen from error_groups where fingerprint = any(%(fingerprints)s)
union all
(select distinct on (fingerprint) fingerprint, title, "timestamp" from error_metrics
 where xact_id >= coalesce((select xact_id from tally_watermark), '0'::xid8) and xact_id <= '18446744073709551615'::xid8
    and fingerprint = any(%(fingerprints)s)
 order by fingerprint, "timestamp" desc);

-- tail_events: the newest errors that the lake doesn't have yet
select error_id::text, "timestamp", source, error_type, severity::text, workflow_id::text, project_id::text,
    title, fingerprint, stands_for{details}
from error_metrics
where xact_id >= %(watermark)s::text::xid8 and "timestamp" >= %(start)s and "timestamp" < %(end)s
    and ("timestamp", error_id) < (%(before)s, %(before_id)s) {filters}
order by "timestamp" desc, error_id desc
limit %(limit)s;

-- error_by_id: one error as Postgres has it
select m.error_id::text, m."timestamp", m.source, m.error_type, m.severity::text, m.workflow_id::text,
    m.project_id::text, m.run_id::text, m.title, m.fingerprint, m.stands_for, m.metadata, m.received_at
from error_ids known
join error_metrics m on m.received_at = known.received_at and m.xact_id = known.xact_id and m.error_id = known.error_id
where known.error_id = %(error_id)s;

-- known_values: the values that a filter can offer, from what the rollup holds
select distinct source, error_type, workflow_id::text, project_id::text from error_counts where bucket >= %(since)s
union
select distinct source, error_type, workflow_id::text, project_id::text from error_metrics
where xact_id >= coalesce((select xact_id from tally_watermark), '0'::xid8) and xact_id <= '18446744073709551615'::xid8;

-- any_error: a row if there is an error at all
select 1 from error_metrics limit 1;
