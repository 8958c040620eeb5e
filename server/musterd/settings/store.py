"""The section `store`: where tasks are kept."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from musterd.settings.section import Section

_SQLITE = "sqlite:///"
_EXAMPLE = "sqlite:///musterd.db (relative) or sqlite:////var/lib/musterd/musterd.db (absolute)"
_POSTGRES_SCHEMES = ("postgresql", "postgres")
_POSTGRES_EXAMPLE = "postgresql://user:password@host:5432/database"


class StoreSettings(Section):
    """Where tasks are kept."""

    url: str = Field(
        default="sqlite:///musterd.db",
        description="Database: sqlite:///file (relative), sqlite:////file (from /), or postgresql://user@host/database.",
    )
    db_schema: str = Field(
        default="musterd",
        min_length=1,
        max_length=63,
        description="PostgreSQL only: the schema that has the tables.",
    )
    connections_max: int = Field(
        default=10,
        # One is kept for what runs say, one for the lease, and the rest needs one.
        ge=3,
        le=1000,
        description="PostgreSQL only: most connections of one process, besides two for signals.",
    )
    statement_timeout_seconds: float = Field(
        default=15, ge=1, le=600, description="PostgreSQL only: longest time that a statement may take."
    )
    lease_seconds: float = Field(
        default=30, ge=3, le=600, description="PostgreSQL only: how long after its last sign a process counts as dead."
    )
    poll_seconds: float = Field(
        default=1, ge=0.1, le=60, description="PostgreSQL only: how often a process looks for what no signal told it."
    )

    event_retention_days: int = Field(
        default=30,
        ge=0,
        le=36_500,
        description="How long the log of a run is kept after all of its tree has ended; 0 is for ever.",
    )
    task_retention_days: int = Field(
        default=90,
        ge=0,
        le=36_500,
        description="How long a run is kept after all of its tree has ended; 0 is for ever, and no less than its log.",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        scheme, separator, _ = url.partition("://")
        if not separator:
            raise ValueError(f"must be a URL: {_EXAMPLE}, or {_POSTGRES_EXAMPLE}")
        if scheme in _POSTGRES_SCHEMES:
            return _checked_postgres(url)
        if scheme != "sqlite":
            raise ValueError(f"there is no store for {scheme!r}; use {_EXAMPLE}, or {_POSTGRES_EXAMPLE}")
        path = url.removeprefix(_SQLITE)
        if not url.startswith(_SQLITE) or not path or path.endswith("/"):
            raise ValueError(f"must name a file after three slashes: {_EXAMPLE}")
        if path.startswith(":memory:"):
            raise ValueError(f"tasks outlive the process, so they need a file: {_EXAMPLE}")
        if "?" in path or "#" in path:
            raise ValueError(f"takes no options after the path: {_EXAMPLE}")
        return url

    @model_validator(mode="after")
    def _check_retention(self) -> Self:
        if self.task_retention_days and not 0 < self.event_retention_days <= self.task_retention_days:
            raise ValueError(
                "task_retention_days must not be less than event_retention_days, for a log goes with its tasks: "
                "raise task_retention_days or lower event_retention_days; 0 is for ever, in both"
            )
        return self

    @property
    def is_shared(self) -> bool:
        """Whether several processes may work on the store."""
        return self.url.partition("://")[0] in _POSTGRES_SCHEMES

    @property
    def sqlite_file(self) -> Path:
        """The database file."""
        return Path(self.url.removeprefix(_SQLITE))

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        parts = urlsplit(self.url)
        if parts.password is None:
            return self.url
        return parts._replace(netloc=f"{parts.username or ''}:**********@{parts.netloc.rpartition('@')[2]}").geturl()


def _checked_postgres(url: str) -> str:
    if not urlsplit(url).path.strip("/"):
        raise ValueError(f"must name a database: {_POSTGRES_EXAMPLE}")
    return url
