"""All settings as one tree."""

from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from musterd.auth.identity import may_be_open
from musterd.settings.auth import AuthSettings
from musterd.settings.log import LogSettings
from musterd.settings.runtime import RuntimeSettings
from musterd.settings.server import ServerSettings
from musterd.settings.store import StoreSettings

ENV_PREFIX = "MUSTERD_"
ENV_DELIMITER = "__"


class Settings(BaseSettings):
    """All settings. Made directly it holds what it is given and defaults; `load_settings` looks elsewhere too."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        enable_decoding=False,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    server: ServerSettings = Field(default_factory=ServerSettings, description="Where and how the server listens.")
    auth: AuthSettings = Field(default_factory=AuthSettings, description="Who may call, and how tokens are verified.")
    store: StoreSettings = Field(default_factory=StoreSettings, description="Where tasks are kept.")
    runtime: RuntimeSettings = Field(
        default_factory=RuntimeSettings, description="How runs are run, and within which limits."
    )
    log: LogSettings = Field(default_factory=LogSettings, description="What the server writes about itself.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  all but the first are part of the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the arguments as the only source: where else a value came from, `load_settings` must know."""
        return (init_settings,)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.auth.mode == "off" and not self.server.insecure:
            mode = None if self.server.unix_socket is None else self.server.unix_socket_mode
            if not may_be_open(self.server.listen, mode):
                raise ValueError(
                    "auth.mode off lets everyone who can connect do everything, so it needs server.listen on loopback"
                    " and server.unix_socket_mode 0600; else set auth.mode to jwt, or server.insecure to true"
                )
        if self.server.workers > 1 and not self.store.is_shared:
            raise ValueError(
                "server.workers is more than 1, and an SQLite file is for one process: set store.url to a PostgreSQL"
                " database, or server.workers to 1"
            )
        return self
