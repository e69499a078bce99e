"""API keys on a real database."""

import pytest

from ingest.database import Connection
from ingest.keys import Grant, UnknownKey, create_key, find_grant, list_keys, revoke_key


def test_a_key_has_its_role_until_it_is_revoked(connection: Connection) -> None:
    key = create_key(connection, "worker", "ingest")
    assert find_grant(connection, key) == Grant("ingest", key_id=list_keys(connection)[0].id)
    revoke_key(connection, str(list_keys(connection)[0].id))
    assert find_grant(connection, key) is None


def test_an_unknown_key_has_no_role(connection: Connection) -> None:
    assert find_grant(connection, "mh_admin_guess") is None


def test_the_key_itself_is_not_stored(connection: Connection) -> None:
    key = create_key(connection, "worker", "read")
    stored = str(connection.execute("select api_keys::text from api_keys").fetchall())
    assert key not in stored
    assert key[-12:] not in stored


def test_storing_a_key_again_keeps_one(connection: Connection) -> None:
    key = create_key(connection, "worker", "ingest")
    create_key(connection, "worker", "ingest", key)
    assert len(list_keys(connection)) == 1


def test_an_ambiguous_beginning_is_refused(connection: Connection) -> None:
    create_key(connection, "one", "ingest")
    create_key(connection, "two", "ingest")
    with pytest.raises(UnknownKey, match="2 keys have"):
        revoke_key(connection, "mh_ingest")
    with pytest.raises(UnknownKey, match="No valid key"):
        revoke_key(connection, "nothing")
