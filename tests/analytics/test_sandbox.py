"""What can be asked of the lake in SQL, and that nothing else can be reached: by the check, and without it."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from analytics.exceptions import AnalyticsError
from analytics.sandbox.engine import furnish, started
from analytics.sandbox.question import Answer, Limits, Question, QuestionRefused, QuestionStopped
from analytics.sandbox.statement import MOST_CHARACTERS, Refused, allowed
from analytics.sandbox.views import views
from tests.analytics.escapes import ESCAPES
from tests.analytics.lake_files import make_lake
from tests.analytics.questions import QUESTIONS

CANARY = "the-canary-sings"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_lake(tmp_path_factory.mktemp("sandbox") / "lake")


@pytest.fixture(scope="module")
def engine(lake: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    queries, paths = views(lake)
    opened = started(500)
    furnish(opened, queries, paths, 2)
    yield opened
    opened.close()


def stopped(question: Question) -> None:
    with pytest.raises(QuestionStopped):
        question.answer()


def ask(lake: Path, sql: str, **limits: float | None) -> Answer:
    return Question(lake, sql, Limits(**limits)).answer()  # type: ignore[arg-type]


def test_there_are_as_many_attempts_and_questions_as_promised() -> None:
    assert len(set(ESCAPES)) >= 60
    assert len({sql for sql, _ in QUESTIONS}) >= 30


@pytest.mark.parametrize("attempt", ESCAPES)
def test_an_escape_is_refused_with_a_sentence(engine: duckdb.DuckDBPyConnection, lake: Path, attempt: str) -> None:
    part = next(lake.glob("errors/**/*.parquet"))
    with pytest.raises(Refused) as refused:
        allowed(engine, attempt.format(lake=lake, part=part), ("errors", "executions"))
    sentence = str(refused.value)
    assert sentence[0].isupper()
    assert sentence.rstrip("'").endswith((".", "errors"))
    assert "\n" not in sentence
    assert len(sentence) < 250


@pytest.mark.parametrize(("sql", "expected"), QUESTIONS, ids=[sql[:60] for sql, _ in QUESTIONS])
def test_a_question_is_answered(
    engine: duckdb.DuckDBPyConnection, sql: str, expected: list[tuple[object, ...]] | None
) -> None:
    question = allowed(engine, sql, ("errors", "executions"))
    rows = engine.execute(question.sql).fetchall()
    assert rows
    if expected is not None:
        assert rows == expected


# What the walls behind the check are worth: the same process, without it.
UNCHECKED = """
import json, sys
from pathlib import Path
from analytics.sandbox.confinement import close_files_and_network, limit_resources
from analytics.sandbox.engine import furnish, started

request = json.loads(sys.stdin.readline())
if request["has_kernel"]:
    limit_resources(1_200_000_000, None)
engine = started(500)
if request["has_kernel"]:
    close_files_and_network([Path(request["lake"], name) for name in request["views"]])
furnish(engine, request["views"], request["paths"], 2)
for attempt in request["attempts"]:
    try:
        told = str(engine.cursor().execute(attempt).fetchall())
    except Exception as error:
        told = f"refused: {error}"
    print(json.dumps([attempt, told]))
"""


@pytest.mark.parametrize("has_kernel", [True, False], ids=["engine and kernel", "engine alone"])
def test_what_the_check_would_let_through_reaches_nothing(lake: Path, tmp_path: Path, has_kernel: bool) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(CANARY)
    before = {path: path.stat().st_mtime_ns for path in lake.rglob("*")}
    queries, paths = views(lake)
    attempts = [attempt.format(lake=lake, part=paths[0]) for attempt in ESCAPES if "sleep" not in attempt]
    attempts += [f"select * from read_text('{secret}')", f"copy (select 1) to '{tmp_path}/written.csv'"]
    attempts += [f"copy errors to '{paths[0]}' (format parquet)", f"attach '{tmp_path}/new.db' as fresh"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", UNCHECKED],
        input=json.dumps(
            {"lake": str(lake), "views": queries, "paths": paths, "attempts": attempts, "has_kernel": has_kernel}
        ),
        env={"CANARY": CANARY},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    told = dict(map(json.loads, done.stdout.splitlines()))
    assert len(told) == len(set(attempts)), done.stderr
    assert not [attempt for attempt, answer in told.items() if CANARY in answer or "root:" in answer]
    assert told[f"select * from read_text('{secret}')"].startswith("refused")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.txt"]
    assert {path: path.stat().st_mtime_ns for path in lake.rglob("*")} == before


def test_the_kernel_closes_files_and_network_for_every_thread(lake: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text(CANARY)
    script = f"""
import socket, threading
from pathlib import Path
from analytics.sandbox.confinement import close_files_and_network, limit_resources
limit_resources(2_000_000_000, None)
print(close_files_and_network([Path({str(lake)!r})]))
def tries():
    for attempt in (
        lambda: open({str(tmp_path / "secret.txt")!r}).read(),
        lambda: open("/etc/passwd").read(),
        lambda: Path("/proc/1/environ").read_bytes(),
        lambda: Path({str(lake)!r}, "new").write_text("x"),
        lambda: next(Path({str(lake)!r}).rglob("*.parquet")).unlink(),
        lambda: socket.create_connection(("127.0.0.1", 9), 1),
        lambda: socket.create_server(("127.0.0.1", 0)),
    ):
        try:
            attempt()
            print("reached")
        except PermissionError as error:
            print("closed")
tries()
thread = threading.Thread(target=tries)
thread.start()
thread.join()
print(len(next(Path({str(lake)!r}).rglob("*.parquet")).read_bytes()) > 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    if done.stdout.startswith("False"):
        pytest.skip("this kernel has no Landlock")
    assert done.stdout.split() == ["True", *["closed"] * 14, "True"], done.stderr


def test_the_process_of_a_question_has_none_of_our_environment(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://{CANARY}")
    question = Question(lake, "select count(*) from range(10000000000) a(i) where i % 7 = 3", Limits(seconds=30))
    thread = threading.Thread(target=stopped, args=[question])
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while question.process_id is None and time.monotonic() < deadline:
            time.sleep(0.05)
        environment = Path(f"/proc/{question.process_id}/environ").read_bytes()
        assert CANARY.encode() not in environment
        assert b"LANG" in environment
    finally:
        question.cancel()
        thread.join()


def test_rows_come_with_their_types_and_old_files_are_read_as_todays(lake: Path) -> None:
    answer = ask(lake, "select day, count(*) as rows, sum(stands_for) as errors from errors group by day order by day")
    assert answer.frame["errors"].to_list() == [120] * 7 + [240] * 6 + [740]
    assert [str(kind) for kind in answer.frame.dtypes] == ["Date", "Int64", "Int64"]
    assert answer.note is None


def test_a_lake_without_files_has_the_same_columns(tmp_path: Path) -> None:
    empty = ask(tmp_path, "select * from errors").frame
    assert empty.height == 0
    assert empty.columns[:3] == ["error_id", "timestamp", "source"]
    assert empty.columns[-1] == "day"


def test_more_rows_than_shown_are_cut_and_said(lake: Path) -> None:
    answer = ask(lake, "select * from range(100000)", most_rows=5000)
    assert answer.frame["range"].to_list() == list(range(5000))
    assert answer.note == "Cut at 5,000 rows: there are more."
    assert ask(lake, "select * from range(5000)", most_rows=5000).note is None
    large = ask(lake, "select repeat('x', 100000) from range(100000)", most_bytes=1_000_000)
    assert large.note is not None
    assert "large" in large.note


@pytest.mark.parametrize(
    "sql",
    [
        "select length(repeat('x', 3000000000))",
        "select list(i) from range(1000000000) t(i)",
        "from range(99999999) order by hash(range)",
    ],
)
def test_what_needs_too_much_memory_is_refused(lake: Path, sql: str) -> None:
    with pytest.raises(QuestionRefused, match=r"^It needs more memory than the 200 MB that a question may take\."):
        ask(lake, sql, memory_mb=200, seconds=60)


def test_what_takes_too_long_is_stopped(lake: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(QuestionStopped, match="Stopped after 1 seconds"):
        ask(lake, "select sum(hash(a.i * b.i)) from range(10000000) a(i), range(1000000) b(i)", seconds=1)
    assert time.monotonic() - begun < 10


def test_a_question_is_cancelled_from_another_thread_and_its_process_is_gone(lake: Path) -> None:
    question = Question(lake, "select sum(hash(a.i * b.i)) from range(10000000) a(i), range(1000000) b(i)")
    threading.Timer(1.5, question.cancel).start()
    with pytest.raises(QuestionStopped, match=r"^Cancelled\.$"):
        question.answer()
    assert question.process_id is not None
    with pytest.raises(ProcessLookupError):
        os.kill(question.process_id, 0)


def test_mistakes_are_told_in_a_sentence_with_their_place(lake: Path) -> None:
    for sql, expected in [
        ("select\n  colour from errors", r'^Referenced column "colour" not found.*\(line 2, column 3\)\.$'),
        ("-- é\nselect 'x'::int", r"^Could not convert string 'x' to INT32 \(line 2, column 11\)\.$"),
        ("select count(* from errors", r"^Syntax error at or near .*\(line 1, column \d+\)\.$"),
        ("explain select\n nothing from errors", r'^Referenced column "nothing".*\(line 2, column 2\)\.$'),
    ]:
        with pytest.raises(QuestionRefused, match=expected):
            ask(lake, sql)


def test_no_message_and_no_plan_names_the_lakes_directory(lake: Path) -> None:
    plan = ask(lake, "explain analyze select count(*) from errors where day = '2026-11-03'").frame
    assert str(lake) not in "\n".join(plan["plan"])
    next(lake.glob("executions/**/*.parquet")).chmod(0o640)
    broken = lake / "executions" / "day=2026-11-30" / "part-00000000000000000200-00000000000000000210-1of1.parquet"
    broken.parent.mkdir()
    broken.write_bytes(b"torn")
    try:
        with pytest.raises(AnalyticsError) as told:
            ask(lake, "select count(*), max(failed) from executions")
        assert str(lake) not in str(told.value)
        assert "LAKE/" in str(told.value)
    finally:
        broken.unlink()
        broken.parent.rmdir()


def test_a_statement_that_is_too_long_is_refused(engine: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(Refused, match="at most 100,000 are taken"):
        allowed(engine, "select 1" + " " * MOST_CHARACTERS, ("errors",))


@pytest.mark.parametrize(
    "sql",
    [
        "select " + "(" * 3000 + "1" + ")" * 3000,
        "select 1" + "+1" * 9000,
        "select " + "[" * 5000 + "]" * 5000,
        "(" * 9000,
    ],
    ids=["brackets", "sums", "lists", "open"],
)
def test_a_statement_that_is_nested_too_deeply_is_told_so(lake: Path, sql: str) -> None:
    with pytest.raises(QuestionRefused, match=r"^(This statement is nested too deeply|Syntax error .*)\.$"):
        ask(lake, sql)
