"""The engine that questions are asked of: the views and nothing else, and its settings can't be changed any more."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from analytics.sandbox.views import text_in_sql


def started(memory_mb: int) -> duckdb.DuckDBPyConnection:
    """An engine in memory, empty, without threads of its own. It looks at the machine as it starts, so this comes
    before the process closes its files; threads come after that, because they inherit what is closed."""
    options: dict[str, Any] = {
        "threads": 1,
        "memory_limit": f"{memory_mb}MB",
        "temp_directory": "",  # nothing is put aside on a disk
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "python_enable_replacements": False,  # a variable of this program is no table
    }
    return duckdb.connect(config=options)


def furnish(engine: duckdb.DuckDBPyConnection, views: Mapping[str, str], paths: Sequence[str], threads: int) -> None:
    """Give it `views` (name → query) over the files at `paths`, the only ones that it opens, and lock it."""
    engine.execute("set timezone = 'UTC'")
    engine.execute("set errors_as_json = true")  # they tell their place
    engine.execute("set enable_progress_bar = true")  # it counts, for whoever asks how far it is
    engine.execute("set enable_progress_bar_print = false")
    engine.execute(f"set threads = {int(threads)}")
    engine.execute(f"set allowed_paths = [{', '.join(map(text_in_sql, paths))}]")
    engine.execute("set enable_external_access = false")
    for name, query in views.items():
        engine.execute(f'create view "{name}" as {query}')
    engine.execute("set lock_configuration = true")
