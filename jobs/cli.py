"""The one command. Heavy imports stand inside the commands, so that `--help` answers at once."""

import signal

if __name__ == "__main__":  # the imports below take a moment: a Ctrl-C in it just ends the process
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import os
import sys
import threading
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from analytics.exceptions import AnalyticsError
from ingest.exceptions import IngestError
from ingest.settings import read_settings, settings, unknown_names
from jobs.backup_cli import backup, restore
from jobs.demo_cli import demo
from jobs.erase_cli import erase
from jobs.exceptions import JobError, LeadershipLost, StartFailed
from jobs.known_database import known_database as _database
from jobs.known_database import with_database as _with_database
from jobs.lake_cli import catalog, export, query
from jobs.limits_cli import limit_key, limit_project
from jobs.meshhook_cli import connect_meshhook, disconnect_meshhook
from jobs.rollup_cli import rollup
from jobs.trust_cli import distrust_key, trust_key
from jobs.users_cli import users

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="MeshHook Errors.")
keys = typer.Typer(no_args_is_help=True, help="API keys: create, list, limit, trust, distrust, revoke.")
projects = typer.Typer(no_args_is_help=True, help="Projects and their numbers: create, list, limit.")
app.add_typer(keys, name="keys")
app.add_typer(users, name="users")
app.add_typer(projects, name="projects")
app.command("connect-meshhook")(connect_meshhook)
app.command("disconnect-meshhook")(disconnect_meshhook)
app.command()(rollup)
app.command()(demo)
app.command()(query)
app.command()(export)
app.command()(catalog)
app.command()(erase)
app.command()(backup)
app.command()(restore)
keys.command("limit")(limit_key)
keys.command("trust")(trust_key)
keys.command("distrust")(distrust_key)
projects.command("limit")(limit_project)

DataDir = Annotated[Path | None, typer.Option(help="Where everything is kept.")]


@app.command()
def up(
    data_dir: DataDir = None,
    api_port: Annotated[int | None, typer.Option(help="The port of the API.", min=1, max=65535)] = None,
    app_port: Annotated[int | None, typer.Option(help="The port of the dashboard.", min=1, max=65535)] = None,
) -> None:
    """Run everything on this machine: Postgres, API, jobs and dashboard."""
    from rich.console import Console

    from jobs.up import Up

    given = {"data_dir": data_dir, "api_port": api_port, "app_port": app_port}
    options = read_settings().model_copy(update={name: value for name, value in given.items() if value is not None})
    if options.api_port == options.app_port:
        raise StartFailed(
            f"API and dashboard can't share port {options.api_port}. Give them two with --api-port and --app-port."
        )
    Up(options, Console()).run()


@app.command()
def api() -> None:
    """Run the API server alone."""
    import gc

    import uvicorn

    from jobs.api import create_app
    from jobs.log import configure_logging

    options = _with_database()
    configure_logging(options.log_level)
    application = create_app(options)
    # What is loaded by now stays; looking through it again and again would cost every request.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    _serve(uvicorn, application, options.api_host, options.api_port, "--api-port")


@app.command()
def jobs() -> None:
    """Run the scheduled work alone: tally, alerting, delivery, mirror. Several stand by for each other."""
    from jobs.log import configure_logging
    from jobs.scheduler import run

    configure_logging(_with_database().log_level)
    # The mirror reads hundreds of thousands of rows in Python; an alert must not wait for its turn at every step.
    sys.setswitchinterval(0.0005)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    run(stop)


@app.command(name="app")
def dashboard() -> None:
    """Run the dashboard alone."""
    import uvicorn

    from jobs.dashboard import create_app
    from jobs.log import configure_logging

    options = _with_database()
    configure_logging(options.log_level)
    _serve(uvicorn, create_app(), options.app_host, options.app_port, "--app-port")


@app.command()
def migrate() -> None:
    """Bring the database up to date."""
    from ingest.database import migrate as apply

    with _database("migrate") as connection:
        applied = apply(connection)
    typer.echo(f"Applied: {', '.join(map(str, applied))}." if applied else "The database is up to date.")


@app.command()
def verify(
    mend: Annotated[
        bool, typer.Option("--mend", help="First rewrite damaged days from what Postgres has; the jobs must not run.")
    ] = False,
    days: Annotated[bool, typer.Option("--days", help="Also tell what each day of the lake holds.")] = False,
) -> None:
    """Prove that Postgres and the lake agree, row by row."""
    from jobs.verify import verify as compare

    if mend:
        _mend()
    with _database("verify") as connection:
        report = compare(connection, settings().lake_dir)
    for day in report.days if days else ():
        files = "sealed" if day.is_sealed else "open"
        typer.echo(f"  {day.dataset:<10} {day.day}  {files:<6}  {day.files} files, {day.rows} rows for {day.counted}")
    for problem in report.problems:
        typer.echo(f"✗ {problem}")
    typer.echo(
        f"{'Equal' if report.is_equal else 'Different'}: {report.ranges} ranges, {report.rows_compared} rows compared, "
        f"{report.rows_only_in_lake} only in the lake (older than Postgres keeps), {report.waiting} not due yet."
    )
    if report.without_rollups:
        typer.echo(
            f"{report.without_rollups} files have no rollups and are read whole: `meshhook-errors rollup` tells."
        )
    raise typer.Exit(0 if report.is_equal else 1)


def _mend() -> None:
    from jobs.mirror import Mirror

    options = settings()
    try:
        with _database("mend") as connection:
            mirror = Mirror(connection, options.lake_dir, max_rows=1, max_lag_seconds=1)
            mended = mirror.mend(options.postgres_days)
    except LeadershipLost:
        typer.echo("✗ The jobs are running, and may publish at any moment. Stop them, then mend.")
        raise typer.Exit(1) from None
    for day in mended.days:
        typer.echo(f"✓ {day.dataset} of {day.day}: mended, {day.rows} rows.")
    for reason in mended.beyond:
        typer.echo(f"✗ {reason}")


@app.command()
def doctor() -> None:
    """Check settings, Postgres, lake and signs of life; exit code 1 when something is wrong."""
    from jobs.doctor import examine

    findings = examine(_with_database())
    for finding in findings:
        typer.echo(f"{'✓' if finding.is_well else '✗'} {finding.what:<12} {finding.says}")
    raise typer.Exit(0 if all(finding.is_well for finding in findings) else 1)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    role: Annotated[str, typer.Option(help="ingest, read or admin.")] = "ingest",
    project: Annotated[int | None, typer.Option(help="The number of the only project that it may send for.")] = None,
    untrusted: Annotated[
        bool, typer.Option("--untrusted", help="Let the rules alone decide on type and severity of what it sends.")
    ] = False,
) -> None:
    """Make a key and print it. One of another role than ingest is shown this once."""
    from ingest.keys import ROLES, dsn_of
    from ingest.keys import create_key as create
    from ingest.projects import find_project

    chosen = next((known for known in ROLES if known == role), None)
    if chosen is None:
        raise StartFailed(f"A key's role is {', '.join(ROLES)}, not {role!r}.")
    with _database("keys") as connection:
        if project is not None:
            find_project(connection, project)
        key = create(connection, name, chosen, project_number=project, vault=_vault(), is_trusted=not untrusted)
    typer.echo(key)
    if chosen == "ingest":
        typer.echo(f"DSN: {dsn_of(settings().api_url, key, str(project or 1))}", err=True)


@keys.command("list")
def list_keys() -> None:
    """List the keys; those that may send with the DSN that SDKs take."""
    from ingest.keys import list_keys as read
    from ingest.keys import sendable_dsn

    with _database("keys") as connection:
        for key in read(connection):
            state = "revoked" if key.revoked_at else "valid"
            since = f"{key.created_at:%Y-%m-%d}"
            typer.echo(
                f"{key.id}  {key.prefix}…  {key.role:<6}  {state:<7}  {since}  {key.name}{_trust(key)}{_limit(key)}"
            )
            if dsn := sendable_dsn(key, settings().api_url, _vault()):
                typer.echo(f"    DSN  {dsn}")


def _vault() -> Any:
    """Where keys that may send are kept encrypted; None without a usable secret key."""
    from ingest.vault import Vault, VaultClosed

    vault = Vault(settings().secret_key.get_secret_value())
    try:
        vault.encrypt("")
    except VaultClosed:
        return None
    return vault


@keys.command("revoke")
def revoke_key(key: Annotated[str, typer.Argument(help="The key's id, or how it begins.")]) -> None:
    """Take a key out of use."""
    from ingest.keys import revoke_key as revoke

    with _database("keys") as connection:
        revoked = revoke(connection, key)
    typer.echo(f"Revoked {revoked.prefix}… ({revoked.name}). Running servers notice within 10 seconds.")


@projects.command("create")
def create_project(
    name: Annotated[str, typer.Argument(help="How people call it.")],
    project_id: Annotated[UUID | None, typer.Option("--id", help="The project_id that its rows carry.")] = None,
) -> None:
    """Give a project a number, for DSNs, and print it."""
    from ingest.projects import create_project as create

    with _database("projects") as connection:
        project = create(connection, name, project_id)
    typer.echo(project.number)


@projects.command("list")
def list_projects() -> None:
    """List the projects: number, project_id, name."""
    from ingest.projects import list_projects as read

    with _database("projects") as connection:
        for project in read(connection):
            typer.echo(f"{project.number:>5}  {project.id or '-'!s:<36}  {project.name}{_limit(project)}")


def _trust(key: Any) -> str:
    return "" if key.is_trusted else "  (not trusted)"


def _limit(limited: Any) -> str:
    return f"  (at most {limited.events_per_minute} events a minute)" if limited.events_per_minute else ""


@app.callback()
def _warn_of_unknown_settings() -> None:
    for problem in unknown_names(os.environ):
        typer.echo(f"meshhook-errors: {problem}", err=True)


def _serve(uvicorn: Any, application: Any, host: str, port: int, option: str) -> None:
    from jobs.installation import check_port

    check_port(port, option, host)
    uvicorn.run(
        application,
        host=host,
        port=port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=5,
        server_header=False,
        proxy_headers=False,
    )


def main() -> None:
    """Expected failures are one sentence on standard error; everything else is a traceback worth reporting."""
    try:
        app(prog_name="meshhook-errors")
    except (IngestError, AnalyticsError, JobError) as error:
        typer.echo(f"meshhook-errors: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
