-- oldest_since: the first event of a span of time
select min(id) from public.workflow_events where ts >= %(since)s and id <= %(first_id)s;

-- open_ranges: ids of that span that weren't taken in yet, newest last
select lower(span), upper(span)
from meshhook_connection, unnest(int8multirange(int8range(%(from_id)s, first_id + 1)) - covered) span
where disconnected_at is null order by 1;

-- cover: these ids are taken in
update meshhook_connection set covered = covered + int8multirange(int8range(%(from_id)s, %(to_id)s));
