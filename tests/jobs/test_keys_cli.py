"""Keys and projects at the command line: every project has its DSN, and it is found again."""

from ingest.database import Connection
from tests.apis import SECRET_KEY
from tests.jobs.test_cli import command, said

PROJECT = "7f1d1c7e-0000-4000-8000-00000000000a"


def test_a_project_has_a_number_and_a_key_of_its_own(connection: Connection, database_url: str) -> None:
    environment = {
        "DATABASE_URL": database_url,
        "MESHHOOK_ERRORS_SECRET_KEY": SECRET_KEY,
        "MESHHOOK_ERRORS_PUBLIC_API_URL": "https://errors.example.com",
    }
    assert command("projects", "create", "shop", "--id", PROJECT, **environment).stdout == "2\n"
    assert "exists already" in said(command("projects", "create", "shop", **environment))
    listed = command("projects", "list", **environment).stdout.splitlines()
    assert [line.split() for line in listed] == [["1", "-", "default"], ["2", PROJECT, "shop"]]

    made = command("keys", "create", "shop's worker", "--project", "2", **environment)
    key = made.stdout.strip()
    dsn = f"https://{key}@errors.example.com/2"
    assert made.stderr == f"DSN: {dsn}\n"
    assert dsn in command("keys", "list", **environment).stdout
    assert "No project is called '9'" in said(command("keys", "create", "x", "--project", "9", **environment))
    stored = connection.execute("select api_keys::text, project_number from api_keys").fetchone()
    assert stored is not None
    assert (key in stored[0], stored[1]) == (False, 2)


def test_other_keys_are_shown_once_and_without_a_secret_key_all_are(database_url: str) -> None:
    sealed = {"DATABASE_URL": database_url, "MESHHOOK_ERRORS_SECRET_KEY": SECRET_KEY}
    command("keys", "create", "reader", "--role", "read", **sealed)
    command("keys", "create", "unsealed", DATABASE_URL=database_url)
    assert "DSN" not in command("keys", "list", **sealed).stdout
    sendable = command("keys", "create", "sealed", **sealed).stdout.strip()
    assert sendable in command("keys", "list", **sealed).stdout
    assert sendable not in command("keys", "list", DATABASE_URL=database_url).stdout
    command("keys", "revoke", sendable[:14], **sealed)
    assert sendable not in command("keys", "list", **sealed).stdout


def test_a_name_that_nobody_could_read_is_refused(database_url: str) -> None:
    for name in ("", "two\nlines", "x" * 101):
        assert "The key's name" in said(command("keys", "create", name, DATABASE_URL=database_url))
        assert "The project's name" in said(command("projects", "create", name, DATABASE_URL=database_url))


def test_keys_and_projects_are_given_limits_and_lose_them_again(connection: Connection, database_url: str) -> None:
    key = command("keys", "create", "wild", DATABASE_URL=database_url).stdout.strip()
    assert "at most 500 events" in command("keys", "limit", key[:14], "500", DATABASE_URL=database_url).stdout
    assert "at most 60 events" in command("projects", "limit", "1", "60", DATABASE_URL=database_url).stdout
    assert "wild  (at most 500 events a minute)" in command("keys", "list", DATABASE_URL=database_url).stdout
    assert "default  (at most 60 events a minute)" in command("projects", "list", DATABASE_URL=database_url).stdout
    assert "the limit of the settings" in command("projects", "limit", "1", "0", DATABASE_URL=database_url).stdout
    assert connection.execute("select events_per_minute from projects").fetchall() == [(None,)]
    assert "No project is called '9'" in said(command("projects", "limit", "9", "5", DATABASE_URL=database_url))
    assert "No valid key" in said(command("keys", "limit", "nobody", "5", DATABASE_URL=database_url))


def test_a_key_is_made_without_trust_is_given_it_and_loses_it_again(database_url: str) -> None:
    database = {"DATABASE_URL": database_url}
    key = command("keys", "create", "browser", "--untrusted", **database).stdout.strip()
    assert "browser  (not trusted)" in command("keys", "list", **database).stdout
    assert "are kept" in command("keys", "trust", key[:14], **database).stdout
    assert "not trusted" not in command("keys", "list", **database).stdout
    assert "the rules alone decide" in command("keys", "distrust", key[:14], **database).stdout
    assert "browser  (not trusted)" in command("keys", "list", **database).stdout
    assert "No valid key" in said(command("keys", "trust", "nobody", **database))
