-- try_lead: be the leader; held until the session ends
select pg_try_advisory_lock(%(key)s);

-- limit_silence: how long the session may say nothing, also within a transaction
select set_config('idle_session_timeout', %(seconds)s, false),
    set_config('idle_in_transaction_session_timeout', %(seconds)s, false);
