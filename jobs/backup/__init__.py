"""A copy of everything that an installation has become, in plain files, and an installation made of one.

DIR/manifest.json             written last: without it a backup isn't one
DIR/tables/NAME.csv.gz        each table, as Postgres copies it, with a header
DIR/lake/errors/day=…/…       the files of the lake, under their names
"""
