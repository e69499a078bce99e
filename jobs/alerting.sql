-- states: where each rule stands
select rule_id, state, since, below_since, alert_id, evaluated_at, state_version from alert_states;

-- errors_since: the rollup's recent errors
select bucket, project_id, workflow_id, source, error_type, severity::text, fingerprint, errors
from error_counts where bucket >= %(since)s;

-- executions_since: the rollup's recent trials
select bucket, project_id, workflow_id, source, finished, failed from execution_counts where bucket >= %(since)s;

-- groups_since: what groups have become lately
select id, date_bin('10 seconds', at, 'epoch'::timestamptz), project_id, workflow_id, source, error_type, severity::text,
    fingerprint, kind
from group_events
where kind in ('new', 'regressed') and at >= %(since)s
order by id;

-- move_state: store the next state; no row comes back where somebody else has moved it meanwhile
insert into alert_states as kept
    (rule_id, state, since, below_since, alert_id, value, reason, evaluated_at, state_version)
values (%(rule_id)s, %(state)s, %(since)s, %(below_since)s, %(alert_id)s, %(value)s, %(reason)s, %(evaluated_at)s, 1)
on conflict (rule_id) do update set
    state = excluded.state, since = excluded.since, below_since = excluded.below_since, alert_id = excluded.alert_id,
    value = excluded.value, reason = excluded.reason, evaluated_at = excluded.evaluated_at,
    state_version = kept.state_version + 1
where kept.state_version = %(known_version)s
returning state_version;

-- open_alert: an alert begins
insert into alerts (id, rule_id, rule_name, rule, started_at, fired_at, fired_value, peak_value)
values (%(alert_id)s, %(rule_id)s, %(rule_name)s, %(rule)s::jsonb, %(started_at)s, %(fired_at)s, %(value)s, %(value)s);

-- raise_peak: the highest value so far
update alerts set peak_value = greatest(peak_value, %(value)s) where id = %(alert_id)s;

-- close_alert: an alert ends; no row comes back where it has ended already
update alerts set resolved_at = %(resolved_at)s, resolve_reason = %(reason)s
where id = %(alert_id)s and resolved_at is null
returning fired_at, peak_value, started_at;

-- enqueue: one message to one channel, written with the transition that it tells of
insert into notifications (alert_id, channel_id, channel_name, kind, dedup_key, message)
select %(alert_id)s, c.id, c.name, %(kind)s, %(alert_id)s || ':' || %(kind)s || ':' || c.id, %(message)s::jsonb
from channels c
where c.id = any(%(channel_ids)s)
on conflict (dedup_key) do nothing;

-- told_channels: who heard that the alert began, and so must hear that it ended, whatever the rule says by now
select channel_id from notifications where alert_id = %(alert_id)s and kind = 'firing' and channel_id is not null;

-- tell_delivery: something is to be sent
select pg_notify('meshhook_errors_outbox', '');

-- abandoned: open alerts whose rule was deleted or switched off
select a.id, a.rule, a.rule_id, case when r.id is null then 'rule_deleted' else 'rule_disabled' end
from alerts a
left join alert_rules r on r.id = a.rule_id
where a.resolved_at is null and (r.id is null or not r.enabled);

-- forget_state: a rule that isn't evaluated has no state
delete from alert_states where rule_id = %(rule_id)s;

-- forget_disabled: a breach that was pending when its rule was switched off begins anew when it is switched on again
delete from alert_states s using alert_rules r where r.id = s.rule_id and not r.enabled;
