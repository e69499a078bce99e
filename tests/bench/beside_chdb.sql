-- series: errors per hour and severity
select toStartOfHour(timestamp) as bucket, severity, sum(stands_for) from file('{files}', Parquet)
where timestamp >= '{start}' and timestamp < '{end}' group by bucket, severity;

-- top: the groups with most errors
select fingerprint, sum(stands_for) as errors, max(severity), max(timestamp) from file('{files}', Parquet)
where timestamp >= '{start}' and timestamp < '{end}' group by fingerprint order by errors desc limit 10;

-- newest: the latest errors
select error_id, timestamp, source, severity, title, fingerprint from file('{files}', Parquet)
where timestamp >= '{start}' and timestamp < '{end}' order by timestamp desc, error_id desc limit 50;
