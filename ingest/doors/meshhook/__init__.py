"""The door of MeshHook: its failures and trials from its own tables.

Triggers put raw failures into an inbox, in MeshHook's own transaction; what succeeds is read from MeshHook's event log,
which costs MeshHook nothing, and which also gives back what a trigger had to miss. `connection` installs and removes,
`capture.sql` is what is installed, `inbox` and `event_log` read, `runs` decides (pure), `failures` puts into words,
`intake` does it all in one transaction.
"""
