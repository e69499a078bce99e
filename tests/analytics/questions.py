"""Questions that analysts ask, with what the small lake answers; None where any rows will do."""

QUESTIONS: tuple[tuple[str, list[tuple[object, ...]] | None], ...] = (
    ("select count(*) from errors", [(2521,)]),
    ("from errors select count(*), sum(stands_for)", [(2521, 3020)]),
    ("select count(*) from main.errors", [(2521,)]),
    (
        "SELECT severity, count(*) FROM errors WHERE day = '2026-11-02' GROUP BY ALL ORDER BY ALL",
        [("high", 40), ("low", 40), ("medium", 40)],
    ),
    ("select distinct severity from errors order by 1", [("high",), ("low",), ("medium",)]),
    ("select date_trunc('hour', timestamp) as hour, count(*) from errors group by 1 order by 1 limit 3", None),
    (
        "select time_bucket(interval '15 minutes', timestamp) as bucket, count(*) from errors group by 1 order by 1",
        None,
    ),
    ("select metadata->>'$.exception.type' as kind, count(*) from errors group by 1 order by 2 desc, 1 limit 1", None),
    ("select json_extract_string(metadata, '$.tags.plan'), count(*) from errors group by 1", None),
    (
        "select (metadata->>'http_status')::int as status, count(*) from errors where status >= 500 group by 1",
        [(502, 1260)],
    ),
    ("select key, count(*) from errors, json_each(metadata) group by key order by 2 desc limit 2", None),
    (
        "select unnest(json_keys(metadata)) as key, count(*) from errors group by 1 order by 2 desc limit 1",
        [("message", 2520)],
    ),
    ("select quantile_cont(epoch(received_at) - epoch(timestamp), [0.5, 0.95]) from errors", None),
    ("select approx_quantile(xact_id, 0.5), median(stands_for), mode(source) from errors", None),
    ("select percentile_cont(0.9) within group (order by xact_id) from errors", None),
    ("select count(*) filter (where severity = 'high') / count(*) from errors", None),
    (
        "select workflow_id, sum(failed) / sum(finished) as rate from executions group by 1 order by rate desc limit 1",
        [("00000000-0000-0000-0000-000000000005", 0.05)],
    ),
    (
        "with e as (select workflow_id, sum(stands_for) n from errors group by 1), x as (select "
        "workflow_id, sum(finished) f from executions group by 1) select count(*) from e join x using "
        "(workflow_id)",
        [(5,)],
    ),
    (
        "select day, n, lag(n) over (order by day) as before from (select day, count(*) n from errors "
        "group by day) order by day limit 2",
        None,
    ),
    (
        "select fingerprint, title from errors qualify row_number() over (partition by fingerprint order"
        " by timestamp desc) = 1 order by 1",
        None,
    ),
    (
        "select day, sum(n) over (order by day rows between 6 preceding and current row) from (select "
        "day, count(*) n from errors group by day)",
        None,
    ),
    ("select rank() over w, day from (select distinct day from errors) window w as (order by day)", None),
    ("pivot errors on severity in ('high', 'medium', 'low') using count(*) group by day", None),
    ("select * from errors pivot (count(*) for source in ('worker', 'webhook') group by day)", None),
    (
        "unpivot (select count(*) a, sum(stands_for) b from errors) on a, b into name n value v",
        [("a", 2521), ("b", 3020)],
    ),
    (
        "select list_transform(list(distinct severity order by severity), lambda s: upper(s)) from errors",
        [(["HIGH", "LOW", "MEDIUM"],)],
    ),
    ("select list_filter([1, 2, 3], lambda x: x > 1), {'a': 1}.a, map {'k': 1}['k'], [x * 2 for x in [1, 2]]", None),
    ("select string_agg(distinct source, ', ' order by source) from errors", [("system, webhook, worker",)]),
    ("select regexp_replace(title, '[0-9]+', 'N') as t, count(*) from errors group by t", [("Failure N", 2521)]),
    ("select arg_max(title, timestamp), min(timestamp), max(day) from errors", None),
    ("select hour(timestamp), dayname(day), count(*) from errors group by all", None),
    ("select * exclude (metadata) from errors order by timestamp desc limit 10", None),
    ("select columns('.*_id') from errors limit 1", None),
    (
        "with recursive days as (select date '2026-11-02' as d union all select (d + interval 1 "
        "day)::date from days where d < date '2026-11-15') select count(*), count(e.day) from days left "
        "join (select distinct day from errors) e on e.day = d",
        [(14, 14)],
    ),
    (
        "select g::date as day, count(e.error_id) from generate_series(timestamp '2026-11-01', timestamp"
        " '2026-11-03', interval 1 day) t(g) left join errors e on e.day = g::date group by 1 order by 1",
        None,
    ),
    (
        "select * from errors e asof join executions x on e.workflow_id = x.workflow_id and e.timestamp "
        ">= x.timestamp limit 5",
        None,
    ),
    ("select count(*) from errors e semi join executions x using (workflow_id)", [(2521,)]),
    ("select severity, source, count(*) from errors group by rollup (severity, source)", None),
    ("select severity, grouping(severity), count(*) from errors group by grouping sets ((severity), ())", None),
    ("select count(*) from errors tablesample 50%", None),
    ("values (1, 'a'), (2, 'b')", [(1, "a"), (2, "b")]),
    (
        "select case when severity in ('high', 'medium') then 'bad' else 'fine' end k, count(*) from "
        "errors group by k order by k",
        None,
    ),
    ("select timestamp at time zone 'Europe/Berlin' from errors order by timestamp limit 1", None),
    ("select strftime(timestamp, '%Y-%m'), count(distinct run_id) from errors group by 1", None),
    ("select title, bar(count(*), 0, 1000, 10) from errors group by 1", None),
    (
        "select count(*) from errors where title ilike 'FAILURE%' and metadata not like '%counted%' and "
        "workflow_id is not null",
        [(2520,)],
    ),
    ("select count(*) from errors where day between date '2026-11-02' and date '2026-11-03'", [(240,)]),
    ("select 1 union all by name select 2 order by all", None),
    ("select day from errors intersect select day from executions order by 1 limit 1", None),
    ("describe errors", None),
    ("summarize executions", None),
    ("show tables", [("errors",), ("executions",)]),
    ("explain select count(*) from errors", None),
    ("  -- what goes wrong\n/* today */ select count(*) from errors;", [(2521,)]),
    ("select 'it''s; -- not a comment' as text", [("it's; -- not a comment",)]),
)
