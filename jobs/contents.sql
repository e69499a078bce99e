-- errors: what files hold, in figures that don't depend on the order of their rows
select count(*)::bigint as rows, coalesce(sum(stands_for), 0)::bigint as counted,
    coalesce(sum(('0x' || left(md5(error_id), 15))::bigint), 0)::varchar as ids,
    min(xact_id) as first_xact, max(xact_id) as last_xact,
    epoch_us(min("timestamp")) as first_us, epoch_us(max("timestamp")) as last_us
from {parts};

-- executions: the same for trials
select count(*)::bigint as rows, coalesce(sum(finished), 0)::bigint as counted,
    coalesce(sum(('0x' || left(md5(report_id), 15))::bigint), 0)::varchar as ids,
    min(xact_id) as first_xact, max(xact_id) as last_xact,
    epoch_us(min("timestamp")) as first_us, epoch_us(max("timestamp")) as last_us
from {parts};

-- twice: rows that a file has more than once, by id and transaction
select count(*)::bigint - count(distinct ({id}, xact_id))::bigint from {parts};
