-- try_lead: be the leader; held until the session ends
select pg_try_advisory_lock(%(key)s);
