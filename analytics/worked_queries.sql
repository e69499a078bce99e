-- errors_by_day: How many errors were there each day, by severity?
select
  day,
  sum(stands_for) as errors,
  coalesce(sum(stands_for) filter (where severity = 'high'), 0) as high,
  coalesce(sum(stands_for) filter (where severity = 'medium'), 0) as medium,
  coalesce(sum(stands_for) filter (where severity = 'low'), 0) as low
from errors
where day >= current_date - 30
group by day
order by day;

-- groups_of_the_week: Which groups had the most errors within a week, and how large is their share?
select
  fingerprint,
  arg_max(title, timestamp) as title,
  sum(stands_for) as errors,
  round(100 * sum(stands_for) / sum(sum(stands_for)) over (), 1) as percent,
  max(timestamp) as last_seen
from errors
where day >= current_date - 7
group by fingerprint
order by errors desc
limit 20;

-- failing_workflows: Which workflows fail most often?
select
  workflow_id,
  sum(finished) as finished,
  sum(failed) as failed,
  round(100 * sum(failed) / nullif(sum(finished), 0), 2) as percent_failed
from executions
where day >= current_date - 7
group by workflow_id
order by percent_failed desc nulls last
limit 20;

-- new_groups: Which groups came up within a week for the first time?
select
  fingerprint,
  arg_min(title, timestamp) as title,
  min(timestamp) as first_seen,
  sum(stands_for) as errors
from errors
group by fingerprint
having first_seen >= current_date - 7
order by first_seen desc;

-- week_against_week: What has become better or worse since the week before?
with weeks as (
  select
    fingerprint,
    arg_max(title, timestamp) as title,
    coalesce(sum(stands_for) filter (where day >= current_date - 7), 0) as this_week,
    coalesce(sum(stands_for) filter (where day < current_date - 7), 0) as week_before
  from errors
  where day >= current_date - 14 and day < current_date
  group by fingerprint
)
select *, this_week - week_before as change
from weeks
order by abs(change) desc, fingerprint
limit 20;

-- hours_of_the_week: At which hours of the day do errors happen, on working days and at weekends?
select
  hour(timestamp) as hour,
  case when isodow(day) <= 5 then 'working day' else 'weekend' end as kind,
  sum(stands_for) / count(distinct day) as errors_per_day
from errors
where day >= current_date - 28
group by hour, kind
order by hour, kind;

-- busiest_minutes: What was the busiest minute of each day?
select
  day,
  time_bucket(interval '1 minute', timestamp) as minute,
  sum(stands_for) as errors,
  count(distinct fingerprint) as groups
from errors
where day >= current_date - 14
group by day, minute
qualify row_number() over (partition by day order by sum(stands_for) desc, minute) = 1
order by day;

-- reach: How many runs and workflows does each group touch?
select
  fingerprint,
  arg_max(title, timestamp) as title,
  count(distinct run_id) as runs,
  count(distinct workflow_id) as workflows,
  sum(stands_for) as errors
from errors
where day >= current_date - 7
group by fingerprint
order by runs desc, errors desc
limit 20;

-- statuses: Which HTTP statuses do the nodes get, and how often?
select
  metadata->>'$.node' as node,
  (metadata->>'$.http_status')::int as status,
  count(*) as errors,
  list_sort(list(distinct source)) as sources
from errors
where day >= current_date - 7 and status is not null
group by node, status
order by errors desc;

-- lateness: How late do errors arrive?
select
  source,
  count(*) as rows,
  round(quantile_cont(epoch(received_at) - epoch(timestamp), 0.5), 2) as median_seconds,
  round(quantile_cont(epoch(received_at) - epoch(timestamp), 0.99), 2) as p99_seconds,
  max(received_at - timestamp) as latest
from errors
where day >= current_date - 7
group by source
order by median_seconds desc;
