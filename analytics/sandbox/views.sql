-- files: all rows of some files; the day is that of their folder, so that a condition on it leaves files aside
select {columns}
from read_parquet([{files}], hive_partitioning = true, hive_types = {'day': date});

-- mixed: the same where some of them lack columns that came later
select {columns}
from read_parquet([{files}], hive_partitioning = true, hive_types = {'day': date}, union_by_name = true);

-- nothing: no rows
select {columns} where false;
