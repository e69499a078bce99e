-- of_day: the rows of a rollup that belong to a day, counted since 1970
select * from ({told}) where epoch_us(bucket) // 86400000000 = {day};

-- others: how many rows of a rollup belong to none of these days
select count(*) from ({told}) where epoch_us(bucket) // 86400000000 not in ({days});
