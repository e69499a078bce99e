-- create_key: a new key, or nothing where this one is known
insert into api_keys (name, role, key_prefix, key_sha256)
values (%(name)s, %(role)s, %(prefix)s, %(sha256)s)
on conflict (key_sha256) do nothing;

-- find_role: what a key may do
select role from api_keys where key_sha256 = %(sha256)s and revoked_at is null;

-- list_keys: all keys, oldest first
select id, name, role, key_prefix, created_at, revoked_at from api_keys order by created_at, id;

-- revoke_key: take a key out of use
update api_keys set revoked_at = now() where id = %(id)s;
