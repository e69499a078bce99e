-- own_rules: the installation's own rules, in their order
select name, definition::text, is_enabled from classification_rules order by position, name;
