-- parts: parts as they are
read_parquet($paths, hive_partitioning = false);

-- earlier_parts: parts of a time when a row stood for one error
(select *, 1::bigint as stands_for from read_parquet($earlier, hive_partitioning = false));

-- both: some of each
(
    select *, 1::bigint as stands_for from read_parquet($earlier, hive_partitioning = false)
    union all by name
    select * from read_parquet($paths, hive_partitioning = false)
);
