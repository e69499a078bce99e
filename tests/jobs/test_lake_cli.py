"""`query`, `export` and `catalog`, as they are typed."""

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from analytics.exceptions import AnalyticsError
from analytics.filters import Filters
from analytics.slices import rows_of
from analytics.store import Store
from ingest.database import Connection
from jobs.mirror import Mirror
from tests.analytics.lake_files import FIRST_DAY, errors_of, make_lake, write_part
from tests.end_to_end.running import ROOT, until
from tests.jobs.test_cli import command, said
from tests.seeding import insert_error, insert_many, insert_report, now

STOPPED_AS_IT_BEGINS = """
import sys, threading
from pathlib import Path
from analytics.sandbox.question import Limits, Question

class Interrupted(threading.Thread):
    def start(self):
        super().start()
        raise KeyboardInterrupt

threading.Thread = Interrupted
question = Question(Path(sys.argv[1]), "select 1", Limits(seconds=None))
try:
    question.answer()
except KeyboardInterrupt:
    print("stopped", question.process_id)
"""
LONG = "select sum(hash(a * b)) from range(9999999) x(a), range(999999) y(b)"
COUNT = "select severity, sum(stands_for) as errors from errors group by all order by all"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_lake(tmp_path_factory.mktemp("cli") / "lake")


def asked(lake: Path, *arguments: str, typed: str = "") -> str:
    done = command("query", *arguments, typed=typed, LAKE_URL=str(lake))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_question_is_answered_without_postgres_in_every_format(lake: Path, tmp_path: Path) -> None:
    expected = [("high", 1340), ("low", 840), ("medium", 840)]
    table = asked(lake, COUNT).splitlines()
    assert table[0].split() == ["severity", "errors"]
    assert [tuple(line.split()) for line in table[2:]] == [(name, str(errors)) for name, errors in expected]
    rows = list(csv.DictReader(io.StringIO(asked(lake, COUNT, "--format", "csv"))))
    assert [(row["severity"], int(row["errors"])) for row in rows] == expected
    told = json.loads(asked(lake, "-", "-f", "json", typed=COUNT))
    assert [(row["severity"], row["errors"]) for row in told] == expected
    lines = asked(lake, COUNT, "-f", "ndjson").splitlines()
    assert [json.loads(line)["errors"] for line in lines] == [errors for _, errors in expected]
    file = tmp_path / "answer.parquet"
    assert asked(lake, COUNT, "-o", str(file)) == ""
    assert pl.read_parquet(file).rows() == expected
    assert [path.name for path in tmp_path.iterdir()] == ["answer.parquet"]


def test_a_table_shows_a_hundred_rows_and_a_file_holds_all(lake: Path, tmp_path: Path) -> None:
    done = command("query", "from errors", LAKE_URL=str(lake))
    assert len(done.stdout.splitlines()) == 102
    assert "Cut at 100 rows: there are more. --rows shows more, --format csv all of them." in done.stderr
    assert len(asked(lake, "from errors", "--rows", "7").splitlines()) == 9
    asked(lake, "select * from range(300000) t(n)", "-o", str(tmp_path / "n.parquet"))
    assert pl.read_parquet(tmp_path / "n.parquet")["n"].sum() == 300_000 * 299_999 // 2


def test_mistakes_are_one_sentence_and_an_exit_code(lake: Path, tmp_path: Path) -> None:
    for sql, says in (
        ("select colour from errors", 'Referenced column "colour" not found'),
        ("copy errors to 'x.csv'", "COPY isn't taken here: only questions are"),
        ("select * from read_text('/etc/passwd')", "The function read_text isn't available here (line 1, column 15)."),
    ):
        assert says in said(command("query", sql, LAKE_URL=str(lake)))
    out = tmp_path / "kept.csv"
    out.write_text("before")
    assert command("query", "select nothing", "-o", str(out), LAKE_URL=str(lake)).returncode == 1
    assert out.read_text() == "before"
    assert list(tmp_path.iterdir()) == [out]
    assert "Can't write" in said(command("query", "select 1", "-o", str(tmp_path / "no" / "x.csv"), LAKE_URL=str(lake)))
    assert "There is no lake at" in said(command("query", "select 1", LAKE_URL=str(tmp_path / "elsewhere")))
    assert "Stopped after 1 seconds" in said(
        command(
            "query",
            LONG,
            "--seconds",
            "1",
            LAKE_URL=str(lake),
        )
    )
    assert command("query", "select 1", "--format", "xml", LAKE_URL=str(lake)).returncode == 2
    assert command("export", "--severity", "worst", "--lake-only", LAKE_URL=str(lake)).returncode == 2
    assert command("export", "--start", "someday", "--lake-only", LAKE_URL=str(lake)).returncode == 2
    assert "--end must be after" in said(
        command("export", "--start", "2026-11-03", "--end", "2026-11-02", "--lake-only", LAKE_URL=str(lake))
    )


def test_control_characters_dont_reach_the_terminal(lake: Path) -> None:
    table = asked(lake, "select chr(27) || '[31mred' || chr(10) || 'line' as \"a\n\"")
    assert "\x1b" not in table
    assert table.splitlines()[-1] == "␣[31mred␣line"


def test_the_lake_of_an_up_is_found_in_its_directory(lake: Path, tmp_path: Path) -> None:
    (tmp_path / "connection.json").write_text(json.dumps({"lake_url": str(lake)}))
    done = command("query", "select count(*) as n from errors", MESHHOOK_ERRORS_DATA_DIR=str(tmp_path))
    assert done.stdout.split()[-1] == "2521"


def is_alive(process_id: int) -> bool:
    """Whether it runs; one that ended and that nobody has looked after doesn't."""
    try:
        return "State:\tZ" not in Path(f"/proc/{process_id}/status").read_text()
    except FileNotFoundError:
        return False


def test_ctrl_c_ends_a_question_with_130_and_its_process(lake: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jobs.cli",
            "query",
            LONG,
        ],
        cwd=ROOT,
        env={**os.environ, "LAKE_URL": str(lake)},
        stderr=subprocess.PIPE,
        text=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 30
    while not (ids := children.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert told == "Stopped.\n"
    assert ids
    until(lambda: not is_alive(int(ids[0])))  # one that was just begun notices that its asker is gone


def test_ctrl_c_as_the_process_of_a_question_begins_ends_both(lake: Path) -> None:
    script = [sys.executable, "-c", STOPPED_AS_IT_BEGINS, str(lake)]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.startswith("stopped ")
    assert not is_alive(int(done.stdout.split()[1]))


def test_a_reader_that_has_seen_enough_ends_it_quietly(lake: Path) -> None:
    script = f'{sys.executable} -m jobs.cli query "from range(300000)" -f csv | head -2'
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=ROOT,
        env={**os.environ, "LAKE_URL": str(lake)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["range", "0"]
    assert "Traceback" not in done.stderr


def test_a_long_question_shows_a_bar_on_a_terminal(lake: Path) -> None:
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "jobs.cli", "query", LONG, "--seconds", "6"],
        cwd=ROOT,
        env={**os.environ, "LAKE_URL": str(lake), "TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=follower,
    ):
        os.close(follower)
        shown = b""
        while block := read_terminal(leader):
            shown += block
    os.close(leader)
    assert b"Asking" in shown
    assert b"%" in shown
    assert b"Stopped after 6 seconds" in shown


def read_terminal(leader: int) -> bytes:
    """What comes next, nothing when its programs are gone."""
    try:
        return os.read(leader, 4096)
    except OSError:
        return b""


def test_catalog_writes_it_and_tells_where(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake")
    done = command("catalog", LAKE_URL=str(lake))
    assert done.stdout.strip() == str(lake / "catalog.duckdb")
    with duckdb.connect(done.stdout.strip(), read_only=True) as catalog:
        assert catalog.execute("select count(*) from errors").fetchall() == [(2521,)]


def test_an_export_has_each_row_of_lake_and_postgres_once(
    connection: Connection, database_url: str, lake_dir: Path, tmp_path: Path
) -> None:
    insert_many(connection, 300, over=timedelta(days=3))
    insert_report(connection, 10, 1)
    Mirror(connection, lake_dir, max_rows=1000, max_lag_seconds=300).tick(everything=True)
    insert_many(connection, 40, over=timedelta(hours=1))
    late = insert_error(connection, timestamp=now() - timedelta(days=2), severity="high", fingerprint="1-late")
    insert_report(connection, 20, 2)
    stored = connection.execute(
        "select count(*), count(*) filter (where severity = 'high') from error_metrics"
    ).fetchone()
    environment = {"DATABASE_URL": database_url, "LAKE_URL": str(lake_dir)}
    for form in ("parquet", "csv", "ndjson"):
        file = tmp_path / f"all.{form}"
        done = command("export", "-o", str(file), **environment)
        assert done.stderr == "341 rows.\n", done.stderr
        read = {"parquet": pl.read_parquet, "csv": pl.read_csv, "ndjson": pl.read_ndjson}[form](file)  # type: ignore[operator]
        assert read.height == stored[0] == 341  # type: ignore[index]
        assert read["error_id"].n_unique() == 341
        assert read.columns[:3] == ["error_id", "timestamp", "source"]
        assert str(late) in read["error_id"]
    narrowed = command("export", "--severity", "high", "--start", "1d", **environment)
    rows = list(csv.DictReader(io.StringIO(narrowed.stdout)))
    day = connection.execute(
        "select count(*) from error_metrics where severity = 'high' and timestamp >= now() - interval '1 day'"
    ).fetchone()
    assert {row["severity"] for row in rows} == {"high"}
    assert len(rows) == day[0]  # type: ignore[index]
    one = command("export", "--fingerprint", "1-late", "-f", "json", **environment)
    assert [row["error_id"] for row in json.loads(one.stdout)] == [str(late)]
    trials = command("export", "--executions", "-f", "json", **environment)
    assert sorted(row["finished"] for row in json.loads(trials.stdout)) == [10, 20]
    alone = command("export", "--lake-only", LAKE_URL=str(lake_dir))
    assert alone.stderr == "300 rows.\n"


def test_an_export_takes_little_memory_however_many_rows_there_are(lake_dir: Path, tmp_path: Path) -> None:
    for number in range(4):
        rows = errors_of(FIRST_DAY, 9_000, xact=number * 10 + 1)
        long = rows.with_columns(
            metadata=pl.concat_str(pl.lit('{"message": "'), pl.col("error_id"), pl.lit("x" * 5000 + '"}'))
        )
        write_part(lake_dir, "errors", FIRST_DAY, number * 10, pl.concat([long] * 6))
    script = f"""
import resource, sys
from pathlib import Path
from analytics.filters import Filters
from analytics.formats import writer
from analytics.slices import rows_of
from analytics.store import Store
import pyarrow.parquet
store = Store("", Path({str(lake_dir)!r}))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read = 0
with open({str(tmp_path / "all.ndjson")!r}, "wb") as file:
    into = writer("ndjson", file)
    for frame in rows_of(store, "errors", Filters(), with_postgres=False):
        into.write(frame)
        read += frame.height
print(read, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    rows, megabytes = map(int, done.stdout.split())
    assert rows == 216_000
    assert (tmp_path / "all.ndjson").stat().st_size > 1_000_000_000
    assert megabytes < 900


def test_an_export_that_loses_a_file_ends_without_one(lake_dir: Path, tmp_path: Path) -> None:
    make_lake(lake_dir)
    store = Store("", lake_dir)
    frames = rows_of(store, "errors", Filters(), with_postgres=False)
    next(frames)
    next(frames)
    for part in sorted(lake_dir.glob("errors/**/*.parquet"))[5:]:
        part.unlink()  # as sealing does
    with pytest.raises(AnalyticsError, match=r"^The lake changed while it was read\. Ask again\.$"):
        list(frames)
    store.close()
