"""Settings, read from the environment once. A bad one stops the start with a sentence that says what to do."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest.exceptions import IngestError

PREFIX = "MESHHOOK_ERRORS_"


class BadSettings(IngestError):
    """The environment holds a value that can't be used; the message names it and the remedy."""


class Settings(BaseSettings):
    """Everything that can be configured from outside. `docs/operations.md` lists each one."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", populate_by_name=True)

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
    mirror_max_lag: float = Field(300, ge=1, description="Seconds after which the oldest unmirrored row is published.")
    mirror_max_rows: int = Field(250_000, ge=1, description="Waiting rows that cause a publish at once.")
    postgres_days: int = Field(7, ge=1, description="Days of events that Postgres keeps beside the lake.")
    counts_days: int = Field(14, ge=1, description="Days of 10-second counts that Postgres keeps.")
    max_body_bytes: int = Field(20 * 1024 * 1024, ge=1024, description="Largest request body, after decompression.")
    max_batch: int = Field(10_000, ge=1, description="Most events in one request.")
    max_inflight_bytes: int = Field(
        256 * 1024 * 1024, ge=1024, description="Bodies under way at once, in bytes; above that the answer is 429."
    )
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

    @field_validator("lake_url")
    @classmethod
    def _lake_is_a_directory(cls, value: str) -> str:
        if "://" in value and not value.startswith("file://"):
            raise ValueError("only a local directory is supported in this version, for example /var/lib/errors/lake")
        return value.removeprefix("file://")

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
            f"{environment_name(str(problem['loc'][0]).lower())}: {problem['msg']}"
            for problem in error.errors(include_input=False)
        ]
        raise BadSettings("Settings can't be used. " + "; ".join(lines)) from None


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process."""
    return read_settings()
