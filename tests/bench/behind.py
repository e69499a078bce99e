"""How far the mirror is behind at a steady stream of errors while the pages read, and what memory it takes for it."""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from analytics.filters import Filters
from analytics.groups import list_groups
from analytics.lake import list_parts
from analytics.latest import latest_errors
from analytics.queries import error_series, top_groups
from analytics.store import Store
from tests.bench.latency import stream
from tests.end_to_end.running import Running

_BEHIND = """select coalesce(extract(epoch from now() - min(received_at)), 0)::float8 from meshhook_errors.error_metrics
where xact_id >= %s::text::xid8"""


@dataclass(frozen=True, slots=True)
class Behind:
    """`seconds`: the age of the oldest row that was committed and not in the lake, at its worst. `questions` were asked
    meanwhile."""

    seconds: float
    grown_bytes: int
    questions: int
    errors: int


def measure(installation: Running, lake_dir: Path, errors_per_second: int, seconds: float) -> Behind:
    """`lake_dir` is that of the installation."""
    (jobs,) = installation.pids("jobs")
    done, asked = threading.Event(), [0]
    sender = threading.Thread(target=stream, args=(installation, errors_per_second, seconds), daemon=True)
    reader = threading.Thread(target=_read, args=(installation, lake_dir, done, asked), daemon=True)
    worst, before, most = 0.0, 0, 0
    with psycopg.connect(installation.info["database_url"], autocommit=True) as connection:
        sender.start()
        reader.start()
        began = time.monotonic()
        while sender.is_alive():
            time.sleep(0.2)
            row = connection.execute(_BEHIND, (str(list_parts(lake_dir, "errors").watermark),)).fetchone()
            worst = max(worst, row[0] if row else 0.0)
            memory = _memory(jobs)
            most = max(most, memory)
            if time.monotonic() - began < seconds / 3:
                before = most  # what a busy process takes at first
        done.set()
        reader.join()
        row = connection.execute("select count(*) from meshhook_errors.error_metrics").fetchone()
    return Behind(worst, most - before, asked[0], row[0] if row else 0)


def _read(installation: Running, lake_dir: Path, done: threading.Event, asked: list[int]) -> None:
    """What the overview and the list of groups ask, again and again, as somebody does who clicks."""
    store = Store(installation.info["database_url"], lake_dir)
    try:
        while not done.is_set():
            end = datetime.now(UTC)
            start = end - timedelta(days=1)
            error_series(store, start, end, 1_800, Filters(), "severity")
            top_groups(store, start, end, Filters(), 8)
            latest_errors(store, start, end, Filters(), 50)
            list_groups(store, start, end, limit=25)
            asked[0] += 4
            done.wait(0.5)
    finally:
        store.close()


def _memory(pid: int) -> int:
    """Resident bytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096
