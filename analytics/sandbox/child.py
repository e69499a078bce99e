"""The process that one question is asked in: `python -m analytics.sandbox.child`.

A line of JSON comes in on standard input, which stays open: when it ends, whoever asked is gone, and so is this
process. Rows leave on standard output as an Arrow stream, and notes, each a line of JSON, on standard error.
"""

import json
import os
import re
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from analytics.sandbox.confinement import close_files_and_network, limit_resources
from analytics.sandbox.engine import furnish, started
from analytics.sandbox.statement import Question, Refused, allowed

_BATCH_ROWS = 2048
_OVERHEAD_BYTES = 600_000_000  # of address space: interpreter, engine, stacks, what is on its way out
_PROGRESS_SECONDS = 0.2
_UNKNOWN_TYPE = re.compile(r"INTERVAL|UNION|VARIANT|BIGNUM|GEOMETRY|\bTIME_NS|\bTIME WITH|\bBIT\b")
_MOST_CHARACTERS = 4000  # of a message

_noting = threading.Lock()


class _Told(Exception):
    """What went wrong has been noted."""


def main() -> None:
    """Answer one question, and end."""
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_asker, daemon=True).start()
    limit_resources(request["memory_mb"] * 1_000_000 + _OVERHEAD_BYTES, request["cpu_seconds"])
    engine = started(request["memory_mb"])
    is_closed = close_files_and_network(Path(request["lake_dir"], name) for name in request["views"])
    try:
        _answer(engine, request)
        _note(done=True, closed=is_closed)
    except _Told:
        pass
    except Refused as refusal:
        _note(refused=str(refusal))
    except duckdb.Error as error:
        _note(failed=str(error)[:_MOST_CHARACTERS], kind=type(error).__name__, place="")
    except (MemoryError, pa.ArrowMemoryError):
        _note(failed="", kind="OutOfMemoryException", place="")
    except BrokenPipeError:
        pass
    sys.stdout.flush()
    os._exit(0)  # without the engine's own tidying up


def _answer(engine: duckdb.DuckDBPyConnection, request: Mapping[str, Any]) -> None:
    furnish(engine, request["views"], request["paths"], request["threads"])
    question = allowed(engine, request["sql"], tuple(request["views"]))
    threading.Thread(target=_tell_progress, args=[engine], daemon=True).start()
    try:
        if question.is_explain:
            _send_plan(engine, question, request["lake_dir"])
        else:
            reader = _relation(engine, question).to_arrow_reader(_BATCH_ROWS)
            _send(reader, request["most_rows"], request["most_bytes"])
    except duckdb.Error as error:
        raise _told(error, question) from None


def _relation(engine: duckdb.DuckDBPyConnection, question: Question) -> duckdb.DuckDBPyRelation:
    """What is asked, not begun yet. Of a name that isn't known the engine tells the place when it explains alone."""
    try:
        relation = engine.sql(question.sql)
    except (duckdb.BinderException, duckdb.CatalogException):
        explained = Question("explain " + question.sql, question.written, True)
        try:
            engine.execute(explained.sql).fetchall()
        except duckdb.Error as error:
            raise _told(error, explained) from None
        raise
    assert relation is not None
    return in_known_types(relation)


def in_known_types(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """With what no frame knows as text."""
    kinds = [str(kind) for kind in relation.types]
    if not any(_UNKNOWN_TYPE.search(kind) for kind in kinds):
        return relation
    columns = [f"#{number}" for number in range(1, len(kinds) + 1)]
    shown = [
        f'{column}::varchar as "{name.replace(chr(34), chr(34) * 2)}"' if _UNKNOWN_TYPE.search(kind) else column
        for column, name, kind in zip(columns, relation.columns, kinds, strict=True)
    ]
    return relation.project(", ".join(shown))


def _told(error: duckdb.Error, question: Question) -> _Told:
    """Note the message, and where in the statement its cause stands."""
    _, _, content = str(error).partition(": ")
    try:
        told = json.loads(content)
        message, place = str(told["exception_message"]), question.place(told.get("position"))
    except (ValueError, KeyError, TypeError):
        message, place = content or str(error), ""
    _note(failed=message[:_MOST_CHARACTERS], kind=type(error).__name__, place=place)
    return _Told()


def _send(reader: pa.RecordBatchReader, most_rows: int | None, most_bytes: int | None) -> None:
    schema = _with_unique_names(reader.schema)
    sent_rows = sent_bytes = 0
    with pa.ipc.new_stream(sys.stdout.buffer, schema) as stream:
        for batch in reader:
            if most_rows is not None and sent_rows + batch.num_rows > most_rows:
                stream.write_batch(_renamed(batch.slice(0, most_rows - sent_rows), schema))
                _note(cut="rows", most=most_rows)
                return
            stream.write_batch(_renamed(batch, schema))
            sent_rows += batch.num_rows
            sent_bytes += batch.nbytes
            if most_bytes is not None and sent_bytes > most_bytes:
                _note(cut="bytes", most=sent_rows)
                return


def _send_plan(engine: duckdb.DuckDBPyConnection, question: Question, lake_dir: str) -> None:
    plan = "\n".join(str(row[-1]).rstrip() for row in engine.execute(question.sql).fetchall())
    lines = plan.replace(lake_dir, "LAKE").split("\n")
    relation = engine.sql("select unnest($lines) as plan", params={"lines": lines})
    assert relation is not None
    _send(relation.to_arrow_reader(_BATCH_ROWS), None, None)


def _with_unique_names(schema: pa.Schema) -> pa.Schema:
    """Two columns of one name are told apart: a, a_1."""
    taken: set[str] = set()
    fields = []
    for field in schema:
        name, number = field.name, 0
        while name in taken:
            number += 1
            name = f"{field.name}_{number}"
        taken.add(name)
        fields.append(field.with_name(name))
    return pa.schema(fields)


def _renamed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def _tell_progress(engine: duckdb.DuckDBPyConnection) -> None:
    while True:
        time.sleep(_PROGRESS_SECONDS)
        percent = engine.query_progress()
        if percent >= 0:
            _note(progress=percent / 100)


def _note(**content: object) -> None:
    line = (json.dumps(content) + "\n").encode()
    with _noting:
        while line:
            line = line[os.write(2, line) :]


def _end_with_the_asker() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
