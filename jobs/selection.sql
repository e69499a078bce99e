-- lake_project: in DuckDB, the rows of projects
coalesce(list_contains($keys, project_id), false);

-- lake_workflow: the rows of workflows
coalesce(list_contains($keys, workflow_id), false);

-- lake_run: the errors of runs
coalesce(list_contains($keys, run_id), false);

-- lake_fingerprint: the errors of groups
coalesce(list_contains($keys, fingerprint), false);

-- lake_value: the errors in whose texts a mark stands
coalesce(list_has_any(
    $keys, regexp_extract_all(concat_ws(' ', title, metadata, fingerprint, source), '\[masked:[a-z0-9_]{1,40}:[0-9a-f]{8}\]')
), false);

-- postgres_project: in Postgres, the rows of projects
project_id = any(%(keys)s::uuid[]);

-- postgres_workflow: the rows of workflows
workflow_id = any(%(keys)s::uuid[]);

-- postgres_run: the errors of runs
run_id = any(%(keys)s::uuid[]);

-- postgres_fingerprint: the errors of groups
fingerprint = any(%(keys)s::text[]);

-- postgres_value: the errors in whose texts a mark stands
exists (
    select from unnest(%(keys)s::text[]) as given (mark)
    where position(given.mark in title) > 0 or position(given.mark in metadata::text) > 0
        or position(given.mark in fingerprint) > 0 or position(given.mark in source) > 0
);
