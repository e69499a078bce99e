-- meshhook_state: the connection, what waits in its inbox, and how many failures its triggers couldn't write
select connected_at, disconnected_at, read_at, inbox.waiting, inbox.oldest, misses.number, recovered
from meshhook_connection
cross join (select count(*) as waiting, min(written_at) as oldest from meshhook_inbox) inbox
cross join (select case when is_called then last_value else 0 end as number from meshhook_misses) misses;
