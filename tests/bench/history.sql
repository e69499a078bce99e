-- errors: one day of errors, the same for the same seed; {noise} makes a uniform number of a row and a salt
create or replace temp table made as
with drawn as (
    select n, {noise_1} as when_, {noise_2} as which, {noise_3} as rest, {noise_4} as kind from range({rows}) t(n)
), placed as (
    -- a fifth of them in bursts of a minute and a half, of one group each; the rest by the sun
    select n, rest, kind < 0.2 as bursts, hash({seed}, {day}, floor(kind * 40)::int, 'burst') as burst, which,
        when_ - 0.6 * sin(2 * pi() * (when_ + 0.5)) / (2 * pi()) as warped, when_ from drawn
), grouped as (
    select n, rest, case when bursts then burst % {groups} else floor(pow({groups}, which))::ubigint - 1 end as g,
        least(86399999999, greatest(0, case when bursts
            then (burst % 86300) * 1000000 + (when_ * when_ * 90000000)::bigint
            else (warped * 86400000000)::bigint end))::bigint as offset_us
    from placed
), kinds as (
    select k as g, '1-' || left(md5('group' || k), 16) as fingerprint,
        '00000000-0000-4000-8000-' || lpad((floor(pow({workflows}, (hash(k, 'w') % 100000) / 100000.0)) - 1)::bigint::text, 12, '0')
            as workflow_id,
        '00000000-0000-4000-9000-' || lpad((k % 8)::text, 12, '0') as project_id,
        case k % 10 when 0 then 'system' when 1 then 'webhook' when 2 then 'webhook' else 'worker' end as source,
        case k % 10 when 0 then 'system' when 1 then 'input' when 2 then 'input' else 'execution' end as error_type,
        case k % 5 when 0 then 'high' when 1 then 'low' else 'medium' end as severity,
        ['HTTPError', 'TypeError', 'ConnectionError', 'ValidationError', 'TimeoutError'][1 + k % 5] as exception,
        ['createContact', 'syncOrders', 'exportReport', 'sendInvoice', 'enrichLead', 'mapFields'][1 + k % 6]
            || (k % 40) as node
    from range({groups}) t(k)
)
select uuid_of as error_id, make_timestamptz({day_us} + offset_us) as "timestamp", source, error_type, severity,
    workflow_id,
    '{"attempt": ' || (1 + n % 3) || ', "exception": {"type": "' || exception || '", "value": "order ' || (rest * 1e6)::int
        || ' was refused by ' || node || '", "module": "steps.' || node || '"}, "frames": ['
        || '{"file": "/srv/app/steps/' || node || '.py", "line": ' || (g % 300) || ', "function": "run", "in_app": true}, '
        || '{"file": "/srv/app/engine/dispatch.py", "line": 88, "function": "dispatch", "in_app": true}, '
        || '{"file": "/srv/lib/client/session.py", "line": 512, "function": "request", "in_app": false}], '
        || '"http_status": ' || (500 + g % 4) || ', "max_attempts": 3, "message": "' || exception || ': order '
        || (rest * 1e6)::int || ' was refused by ' || node || '", "node": "' || node || '", "node_type": "http_call", '
        || '"tags": {"queue": "q' || (n % 7) || '", "region": "eu-1"}}' as metadata,
    project_id, left(md5(run_seed), 8) || '-' || substr(md5(run_seed), 9, 4) || '-4' || substr(md5(run_seed), 14, 3)
        || '-8' || substr(md5(run_seed), 18, 3) || '-' || right(md5(run_seed), 12) as run_id,
    exception || ' in ' || node as title, fingerprint,
    make_timestamptz({day_us} + offset_us + 20000 + n % 900000) as received_at,
    ({start} + n // 100)::bigint as xact_id, 1::bigint as stands_for
from (
    select *, 'run' || {seed} || '/' || {day} || '/' || n as run_seed,
        -- ids begin with the time, as those that the product makes
        left(time_hex, 8) || '-' || right(time_hex, 4) || '-7' || substr(tail, 1, 3) || '-8' || substr(tail, 4, 3) || '-'
            || substr(tail, 7, 12) as uuid_of
    from (
        select *, lpad(lower(to_hex(({day_us} + offset_us) // 1000)), 12, '0') as time_hex,
            md5('id' || {seed} || '/' || {day} || '/' || n) as tail
        from grouped
    )
) join kinds using (g);

-- executions: the trials behind a day's errors, a report for each workflow and five minutes
create or replace temp table trials as
select left(id, 8) || '-' || substr(id, 9, 4) || '-4' || substr(id, 14, 3) || '-8' || substr(id, 18, 3) || '-'
    || right(id, 12) as report_id, *exclude (id)
from (
    select md5('report' || {seed} || '/' || workflow_id || source || project_id || slot) as id,
        make_timestamptz(slot * 300000000) as "timestamp", source, project_id, workflow_id,
        (failed * (10 + hash(workflow_id, slot) % 40))::bigint as finished, failed::bigint as failed,
        make_timestamptz(slot * 300000000) as received_at, {start}::bigint as xact_id
    from (
        select epoch_us("timestamp") // 300000000 as slot, source, project_id, workflow_id, count(*) as failed
        from made group by all
    )
);
