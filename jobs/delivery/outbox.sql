-- lease: take due notifications for ourselves, few of each channel; a resolve waits until its firing is settled
with busy as (
    select channel_id, count(*) as leases from notifications
    where status = 'pending' and leased_until > %(now)s
    group by channel_id
), due as (
    select n.id, coalesce(b.leases, 0) + row_number() over (partition by n.channel_id order by n.next_attempt_at) as turn
    from notifications n left join busy b on b.channel_id is not distinct from n.channel_id
    where n.status = 'pending' and n.next_attempt_at <= %(now)s and (n.leased_until is null or n.leased_until <= %(now)s)
        and not (n.kind = 'resolved' and exists (
            select from notifications f
            where f.alert_id = n.alert_id and f.channel_id = n.channel_id and f.kind = 'firing' and f.status = 'pending'))
)
update notifications set lease = %(lease)s, leased_until = %(now)s + make_interval(secs => %(seconds)s),
    attempts = attempts + 1
where id in (
    select n.id from notifications n join due on due.id = n.id
    where due.turn <= %(each_channel)s
        and n.status = 'pending' and n.next_attempt_at <= %(now)s and (n.leased_until is null or n.leased_until <= %(now)s)
    order by n.next_attempt_at
    limit %(limit)s
    for update of n skip locked
)
returning id, channel_id, channel_name, dedup_key, message, attempts, created_at;

-- renew: what is being sent stays ours, unless somebody has taken it over
update notifications set leased_until = %(now)s + make_interval(secs => %(seconds)s)
where id = any(%(ids)s) and lease = any(%(leases)s) and status = 'pending';

-- channel: where to, and its secret
select kind, settings, secret from channels where id = %(id)s;

-- settle: it was delivered, or never will be; only whoever holds the lease may say so
update notifications set status = %(status)s, delivered_at = %(delivered_at)s, lease = null, leased_until = null
where id = %(id)s and lease = %(lease)s and status = 'pending';

-- postpone: it is tried again later
update notifications set next_attempt_at = %(next_attempt_at)s, lease = null, leased_until = null
where id = %(id)s and lease = %(lease)s and status = 'pending';

-- note_attempt: every attempt is kept
insert into notification_attempts (notification_id, attempted_at, duration_ms, outcome, detail)
values (%(id)s, %(attempted_at)s, %(duration_ms)s, %(outcome)s, %(detail)s);

-- next_due: when something is to be done next; what is due already waits for a free worker or for its firing
select min(due) from (
    select greatest(next_attempt_at, coalesce(leased_until, next_attempt_at)) as due
    from notifications where status = 'pending'
) waiting
where due > %(now)s;
