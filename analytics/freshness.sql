-- complete_to: since when a spool of an API that lives, or did so lately, holds rows back, and when an API was last alive
select min((detail ->> 'spooled_since')::timestamptz) filter (where seen_at > now() - interval '15 minutes'), max(seen_at)
from components
where component = 'api';
