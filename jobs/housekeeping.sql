-- claim: the range that the mirror claimed last
select from_xact::text::bigint, to_xact::text::bigint, system_identifier from mirror_claims where dataset = %(dataset)s;

-- forget_error_counts: counts that the lake answers for
delete from error_counts where bucket < %(oldest)s;

-- forget_execution_counts: the same for trials
delete from execution_counts where bucket < %(oldest)s;

-- forget_sessions: sign-ins that have ended
delete from sessions where expires_at < now();

-- forget_error_ids: ids so old that nobody sends them again
delete from error_ids where received_at < %(oldest_id)s;

-- forget_report_ids: the same for trials
delete from report_ids where received_at < %(oldest_id)s;

-- held_errors: number and ids of the errors of a partition, in figures that don't depend on their order
select count(*), coalesce(sum(('x' || left(md5(error_id::text), 15))::bit(60)::bigint), 0)::text from {partition};

-- held_executions: the same for trials
select count(*), coalesce(sum(('x' || left(md5(report_id::text), 15))::bit(60)::bigint), 0)::text from {partition};

-- in_lake: the same for what the lake has of the day on which they came
select count(*)::bigint, coalesce(sum(('0x' || left(md5({id}), 15))::bigint), 0)::varchar
from {parts} where received_at >= $begin and received_at < $end;
