-- own_rules: the installation's own rules, in their order
select name, definition, is_enabled from classification_rules order by position, name;
