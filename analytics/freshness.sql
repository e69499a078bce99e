-- complete_to: since when a spool holds rows back, and when an API was last alive
select min((detail ->> 'spooled_since')::timestamptz), max(seen_at)
from components
where component = 'api' and seen_at > now() - interval '1 day';
