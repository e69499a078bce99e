-- rules: all rules with their state
select r.id, r.name, r.enabled, r.signal, r.scope, r.window_seconds, r.threshold, r.for_seconds, r.keep_firing_seconds,
    r.min_executions, r.no_data, r.channel_ids, coalesce(s.state, 'ok') as state, s.since, s.value, s.reason
from alert_rules r
left join alert_states s on s.rule_id = r.id
order by r.name;

-- create_rule: a new rule
insert into alert_rules (name, enabled, signal, scope, window_seconds, threshold, for_seconds, keep_firing_seconds,
    min_executions, no_data, channel_ids)
values (%(name)s, %(enabled)s, %(signal)s, %(scope)s::jsonb, %(window_seconds)s, %(threshold)s, %(for_seconds)s,
    %(keep_firing_seconds)s, %(min_executions)s, %(no_data)s, %(channel_ids)s)
returning id;

-- update_rule: a rule as it is from now on
update alert_rules set name = %(name)s, enabled = %(enabled)s, signal = %(signal)s, scope = %(scope)s::jsonb,
    window_seconds = %(window_seconds)s, threshold = %(threshold)s, for_seconds = %(for_seconds)s,
    keep_firing_seconds = %(keep_firing_seconds)s, min_executions = %(min_executions)s, no_data = %(no_data)s,
    channel_ids = %(channel_ids)s, updated_at = now()
where id = %(id)s
returning id;

-- delete_rule: a rule that isn't wanted any more; an open alert of it is resolved by the evaluator
delete from alert_rules where id = %(id)s returning id;

-- tell_evaluator: rules have changed
select pg_notify('meshhook_errors_rules', '');

-- unknown_channels: which of these ids no channel has
select given.id from unnest(%(ids)s::uuid[]) as given (id) where not exists (select from channels where id = given.id);

-- channels: all channels without their secrets
select id, name, kind, settings, secret is not null from channels order by name;

-- create_channel: a new channel
insert into channels (name, kind, settings, secret)
values (%(name)s, %(kind)s, %(settings)s::jsonb, %(secret)s)
returning id, name, kind, settings, secret is not null;

-- rules_of_channel: names of the rules that send to a channel
select name from alert_rules where %(id)s = any(channel_ids) order by name;

-- delete_channel: a channel that isn't wanted any more
delete from channels where id = %(id)s returning id;

-- alerts: alerts, the newest first
select id, rule_id, rule_name, rule, started_at, fired_at, resolved_at, fired_value, peak_value, resolve_reason
from alerts
where (not %(open_only)s or resolved_at is null) and (%(rule_id)s::uuid is null or rule_id = %(rule_id)s)
    and (%(id)s::uuid is null or id = %(id)s)
order by fired_at desc limit %(limit)s;

-- notifications: what was to be sent for an alert, and what came of it
select n.id, n.channel_name, n.kind, n.status, n.attempts, n.created_at, n.delivered_at,
    coalesce((select jsonb_agg(jsonb_build_object('at', a.attempted_at, 'outcome', a.outcome, 'detail', a.detail)
        order by a.id) from notification_attempts a where a.notification_id = n.id), '[]'::jsonb) as log
from notifications n
where n.alert_id = %(id)s
order by n.created_at, n.channel_name;
