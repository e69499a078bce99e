"""The data directory: one owner, secrets made once and for the owner's eyes alone, and what stands in the way said."""

import json
import os
import socket
from pathlib import Path

import pytest

from ingest.vault import Vault
from jobs.exceptions import StartFailed
from jobs.installation import ConnectionInfo, Installation, check_port
from tests.ports import free_port

INFO = ConnectionInfo("http://api", "http://app", "postgresql://", "/lake", "http://k@api/1", "k", "a")


def test_a_directory_has_one_owner_at_a_time(tmp_path: Path) -> None:
    first = Installation(tmp_path)
    first.lock()
    with pytest.raises(StartFailed, match=rf"runs already on {tmp_path}\.$"):
        Installation(tmp_path).lock()
    first.write_connection(INFO)
    with pytest.raises(StartFailed, match=r"open http://app\.$"):
        Installation(tmp_path).lock()
    del first  # as when its process ends, however
    Installation(tmp_path).lock()


def test_a_directory_of_ours_is_for_the_owner_and_another_one_stays_as_it_is(tmp_path: Path) -> None:
    def mode(path: Path) -> int:
        return path.stat().st_mode & 0o777

    fresh, empty, used, shared = (tmp_path / name for name in ("fresh", "empty", "used", "shared"))
    for folder in (empty, used, shared):
        folder.mkdir()
        folder.chmod(0o755)
    (used / "secrets.json").write_text("{}")
    (shared / "photos").write_text("")
    for folder in (fresh, empty, used, shared):
        Installation(folder).lock()
    way = 0o711 if os.geteuid() == 0 else 0o700
    assert [mode(folder) for folder in (fresh, empty, used, shared)] == [0o700, way, way, 0o755]


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartFailed, match="Choose another with --data-dir"):
        Installation(tmp_path / "file" / "data").lock()


def test_secrets_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    made, is_new = installation.secrets()
    again, is_new_again = installation.secrets()
    assert (is_new, is_new_again, again) == (True, False, made)
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    vault = Vault(made.secret_key)
    assert vault.decrypt(vault.encrypt("kept")) == "kept"


def test_two_installations_share_no_secret(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = (set(json.loads(json.dumps(_values(tmp_path / name)))) for name in ("one", "two"))
    assert len(one) == 4
    assert not one & two


def _values(directory: Path) -> list[str]:
    Installation(directory).secrets()
    return list(json.loads((directory / "secrets.json").read_text()).values())


@pytest.mark.parametrize("content", ["{", "[]", '{"secret_key": "half"}'])
def test_broken_secrets_are_never_replaced_by_new_ones(tmp_path: Path, content: str) -> None:
    (tmp_path / "secrets.json").write_text(content)
    with pytest.raises(StartFailed, match="Restore it from a backup"):
        Installation(tmp_path).secrets()
    assert (tmp_path / "secrets.json").read_text() == content


def test_the_connection_is_for_the_owner_alone(tmp_path: Path) -> None:
    Installation(tmp_path).write_connection(INFO)
    path = tmp_path / "connection.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["dsn"] == "http://k@api/1"
    assert [entry.name for entry in tmp_path.iterdir()] == ["connection.json"]


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Installation(tmp_path).check_space()
    monkeypatch.setattr("jobs.installation._LEAST_FREE_BYTES", 2**62)
    with pytest.raises(StartFailed, match="Free some space"):
        Installation(tmp_path).check_space()


@pytest.mark.parametrize("host", ["nonsense.invalid", "192.0.2.1"])
def test_an_address_of_another_machine_is_named_with_the_setting_that_changes_it(host: str) -> None:
    with pytest.raises(StartFailed, match=f"'{host}' is no address .* Set MESHHOOK_ERRORS_APP_HOST"):
        check_port(free_port(), "--app-port", host)


def test_a_port_in_use_is_named_with_the_option_that_changes_it() -> None:
    check_port(free_port(), "--api-port")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartFailed, match=f"Port {port} on 127.0.0.1 .* --api-port"):
            check_port(port, "--api-port")
        with pytest.raises(StartFailed, match=f"Port {port} on 0.0.0.0 .* --app-port"):
            check_port(port, "--app-port", "0.0.0.0")
