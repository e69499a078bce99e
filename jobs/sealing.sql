-- seal: all rows of a day in one file, sorted for reading
copy (select {columns} from {parts} order by {order}) to {path} (
    format parquet, compression zstd, compression_level 3, row_group_size {row_group},
    data_page_size_limit {page_bytes}, kv_metadata {footer}
);
