"""The spool: what it has acknowledged is still there, whoever else writes, drains or dies beside it."""

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from uuid import uuid4

import pytest

from ingest.exceptions import SpoolFull
from ingest.rows import Row
from ingest.spool import Spool, read_segment

PLENTY = 1_000_000


def row(text: str = "text") -> Row:
    error_id = str(uuid4())
    return Row("errors", error_id, f"{error_id}\t{text}\n".encode())


def waiting_ids(directory: Path) -> set[str]:
    return {kept.id for path in directory.glob("*.rows") for rows in read_segment(path, 100) for kept in rows}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_a_refused_write_leaves_what_was_acknowledged_before(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(directory, PLENTY)
    kept, refused, later = row(), row(), row()
    spool.append([kept])

    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(SpoolFull, match="No space left"):
            spool.append([refused])
    spool.append([later])
    assert waiting_ids(directory) == {kept.id, later.id}


def test_a_segment_that_is_drained_meanwhile_disturbs_nobody(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(directory, PLENTY)
    spool.append([row()])
    spool.seal()
    found = spool.segments()
    monkeypatch.setattr(Path, "glob", lambda *_: iter(found))
    found[0].unlink()
    assert spool.size() == 0
    assert spool.segments() == []
    spool.append([row()])


def test_what_another_process_still_appends_to_is_left_to_it(directory: Path) -> None:
    ours, theirs = Spool(directory, PLENTY), Spool(directory, PLENTY)
    theirs.append([row()])
    ours.append([row()])
    assert len(ours.segments()) == 1
    assert len(theirs.segments()) == 1
    assert ours.segments() != theirs.segments()
    theirs.seal()
    assert len(ours.segments()) == 2


def test_what_a_dead_process_left_is_drained(directory: Path) -> None:
    left = row()
    script = f"from pathlib import Path; from ingest.rows import Row; from ingest.spool import Spool; \
Spool(Path({str(directory)!r}), 1000).append([Row(*{tuple(left)!r})])"
    subprocess.run([sys.executable, "-c", script], check=True)
    assert [[row.id for rows in read_segment(path, 10) for row in rows] for path in Spool(directory, 1).segments()] == [
        [left.id]
    ]


def test_a_process_with_the_number_of_a_dead_one_begins_its_own_segment(directory: Path) -> None:
    """As in a container, where the server always has the same number; the dead one's last line may be torn."""
    left, new = row(), row()
    before = Spool(directory, PLENTY)
    before.append([left])
    before.seal()
    with before.segments()[0].open("ab") as file:
        file.write(b"torn")
    Spool(directory, PLENTY).append([new])
    assert waiting_ids(directory) == {left.id, new.id}


def test_sealing_waits_for_rows_that_are_being_written(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(directory, PLENTY)
    spool.append([row()])
    flush, is_flushing = os.fsync, threading.Event()

    def slow(descriptor: int) -> None:
        is_flushing.set()
        time.sleep(0.2)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    late = row()
    thread = threading.Thread(target=spool.append, args=[[late]])
    thread.start()
    is_flushing.wait()
    listed = spool.segments()
    spool.seal()
    assert late.id in waiting_ids(directory)
    size = listed[0].stat().st_size
    thread.join()
    spool.append([row()])
    assert listed[0].stat().st_size == size


def test_the_oldest_row_counts_not_the_newest(directory: Path) -> None:
    spool = Spool(directory, PLENTY)
    spool.append([row()])
    began = time.time()
    time.sleep(0.1)
    spool.append([row()])
    oldest = spool.oldest()
    assert oldest is not None
    assert oldest < began


def test_a_full_spool_says_so(directory: Path) -> None:
    with pytest.raises(SpoolFull, match="SPOOL_MAX_BYTES"):
        Spool(directory, 10).append([row()])
