-- rules: the installation's own rules, in their order
select name, definition::text, is_enabled, changed_by, updated_at from classification_rules order by position, name;

-- one_writer: whoever changes rules does so alone; readers go on
lock table classification_rules in share row exclusive mode;

-- create_rule: a new rule
insert into classification_rules (position, name, definition, is_enabled, changed_by)
values (%(position)s, %(name)s, %(definition)s::jsonb, %(is_enabled)s, %(changed_by)s);

-- change_rule: a rule as it is from now on; the moment is its version, so it is never the one before
update classification_rules set name = %(name)s, definition = %(definition)s::jsonb, is_enabled = %(is_enabled)s,
    changed_by = %(changed_by)s, updated_at = greatest(clock_timestamp(), updated_at + interval '1 microsecond')
where name = %(known_as)s;

-- delete_rule: a rule that isn't wanted any more
delete from classification_rules where name = %(known_as)s;

-- place_rules: the order of all rules
update classification_rules set position = placed.position
from unnest(%(names)s::text[]) with ordinality as placed (name, position)
where classification_rules.name = placed.name and classification_rules.position <> placed.position;

-- key_name: what a key is called
select name from api_keys where id = %(id)s;
