-- keep: the rows of a day that stay
copy (select {columns} from {parts} where not ({gone})) to {path} (format parquet, compression zstd);

-- tally: how many rows a day's files hold, and how many of them go
select count(*)::bigint, count(*) filter (where {gone})::bigint from {parts};

-- per_part: how many rows of each part have stayed; parts follow each other by transaction
select part.start::bigint, count(*)::bigint
from read_parquet({path}) as kept
asof join (select unnest($starts)::bigint as start) as part on kept.xact_id >= part.start
group by all;
