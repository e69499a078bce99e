-- project_names: how MeshHook calls its projects, and how those are called here that it doesn't know
select project_id::text, name from project_names
union all
select project_id::text, name from projects
where project_id is not null and project_id not in (select project_id from project_names);

-- workflow_names: what MeshHook calls its workflows
select workflow_id::text, project_id::text, slug, version, name from workflow_names;
