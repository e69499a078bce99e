-- create_project: a new project, or nothing where its name or id is known
insert into projects (name, project_id) values (%(name)s, %(id)s) on conflict do nothing
returning number, project_id, name;

-- list_projects: all projects
select number, project_id, name, events_per_minute from projects order by number;

-- find_project: one project by its number
select number, project_id, name from projects where number = %(number)s;

-- limit_project: how many events a minute may be sent for a project
update projects set events_per_minute = %(events_per_minute)s where number = %(number)s;
