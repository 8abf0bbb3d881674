"""The environment, read in one place.

Every location asks `load_settings()` and nothing else reads `os.environ`. A bad value stops the
start with a sentence that names the variable. The token is a `SecretStr`: it is never printed,
logged or put into metadata.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from databox_shared.lake import POSTGRES, Lake, parse_lake
from databox_shared.lake import SCHEME as LAKE

EBIRD_API_URL = "https://api.ebird.org/v2"
SANDBOX_PORT = 8765
SANDBOX_URL = f"http://127.0.0.1:{SANDBOX_PORT}/v2"

# country, subnational1 or subnational2, with the empty tail that Vatican City has ("VA-")
_REGION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{0,3}(-[A-Z0-9]{1,3})?)?")


class SettingsError(ValueError):
    """A variable of the environment has a value that Databox cannot work with."""


class Settings(BaseSettings):
    """What the environment says, checked. See `.env.example` for the meaning of each variable."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    # not in any text of the settings: it may hold a password
    database_url: Annotated[str, Field(repr=False, exclude=True)] = "duckdb:///data/databox.duckdb"
    database_dir: Path = Path("data")
    aws_endpoint_url: str | None = None
    dlt_data_dir: Path = Path("data/.databox/dlt")
    ebird_api_token: SecretStr | None = None
    ebird_api_url: str | None = None
    ebird_regions: Annotated[tuple[str, ...], NoDecode] = ("US-DC",)
    ebird_schedule_timezone: str = "UTC"
    ebird_schedule_paused: bool = False
    ebird_reread: Annotated[tuple[int, ...], NoDecode] = (1, 2, 3, 7, 14, 30)
    ebird_daily_call_limit: int | None = None
    deploy_dir: Path = Path("deployed")
    alert_webhook_url: SecretStr | None = None
    alert_email: str | None = None
    alert_smtp_url: SecretStr | None = None

    @field_validator("ebird_regions", mode="before")
    @classmethod
    def _split_regions(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        regions = tuple(dict.fromkeys(part.strip().upper() for part in value.split(",")))
        for region in regions:
            if not _REGION.fullmatch(region):
                msg = f"{region!r} is not an eBird region code such as US, US-MA or US-MA-017"
                raise ValueError(msg)
        return regions

    @field_validator("ebird_reread", mode="before")
    @classmethod
    def _split_ages(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        ages = [part.strip() for part in value.split(",")]
        if not all(age.isdecimal() and int(age) > 0 for age in ages):
            msg = f"{value!r} is not a list of ages in days such as 1,2,3,7,14,30"
            raise ValueError(msg)
        return tuple(sorted({int(age) for age in ages}))

    @field_validator("ebird_daily_call_limit", mode="before")
    @classmethod
    def _number_of_calls(cls, value: object) -> object:
        if isinstance(value, str) and not (value.isdecimal() and int(value) > 0):
            msg = f"{value!r} is not a number of calls above 0"
            raise ValueError(msg)
        return value

    @field_validator("database_url")
    @classmethod
    def _supported_database(cls, value: str) -> str:
        try:
            url = urlsplit(value.removeprefix(LAKE))
        except ValueError:
            # Python's own words repeat user and password
            msg = "it cannot be read as a URL; write what is special in a password as %XX"
            raise ValueError(msg) from None
        if value.startswith(LAKE) or url.scheme in POSTGRES:
            parse_lake(value, Path())
            return value
        if url.scheme != "duckdb":
            # only the scheme is repeated: the rest of a database URL may hold a password
            msg = (
                f"{url.scheme or 'no scheme'}:// is not supported; use duckdb:///path/to/file, "
                "postgresql://user:password@host:5432/database or the same after ducklake:"
            )
            raise ValueError(msg)
        if url.netloc or not url.path.strip("/"):
            msg = "a DuckDB file is written duckdb:///relative/path or duckdb:////absolute/path"
            raise ValueError(msg)
        return value

    @field_validator("ebird_api_url", "aws_endpoint_url")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        url = urlsplit(value)
        if url.scheme not in {"http", "https"} or not url.hostname:
            msg = "it must start with http:// or https:// and name a host"
            raise ValueError(msg)
        if "key=" in url.query or url.username or url.password:
            msg = "it must not carry a key; keys have variables of their own"
            raise ValueError(msg)
        return value.rstrip("/")

    @field_validator("ebird_schedule_timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        if value not in available_timezones():
            msg = f"{value!r} is not a time zone of the IANA database such as America/New_York"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _mail_needs_a_server(self) -> Self:
        if self.alert_email and not self.alert_smtp_url:
            msg = "ALERT_EMAIL needs ALERT_SMTP_URL, the mail server to send through"
            raise ValueError(msg)
        return self

    @cached_property
    def release_path(self) -> Path:
        """The DuckDB file that people open. Its parent holds everything else.

        Beside a lake or PostgreSQL it is a copy of the release there, in the folder of this
        machine's files.
        """
        if urlsplit(self.database_url).scheme == "duckdb":
            return _anchored(Path(urlsplit(self.database_url).path[1:]))
        return _anchored(self.database_dir) / "databox.duckdb"

    @cached_property
    def lake(self) -> Lake | None:
        """Where the locations' lakes are, None if everything is in files."""
        if urlsplit(self.database_url).scheme == "duckdb":
            return None
        return parse_lake(self.database_url, self.release_path.parent, self.aws_endpoint_url)

    @cached_property
    def release_in_postgres(self) -> bool:
        """Whether people read the release as tables of PostgreSQL, and not in a lake of its own."""
        return urlsplit(self.database_url).scheme in POSTGRES

    @cached_property
    def hidden_dir(self) -> Path:
        """The folder of working files, snapshots and landing files, beside the release."""
        return self.release_path.parent / ".databox"

    @cached_property
    def dlt_dir(self) -> Path:
        """Where every dlt run makes a working folder of its own."""
        return _anchored(self.dlt_data_dir)

    @cached_property
    def deployed_dir(self) -> Path:
        """Where `task deploy` keeps the builds of each location and the servers that run them."""
        return _anchored(self.deploy_dir)

    @cached_property
    def api_url(self) -> str:
        """The eBird API with a token, the local sandbox without one; EBIRD_API_URL wins."""
        if self.ebird_api_url:
            return self.ebird_api_url
        return EBIRD_API_URL if self.ebird_api_token else SANDBOX_URL

    @cached_property
    def api_token(self) -> SecretStr:
        """The key for the API; the sandbox takes any."""
        return self.ebird_api_token or SecretStr("sandbox")

    @cached_property
    def timezone(self) -> ZoneInfo:
        """The time zone of the daily schedule."""
        return ZoneInfo(self.ebird_schedule_timezone)


def load_settings() -> Settings:
    """Read the environment now.

    Raises `SettingsError` with one sentence per variable that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        sentences = [
            f"{str(item['loc'][0]).upper() if item['loc'] else 'environment'}: "
            f"{item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_input=False, include_url=False)
        ]
        raise SettingsError("; ".join(sentences)) from None


def project_root() -> Path:
    """The folder that relative paths are anchored to: the nearest one with a `workspace.yaml`.

    It is looked for above this file (an editable checkout) and then above the working directory
    (an installed package), so that a process started elsewhere still finds the same files.
    Raises `SettingsError` if there is none.
    """
    for start in (Path(__file__).resolve(), Path.cwd()):
        for folder in (start, *start.parents):
            if (folder / "workspace.yaml").is_file():
                return folder
    msg = (
        "DATABASE_URL: a relative path needs a project root, and no folder above "
        f"{Path.cwd()} has a workspace.yaml; use an absolute path (duckdb:////data/databox.duckdb)"
    )
    raise SettingsError(msg)


def _anchored(path: Path) -> Path:
    return path if path.is_absolute() else project_root() / path
