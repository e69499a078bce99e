-- create_project: a new project, or nothing where its name or id is known
insert into projects (name, project_id) values (%(name)s, %(id)s) on conflict do nothing
returning number, project_id, name;

-- list_projects: all projects
select number, project_id, name from projects order by number;

-- find_project: one project by its number
select number, project_id, name from projects where number = %(number)s;
