-- jobs_seen: a sign of life of the jobs after a moment (seconds of the epoch)
select 1 from components where component = 'jobs' and seen_at >= to_timestamp(%(since)s) limit 1;
