-- project: a project of this name, where there is none yet
insert into public.projects (owner, name)
select gen_random_uuid(), %(name)s where not exists (select from public.projects where name = %(name)s);

-- project_id: the id of a project
select id::text from public.projects where name = %(name)s order by created_at limit 1;

-- published: the version of a workflow that new runs are of
select w.id::text, w.project_id::text, w.slug, w.version, w.definition
from public.workflow_definitions w join public.projects p on p.id = w.project_id
where p.name = %(project)s and w.slug = %(slug)s and w.status = 'published'
order by w.version desc limit 1;

-- publish: the next version of a workflow
insert into public.workflow_definitions (project_id, slug, version, definition, name, status)
select %(project_id)s, %(slug)s, coalesce(max(version), 0) + 1, %(definition)s, %(name)s, 'published'
from public.workflow_definitions where project_id = %(project_id)s and slug = %(slug)s
returning version;

-- archive: take the versions before one out of use
update public.workflow_definitions set status = 'archived'
where project_id = %(project_id)s and slug = %(slug)s and version < %(version)s and status = 'published';

-- start_run: a run that a webhook asks for
insert into public.workflow_runs (project_id, workflow_id) values (%(project_id)s, %(workflow_id)s)
returning id::text;

-- event: one more line in the log of a run
insert into public.workflow_events (run_id, type, payload) values (%(run_id)s, %(type)s, %(payload)s);

-- set_status: what became of a run for now
update public.workflow_runs set status = %(status)s where id = %(run_id)s;

-- end_run: what became of a run for good
update public.workflow_runs set status = %(status)s, finished_at = now() where id = %(run_id)s;

-- last_message: the number of the last message in a queue
select coalesce(max(msg_id), 0) from public.job_tracking where queue_name = %(queue)s;

-- job_enqueued: a job waits
insert into public.job_tracking (msg_id, run_id, queue_name) values (%(message)s, %(run_id)s, %(queue)s);

-- job_started: a worker has taken it
update public.job_tracking set started_at = now(), attempt = %(attempt)s
where queue_name = %(queue)s and msg_id = %(message)s;

-- job_completed: it is done
update public.job_tracking set completed_at = now() where queue_name = %(queue)s and msg_id = %(message)s;

-- job_failed: this try wasn't any good
update public.job_tracking set failed_at = now(), error_message = %(error)s, error_stack = %(stack)s
where queue_name = %(queue)s and msg_id = %(message)s;

-- job_dead: there is no further try
update public.job_tracking set moved_to_dlq_at = now() where queue_name = %(queue)s and msg_id = %(message)s;
