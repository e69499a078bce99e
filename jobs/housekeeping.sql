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
