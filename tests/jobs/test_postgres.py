"""The embedded Postgres, killed and found again in every state that a crash leaves behind."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from jobs.exceptions import StartFailed
from jobs.postgres import EmbeddedPostgres
from tests.end_to_end.running import until


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server under a path that a shell would take apart."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("post gres $HOME's"))
    yield server
    server.stop()


@pytest.fixture
def server(cluster: EmbeddedPostgres) -> EmbeddedPostgres:
    cluster.start()
    return cluster


def pid_file(server: EmbeddedPostgres) -> Path:
    return server.directory / "cluster" / "postmaster.pid"


def kill(server: EmbeddedPostgres) -> None:
    os.kill(int(pid_file(server).read_text().splitlines()[0]), signal.SIGKILL)
    until(lambda: not server.is_running())


def answers(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("select 1").fetchone() == (1,)


def test_it_asks_for_the_password_and_listens_on_no_network(server: EmbeddedPostgres) -> None:
    assert answers(server.url)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(psycopg.conninfo.make_conninfo(server.url, password="guess"))
    with psycopg.connect(server.url) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("",)
    assert (server.directory / "password").stat().st_mode & 0o777 == 0o600


def test_texts_have_one_order_on_every_machine(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url) as connection:
        row = connection.execute("select lower('ÄÖ'), 'B' < 'a', current_setting('server_encoding')").fetchone()
    assert row == ("äö", True, "UTF8")


def test_starting_again_finds_the_one_that_runs(server: EmbeddedPostgres) -> None:
    before = pid_file(server).read_text()
    other = EmbeddedPostgres(server.directory)
    assert other.start() == server.url
    assert server.start() == other.url
    assert other.is_running()
    assert pid_file(server).read_text() == before


def test_data_survives_a_kill_and_a_stop(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("create table kept as select 1 as one")
        kill(server)
    server.start()
    server.stop()
    assert not server.is_running()
    assert not pid_file(server).exists()
    with psycopg.connect(server.start()) as connection:
        assert connection.execute("select one from kept").fetchone() == (1,)


@pytest.mark.parametrize("left", ["number of another process", "nothing written"])
def test_what_a_crash_of_the_machine_leaves_does_not_stop_the_start(server: EmbeddedPostgres, left: str) -> None:
    with psycopg.connect(server.url):
        kill(server)
    lines = pid_file(server).read_text().splitlines()
    text = "\n".join([str(os.getpid()), *lines[1:]]) + "\n" if left.startswith("number") else ""
    time.sleep(0.2)  # its last processes end
    pid_file(server).write_text(text)
    assert answers(EmbeddedPostgres(server.directory).start())


def test_a_dead_server_is_started_again_and_said_so(server: EmbeddedPostgres) -> None:
    said: list[str] = []
    server.look_after(said.append)
    assert said == []
    kill(server)
    until(lambda: server.look_after(said.append) or len(said) == 2)
    assert said == ["PostgreSQL died; it starts again in 1 s.", "PostgreSQL was started again."]
    assert answers(server.url)


def test_a_setting_that_it_refuses_is_quoted(server: EmbeddedPostgres) -> None:
    server.stop()
    settings = server.directory / "cluster" / "postgresql.conf"
    good = settings.read_text()
    settings.write_text(good + "nonsense = 1\n")
    with pytest.raises(StartFailed, match=r"FATAL: +configuration file .* contains errors"):
        server.start()
    settings.write_text(good)


def test_an_interrupted_first_start_leaves_nothing_behind(tmp_path: Path) -> None:
    half = tmp_path / "cluster.half"
    half.mkdir()
    (half / "PG_VERSION").write_text("18")
    server = EmbeddedPostgres(tmp_path)
    assert answers(server.start())
    server.stop()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cluster", "password"]


def test_a_path_too_long_for_a_socket_gets_a_short_one(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / ("long" * 30))
    assert answers(server.start())
    server.stop()


def test_the_variables_of_somebody_elses_postgres_mean_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "6543")
    monkeypatch.setenv("PGDATA", "/nowhere")
    server = EmbeddedPostgres(tmp_path)
    assert answers(server.start())
    server.stop()
