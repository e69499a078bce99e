"""Settings, read from the environment once. A bad one stops the start with a sentence that says what to do."""

import base64
import difflib
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest.exceptions import IngestError
from ingest.masking.policy import Policy, policy_of

PREFIX = "MESHHOOK_ERRORS_"
_OF_THE_CLIENT = f"{PREFIX}CLIENT_"  # a worker may run with the same environment
_PUBLIC_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]*\]|[^:\[\]\s]*)(:[0-9]{0,5})?")
_DATABASE_FORM = "Write it as postgresql://USER:PASSWORD@HOST:5432/DATABASE."


class BadSettings(IngestError):
    """The environment holds a value that can't be used; the message names it and the remedy."""


class Settings(BaseSettings):
    """Everything that can be configured from outside. `docs/operations.md` lists each one."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", populate_by_name=True)

    database_url: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("DATABASE_URL", "database_url"),
        description="The Postgres (15 to 18) to use. Empty: `up` starts an embedded one under the data directory.",
    )
    lake_url: str = Field(
        default="",
        validation_alias=AliasChoices("LAKE_URL", "lake_url"),
        description="The directory of the Parquet lake. Empty: `lake` under the data directory.",
    )
    data_dir: Path = Field(Path("data"), description="Where `up` keeps Postgres, lake, spool and its secrets.")
    api_host: str = Field("127.0.0.1", description="The address that the API listens on.")
    api_port: int = Field(8080, ge=1, le=65535, description="The port of the API.")
    app_host: str = Field("127.0.0.1", description="The address that the dashboard listens on.")
    app_port: int = Field(8501, ge=1, le=65535, description="The port of the dashboard.")
    public_api_url: str = Field("", description="How clients reach the API, if not by address and port.")
    public_app_url: str = Field("", description="How people reach the dashboard; links in messages start with it.")
    secret_key: SecretStr = Field(
        SecretStr(""), description="Encrypts channel secrets at rest: 32 url-safe base64 bytes. `up` makes one."
    )
    mirror_max_lag: float = Field(
        300, ge=1, description="Seconds that a committed row waits at most until it is in the lake."
    )
    mirror_max_rows: int = Field(250_000, ge=1, description="Waiting rows that cause a publish at once.")
    seal_after_hours: float = Field(
        2, ge=0, le=8_760, description="Hours after the end of a day (UTC) until its parts are merged into one file."
    )
    minute_rollup_days: int = Field(
        90, ge=1, description="Days of which the lake keeps rollups per minute; those per hour stay."
    )
    lake_days: int = Field(
        0, ge=0, description="Days of which the lake keeps single errors; the rollups tell of older ones. 0: for ever."
    )
    postgres_days: int = Field(7, ge=1, description="Days of events that Postgres keeps beside the lake.")
    counts_days: int = Field(14, ge=1, description="Days of 10-second counts that Postgres keeps.")
    max_body_bytes: int = Field(20 * 1024 * 1024, ge=1024, description="Largest request body, after decompression.")
    max_batch: int = Field(10_000, ge=1, description="Most events in one request.")
    max_inflight_bytes: int = Field(
        256 * 1024 * 1024, ge=1024, description="Bodies under way at once, in bytes; above that the answer is 429."
    )
    details_per_minute: int = Field(
        1_000, ge=1, description="Errors of a group and minute that are stored whole; later ones are only counted."
    )
    key_events_per_minute: int = Field(
        0,
        ge=0,
        description="Events that a key may send in a minute; above it they are only counted. 0: no limit.",
    )
    project_events_per_minute: int = Field(
        0, ge=0, description="The same for all that is sent for a project. 0: no limit."
    )
    mask_keys: str = Field("", description="More names of keys whose values are masked, divided by blanks or commas.")
    mask_patterns: str = Field(
        "", description="More patterns to mask, as NAME=EXPRESSION (RE2) or NAME#=EXPRESSION, divided by blanks."
    )
    mask_allow: str = Field(
        "", description="What stays: key=NAME, value=TEXT or pattern=EXPRESSION (RE2), divided by blanks."
    )
    mask_also: str = Field("", description="Kinds that are masked on demand: phone, ip; divided by blanks or commas.")
    spool_max_bytes: int = Field(
        512 * 1024 * 1024, ge=0, description="Disk that the API may fill while Postgres is away."
    )
    evaluate_seconds: float = Field(2, gt=0, le=60, description="Alert rules are evaluated at least this often.")
    smtp_host: str = Field("", description="The mail server. Empty: mail channels can't deliver.")
    smtp_port: int = Field(587, ge=1, le=65535, description="The port of the mail server.")
    smtp_user: str = Field("", description="The user to sign in to the mail server with, if any.")
    smtp_password: SecretStr = Field(SecretStr(""), description="The password for the mail server.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the mail connection is encrypted: starttls, tls or none (loopback only)."
    )
    smtp_from: str = Field("", description="The sender of mails, for example errors@example.com.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least level logged.")

    @field_validator("database_url")
    @classmethod
    def _database_is_postgres(cls, value: SecretStr) -> SecretStr:
        check_database_url(value.get_secret_value())
        return value

    @field_validator("secret_key")
    @classmethod
    def _key_is_whole(cls, value: SecretStr) -> SecretStr:
        try:
            length = len(base64.urlsafe_b64decode(value.get_secret_value()))
        except ValueError:
            length = -1
        if length not in (0, 32):
            raise ValueError(
                "it must be 32 url-safe base64 bytes. Make one with: python3 -c "
                "'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'"
            )
        return value

    @field_validator("mask_keys", "mask_patterns", "mask_allow", "mask_also")
    @classmethod
    def _masking_is_understood(cls, value: str, field: ValidationInfo) -> str:
        policy_of(**{str(field.field_name).removeprefix("mask_"): value})
        return value

    @field_validator("public_api_url", "public_app_url")
    @classmethod
    def _address_is_whole(cls, value: str) -> str:
        if value and not _PUBLIC_URL.fullmatch(value):
            raise ValueError("it must begin with https:// or http://, for example https://errors.example.com")
        return value

    @field_validator("lake_url")
    @classmethod
    def _lake_is_a_directory(cls, value: str) -> str:
        if "://" in value and not value.startswith("file://"):
            raise ValueError("only a local directory is supported in this version, for example /var/lib/errors/lake")
        return value.removeprefix("file://")

    @property
    def mask_policy(self) -> Policy:
        """What is masked, and what is kept, beyond the usual."""
        return policy_of(self.mask_keys, self.mask_patterns, self.mask_allow, self.mask_also)

    @property
    def lake_dir(self) -> Path:
        """The root of the lake."""
        return Path(self.lake_url) if self.lake_url else self.data_dir / "lake"

    @property
    def spool_dir(self) -> Path:
        """Where the API keeps events while Postgres is away."""
        return self.data_dir / "spool"

    @property
    def api_url(self) -> str:
        """The address of the API for clients, without a trailing slash."""
        return (self.public_api_url or local_address(self.api_host, self.api_port)).rstrip("/")

    @property
    def app_url(self) -> str:
        """The address of the dashboard for people, without a trailing slash."""
        return (self.public_app_url or local_address(self.app_host, self.app_port)).rstrip("/")


def check_database_url(url: str) -> None:
    """Raises ValueError for an address that can't be one of Postgres. The message holds nothing of it: a part that
    is in the wrong place may be the password."""
    if not url:
        return
    scheme, found, rest = url.partition("://")
    if not found:
        if "=" not in url:
            raise ValueError(_DATABASE_FORM)
        return
    if scheme not in ("postgresql", "postgres"):
        raise ValueError(f"only Postgres is supported. {_DATABASE_FORM}")
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if re.search(r"%(?![0-9A-Fa-f]{2})", rest) or place.count("@") > 1:
        raise ValueError("name or password holds %, @ or the like. Write them as %25, %40 …")
    for host in place.rpartition("@")[2].split(","):
        if not _HOST.fullmatch(host):
            raise ValueError(f"host or port isn't understood; in a password, / is written as %2F. {_DATABASE_FORM}")


def unknown_names(environment: Iterable[str]) -> list[str]:
    """Variables that begin like ours and set nothing, each with the name that may be meant."""
    known = [environment_name(field) for field in Settings.model_fields]
    found = []
    for name in sorted(environment):
        is_ours = name.upper().startswith(PREFIX) and not name.upper().startswith(_OF_THE_CLIENT)
        if is_ours and name.upper() not in known:
            close = difflib.get_close_matches(name.upper(), known, 1)
            found.append(f"{name} sets nothing" + (f": is {close[0]} meant?" if close else "."))
    return found


def local_address(host: str, port: int) -> str:
    """How a server that listens on `host` is reached on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - not to listen on
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def environment_name(field: str) -> str:
    """The environment variable that sets `field`."""
    return field.upper() if field in ("database_url", "lake_url") else PREFIX + field.upper()


def read_settings() -> Settings:
    """Parse the environment. Raises BadSettings with one line per wrong value."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{environment_name(str(problem['loc'][0]).lower())}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_input=False)
        ]
        raise BadSettings("Settings can't be used. " + "; ".join(lines)) from None


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process."""
    return read_settings()
