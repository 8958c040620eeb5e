"""The section `store`: where tasks are kept."""

from pathlib import Path

from pydantic import Field, field_validator

from musterd.settings.section import Section

_SQLITE = "sqlite:///"
_EXAMPLE = "sqlite:///musterd.db (relative) or sqlite:////var/lib/musterd/musterd.db (absolute)"


class StoreSettings(Section):
    """Where tasks are kept."""

    url: str = Field(
        default="sqlite:///musterd.db",
        description="Database: sqlite:///file for a path relative to the working directory, sqlite:////file from /.",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        scheme, separator, _ = url.partition("://")
        if not separator:
            raise ValueError(f"must be a URL: {_EXAMPLE}")
        if scheme != "sqlite":
            raise ValueError(f"there is no store for {scheme!r}; use {_EXAMPLE}")
        path = url.removeprefix(_SQLITE)
        if not url.startswith(_SQLITE) or not path or path.endswith("/"):
            raise ValueError(f"must name a file after three slashes: {_EXAMPLE}")
        if path.startswith(":memory:"):
            raise ValueError(f"tasks outlive the process, so they need a file: {_EXAMPLE}")
        if "?" in path or "#" in path:
            raise ValueError(f"takes no options after the path: {_EXAMPLE}")
        return url

    @property
    def sqlite_file(self) -> Path:
        """The database file."""
        return Path(self.url.removeprefix(_SQLITE))
