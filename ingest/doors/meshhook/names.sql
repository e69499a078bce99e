-- columns: what MeshHook's tables of names have in this version, as far as we may read them
select c.relname, array(select attname::text from pg_attribute a where a.attrelid = c.oid and attnum > 0 and not attisdropped)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relname in ('projects', 'workflow_definitions') and c.relkind in ('r', 'p', 'v')
    and has_table_privilege(c.oid, 'SELECT');

-- refresh_projects: how projects are called now; those that are gone keep their names here
insert into project_names as known (project_id, name)
select id, left({name}, 200) from public.projects where {name} is not null
on conflict (project_id) do update set name = excluded.name where known.name is distinct from excluded.name;

-- refresh_workflows: the same for workflows
insert into workflow_names as known (workflow_id, project_id, slug, version, name)
select id, project_id, left(slug, 200), {version}, left({name}, 200) from public.workflow_definitions where slug is not null
on conflict (workflow_id) do update
set project_id = excluded.project_id, slug = excluded.slug, version = excluded.version, name = excluded.name
where (known.project_id, known.slug, known.version, known.name)
    is distinct from (excluded.project_id, excluded.slug, excluded.version, excluded.name);
