-- lock: a group that somebody decides about
select head, state, resolved_at, errors from error_groups where fingerprint = %(fingerprint)s for no key update;

-- hold_tally: keeps ticks away while several groups are changed at once, and one such change away from the next
select 1 from tally_watermark for update;

-- user_of: the id of a user
select id from users where name = %(name)s;

-- decide: a group's state from now on
update error_groups
set state = %(state)s, resolved_at = case when %(state)s = 'resolved' then clock_timestamp() end,
    ignored_until = %(ignored_until)s::timestamptz,
    ignored_until_errors = %(ignored_for_errors)s::bigint
        + (select sum(m.errors) from error_groups m where m.head = %(fingerprint)s),
    changed_at = now(), changed_by = %(by)s
where fingerprint = %(fingerprint)s;

-- assign: whose a group is
update error_groups set assignee = %(assignee)s::uuid, changed_at = now(), changed_by = %(by)s
where fingerprint = %(fingerprint)s;

-- note: what somebody says about a group
insert into group_notes (fingerprint, author, note) values (%(fingerprint)s, %(by)s, %(note)s)
returning id, at, author, note, fingerprint;

-- tell: one line of a group's history
insert into group_events (at, kind, fingerprint, member, by, detail)
values (clock_timestamp(), %(kind)s, %(fingerprint)s, %(member)s, %(by)s, %(detail)s);

-- merge: a group, and all that counts for it, into another
with moved as (
    update error_groups
    set head = %(fingerprint)s,
        merged_into = case when %(member)s in (fingerprint, merged_into) then %(fingerprint)s else merged_into end,
        state = 'open', resolved_at = null, ignored_until = null, ignored_until_errors = null, assignee = null,
        changed_at = now(), changed_by = %(by)s
    where head = %(member)s
    returning errors
)
update error_groups
set ignored_until_errors = ignored_until_errors + (select sum(errors) from moved), changed_at = now(),
    changed_by = %(by)s
where fingerprint = %(fingerprint)s;

-- reopen_if_seen_since: a resolved group that takes one over which was seen after that
update error_groups g
set state = 'open', resolved_at = null, changed_at = now(), changed_by = %(by)s
where g.fingerprint = %(fingerprint)s and g.state = 'resolved'
    and exists (select from error_groups m where m.head = g.fingerprint and m.last_seen > g.resolved_at)
returning 1;

-- split: a member is a group again, with what carries it on, and with all that was decided about the group
with recursive apart as (
    select fingerprint from error_groups where fingerprint = %(member)s
    union all
    select g.fingerprint from error_groups g
    join apart on g.continues = apart.fingerprint
    where g.merged_into is null
), counted as (
    select (select sum(errors) from error_groups where head = %(fingerprint)s) as before,
        (select sum(errors) from error_groups where fingerprint in (select fingerprint from apart)) as after
)
update error_groups g
set head = %(member)s, merged_into = null,
    continues = case when g.fingerprint = %(member)s then null else g.continues end,
    state = old.state, resolved_at = old.resolved_at, ignored_until = old.ignored_until,
    ignored_until_errors = old.ignored_until_errors - counted.before + counted.after, assignee = old.assignee,
    changed_at = now(), changed_by = %(by)s
from error_groups old, counted
where old.fingerprint = %(fingerprint)s and g.fingerprint in (select fingerprint from apart);

-- leave: an ignored group goes on being ignored for as many errors as before
update error_groups g
set ignored_until_errors = ignored_until_errors
        - (select sum(m.errors) from error_groups m where m.head = %(member)s),
    changed_at = now(), changed_by = %(by)s
where g.fingerprint = %(fingerprint)s;
