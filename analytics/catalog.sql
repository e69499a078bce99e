-- view: one of the views
create view {name} as {query};

-- keep_edition: what the catalogue was written for, kept where it is no table among the views
comment on view errors is {edition};

-- edition: what a catalogue was written for
select comment from duckdb_views() where view_name = 'errors' and not internal;
