-- beat: a sign of life
insert into components (component, instance, started_at, seen_at, detail)
values (%(component)s, %(instance)s, %(started_at)s, now(), %(detail)s::jsonb)
on conflict (component, instance) do update
    set started_at = excluded.started_at, seen_at = excluded.seen_at, detail = excluded.detail;

-- forget: instances that are long gone, but for the last one seen of each component
delete from components gone
where gone.seen_at < now() - interval '7 days'
    and exists (select from components c where c.component = gone.component and c.seen_at > gone.seen_at);
