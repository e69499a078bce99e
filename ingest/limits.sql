-- limits_of_keys: keys with a limit of their own
select id, events_per_minute from api_keys where events_per_minute is not null and revoked_at is null;

-- limits_of_projects: projects with a limit of their own; null is the project of events that name none
select project_id::text, events_per_minute from projects where events_per_minute is not null;
