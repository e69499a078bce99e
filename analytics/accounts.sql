-- create_user: a new user, or nothing where the name is known
insert into users (name, password_hash) values (%(name)s, %(password_hash)s)
on conflict (name) do nothing
returning id;

-- list_users: who may sign in, and when each did so last, as far as a session tells
select u.name, u.created_at, max(s.created_at) from users u left join sessions s on s.user_id = u.id
group by u.id order by u.name;

-- change_password: a user's new password
update users set password_hash = %(password_hash)s where name = %(name)s returning id;

-- end_sessions_of: sign a user out everywhere
delete from sessions where user_id = (select id from users where name = %(name)s);

-- hold_tally: keeps ticks away while groups lose their assignee, which the tally locks in another order
select 1 from tally_watermark for update;

-- remove_user: a user who may not sign in any more
delete from users where name = %(name)s returning id;

-- user_by_name: whose password is to be checked
select id, name, password_hash from users where name = %(name)s;

-- begin_session: a sign-in
insert into sessions (token_sha256, user_id, created_at, expires_at)
values (%(token_sha256)s, %(user_id)s, %(now)s, %(expires_at)s);

-- user_of_session: who is signed in
select u.id, u.name from sessions s join users u on u.id = s.user_id
where s.token_sha256 = %(token_sha256)s and s.expires_at > %(now)s;

-- end_session: a sign-out
delete from sessions where token_sha256 = %(token_sha256)s;
