-- inbox_bytes: the size of the inbox on disk
select pg_table_size('meshhook_inbox');

-- tidy_inbox: give space back that nothing is in
vacuum meshhook_inbox;
