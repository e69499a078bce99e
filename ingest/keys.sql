-- create_key: a new key; one that is known stays, and is sealed if it wasn't
insert into api_keys (name, role, key_prefix, key_sha256, project_number, sealed, trusted)
values (%(name)s, %(role)s, %(prefix)s, %(sha256)s, %(project_number)s, %(sealed)s, %(trusted)s)
on conflict (key_sha256) do update set sealed = coalesce(api_keys.sealed, excluded.sealed);

-- find_grant: what a key may do, and for which project alone
select k.id, k.role, k.trusted, p.number, p.project_id, p.name
from api_keys k left join projects p on p.number = k.project_number
where k.key_sha256 = %(sha256)s and k.revoked_at is null;

-- key_name: what a key is called
select name from api_keys where id = %(id)s;

-- list_keys: all keys, oldest first
select id, name, role, key_prefix, created_at, revoked_at, project_number, sealed, events_per_minute, trusted
from api_keys order by created_at, id;

-- limit_key: how many events a minute may be sent with a key
update api_keys set events_per_minute = %(events_per_minute)s where id = %(id)s;

-- trust_key: whether what a key says of type and severity is kept
update api_keys set trusted = %(trusted)s where id = %(id)s;

-- revoke_key: take a key out of use
update api_keys set revoked_at = now() where id = %(id)s;
