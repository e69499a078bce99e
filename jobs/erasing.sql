-- lake_days: by day, what goes from the lake
select "timestamp"::date, count(*)::bigint, coalesce(sum({counted}), 0)::bigint
from {parts} where {gone} and xact_id < $below group by 1 order by 1;

-- rollup_tells: whether a kept rollup has any of it
select 1 from read_parquet($path, hive_partitioning = false) where {gone} limit 1;

-- lake_series: what goes, in the shape of the 10-second counts, as far back as they reach
select make_timestamptz((epoch_us("timestamp") // 10000000) * 10000000)::varchar, project_id, workflow_id, source, error_type,
    severity, fingerprint, sum(stands_for)::bigint
from {parts} where {gone} and xact_id < $below and "timestamp" >= $oldest group by all;

-- lake_groups: what goes, by fingerprint
select fingerprint, sum(stands_for)::bigint from {parts} where {gone} and xact_id < $below group by 1;

-- lake_kept: of these fingerprints, what stays
select fingerprint, min("timestamp")::varchar, max("timestamp")::varchar, arg_max(title, "timestamp"),
    arg_max(source, "timestamp"), arg_max(error_type, "timestamp"),
    case max(case severity when 'high' then 3 when 'medium' then 2 else 1 end)
        when 3 then 'high' when 2 then 'medium' else 'low' end,
    arg_max_null(project_id, "timestamp"), arg_max_null(workflow_id, "timestamp")
from {parts}
where list_contains($fingerprints, fingerprint) and xact_id < $below and not ({gone}) group by 1;

-- postgres_days_errors: by day, what Postgres has of it that isn't in the lake yet, and what it has in all
select ("timestamp" at time zone 'UTC')::date, count(*) filter (where xact_id >= %(below)s::text::xid8),
    coalesce(sum(stands_for) filter (where xact_id >= %(below)s::text::xid8), 0)::bigint, count(*)
from error_metrics where {gone} group by 1 order by 1;

-- postgres_days_executions: the same for trials
select ("timestamp" at time zone 'UTC')::date, count(*) filter (where xact_id >= %(below)s::text::xid8),
    coalesce(sum(finished) filter (where xact_id >= %(below)s::text::xid8), 0)::bigint, count(*)
from execution_metrics where {gone} group by 1 order by 1;

-- oldest_count: how far back the 10-second counts reach
select min(bucket) from error_counts;

-- lock_tally: nothing is folded until this transaction ends; answers up to where it was
select xact_id::text::bigint from tally_watermark for update;

-- make_tables: what goes, for as long as this transaction lasts
create temporary table erased_series on commit drop as
select bucket, project_id, workflow_id, source, error_type, severity, fingerprint, errors from error_counts limit 0;
create temporary table erased_groups (fingerprint text, errors bigint) on commit drop;
create temporary table kept_groups on commit drop as
select fingerprint, first_seen, last_seen, title, source, error_type, severity, project_id, workflow_id
from error_groups limit 0;
create temporary table emptied_groups (fingerprint text primary key) on commit drop;

-- delete_errors: answers how many rows, and those of them that the lake doesn't have
with gone as (
    delete from error_metrics where {gone} returning *
), folded as (
    select * from gone where xact_id >= %(below)s::text::xid8 and xact_id < %(folded)s::text::xid8
), series as (
    insert into erased_series
    select date_bin('10 seconds', "timestamp", 'epoch'::timestamptz), project_id, workflow_id, source, error_type,
        severity, fingerprint, sum(stands_for)
    from folded group by 1, 2, 3, 4, 5, 6, 7
), groups as (
    insert into erased_groups
    select fingerprint, coalesce(sum(stands_for) filter (where xact_id < %(folded)s::text::xid8), 0)
    from gone where xact_id >= %(below)s::text::xid8 group by 1
)
select count(*) filter (where xact_id >= %(below)s::text::xid8),
    coalesce(sum(stands_for) filter (where xact_id >= %(below)s::text::xid8), 0)::bigint
from gone;

-- delete_executions: the same for trials
with gone as (
    delete from execution_metrics where {gone} returning *
)
select count(*) filter (where xact_id >= %(below)s::text::xid8),
    coalesce(sum(finished) filter (where xact_id >= %(below)s::text::xid8), 0)::bigint
from gone;

-- delete_counts: whole series of a project, workflow or group
delete from error_counts where {gone};

-- delete_execution_counts: the same for trials
delete from execution_counts where {gone};

-- subtract_counts: single errors, taken from the series that they were counted in
with gone as (
    select bucket, project_id, workflow_id, source, error_type, severity, fingerprint, sum(errors)::bigint as errors
    from erased_series group by 1, 2, 3, 4, 5, 6, 7
)
update error_counts kept set errors = greatest(kept.errors - gone.errors, 0)
from gone
where (kept.bucket, kept.source, kept.error_type, kept.severity, kept.fingerprint)
        = (gone.bucket, gone.source, gone.error_type, gone.severity, gone.fingerprint)
    and kept.project_id is not distinct from gone.project_id
    and kept.workflow_id is not distinct from gone.workflow_id;

-- drop_empty_counts: series that have nothing left
delete from error_counts where errors = 0 and bucket in (select bucket from erased_series);

-- touched_groups: the fingerprints of all that goes
select distinct fingerprint from erased_groups;

-- keep_groups: what is left of the touched groups in Postgres and not in the lake, beside what the lake has of them
insert into kept_groups
select fingerprint, min("timestamp"), max("timestamp"), (array_agg(title order by "timestamp" desc))[1],
    (array_agg(source order by "timestamp" desc))[1], (array_agg(error_type order by "timestamp" desc))[1],
    max(severity), (array_agg(project_id order by "timestamp" desc))[1],
    (array_agg(workflow_id order by "timestamp" desc))[1]
from error_metrics
where xact_id >= %(below)s::text::xid8 and fingerprint in (select fingerprint from erased_groups)
group by fingerprint;

-- renew_groups: groups of which something is left, as that tells; days without detail may have been first
with gone as (
    select fingerprint, sum(errors)::bigint as errors from erased_groups group by 1
), kept as (
    select fingerprint, min(first_seen) as first_seen, max(last_seen) as last_seen, max(severity) as severity,
        (array_agg(title order by last_seen desc))[1] as title,
        (array_agg(source order by last_seen desc))[1] as source,
        (array_agg(error_type order by last_seen desc))[1] as error_type,
        (array_agg(project_id order by last_seen desc))[1] as project_id,
        (array_agg(workflow_id order by last_seen desc))[1] as workflow_id
    from kept_groups group by 1
)
update error_groups g
set errors = greatest(g.errors - gone.errors, 0), last_seen = kept.last_seen, severity = kept.severity,
    first_seen = case when g.first_seen < %(detail)s then g.first_seen else kept.first_seen end,
    title = kept.title, source = kept.source, error_type = kept.error_type, project_id = kept.project_id,
    workflow_id = kept.workflow_id
from gone join kept using (fingerprint)
where g.fingerprint = gone.fingerprint;

-- find_emptied: groups of which nothing is left
insert into emptied_groups
select distinct fingerprint from erased_groups where fingerprint not in (select fingerprint from kept_groups);

-- part_emptied: groups that go leave the others of their family alone
update error_groups g set head = fingerprint, merged_into = null, continues = null
where fingerprint in (select fingerprint from emptied_groups)
    and not exists (select from error_groups o where o.head = g.head
        and o.fingerprint not in (select fingerprint from emptied_groups));

-- delete_emptied_events: the history of what is gone
delete from group_events
where fingerprint in (select fingerprint from emptied_groups) or member in (select fingerprint from emptied_groups);

-- delete_emptied_notes: the notes of groups of which no error is left, nor of those that count for them
delete from group_notes where fingerprint in (select fingerprint from emptied_groups);

-- delete_emptied: but one that other groups count for stays, without a title
delete from error_groups g
where fingerprint in (select fingerprint from emptied_groups)
    and not exists (select from error_groups o where o.fingerprint <> g.fingerprint
        and g.fingerprint in (o.head, o.merged_into, o.continues));

-- blank_emptied: what stays of them
update error_groups set title = '(erased)', errors = 0 where fingerprint in (select fingerprint from emptied_groups);

-- blank_messages: titles of groups in messages that were sent or wait
update notifications n
set message = jsonb_set(message, '{top_groups}', (
    select jsonb_agg(case when told.one ->> 'fingerprint' in (select fingerprint from emptied_groups)
        then told.one || '{"title": "(erased)"}' else told.one end order by told.number)
    from jsonb_array_elements(n.message -> 'top_groups') with ordinality as told (one, number)))
where exists (
    select from jsonb_array_elements(n.message -> 'top_groups') as told (one)
    where told.one ->> 'fingerprint' in (select fingerprint from emptied_groups)
);

-- blank_marks: a mark in the texts of messages
update notifications n set message = replace(message::text, %(mark)s, '(erased)')::jsonb
where position(%(mark)s in message::text) > 0;

-- blank_notes: a mark in what people wrote
update group_notes set note = replace(note, %(mark)s, '(erased)') where position(%(mark)s in note) > 0;

-- blank_titles: a mark in the title of a group whose errors are older than the lake's detail
update error_groups set title = replace(title, %(mark)s, '(erased)') where position(%(mark)s in title) > 0;

-- delete_stuck: what was noticed of runs of MeshHook
delete from stuck_runs where {gone};

-- delete_runs: how runs of MeshHook that have ended went
delete from meshhook_runs where {gone} and outcome is not null;

-- request: what is to be erased
insert into erasures (by, kind, keys) values (%(by)s, %(kind)s, %(keys)s) returning id;

-- is_pending: whether anything is to be erased
select exists (select from erasures where finished_at is null);

-- requested: what hasn't been begun, oldest first
select id, kind, keys from erasures where noted_at is null order by at;

-- is_folded: whether the tally has everything below the lake's watermark
select not exists (select from error_metrics m where m.xact_id < %(below)s::text::xid8
        and m.xact_id >= (select xact_id from tally_watermark))
    and not exists (select from execution_metrics m where m.xact_id < %(below)s::text::xid8
        and m.xact_id >= (select xact_id from tally_watermark));

-- note: the erasure, as done here and to be done in the lake
update erasures set rows = %(rows)s, errors = %(errors)s, trials = %(trials)s, below = %(below)s::jsonb, noted_at = now()
where id = %(id)s;

-- unfinished: erasures that the lake hasn't followed, oldest first
select id, kind, keys, below from erasures where noted_at is not null and finished_at is null order by at;

-- finish: the lake has followed
update erasures set finished_at = now(), days = %(days)s where id = %(id)s;

-- all: every erasure, newest first
select id, at, by, kind, keys, rows, errors, trials, days, finished_at is not null from erasures order by at desc;
