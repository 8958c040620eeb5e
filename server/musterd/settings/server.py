"""The section `server`: where and how it listens."""

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from musterd.settings.section import OptionalPath, Section, TextList

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(?P<port>[0-9]{1,5})")
_METADATA_KEY = re.compile(r"[0-9a-z_.-]+")
_CREDENTIALS = frozenset(("authorization", "cookie", "proxy-authorization"))
_MAX_PORT = 65_535


def _parse_octal(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return int(value, 8)
    except ValueError:
        raise ValueError("must be a mode in octal digits, for example 0600") from None


class ServerSettings(Section):
    """Where and how the server listens."""

    listen: str = Field(
        default="127.0.0.1:50051", description="TCP address as host:port; port 0 takes a free one; empty for no TCP."
    )
    unix_socket: OptionalPath = Field(default=None, description="Path of a unix socket to listen on as well.")
    unix_socket_mode: Annotated[int, BeforeValidator(_parse_octal)] = Field(
        default=0o600,
        ge=0,
        le=0o777,
        description="File mode of the unix socket, in octal: 0o600, or 0600 in a variable.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Processes that serve, for more than one core; more than one need PostgreSQL and TCP.",
    )
    tls_certificate_file: OptionalPath = Field(
        default=None, description="PEM file with the server's certificate chain; TLS on TCP is on when it is set."
    )
    tls_private_key_file: OptionalPath = Field(
        default=None, description="PEM file with the private key of the certificate."
    )
    insecure: bool = Field(
        default=False, description="Allows auth.mode off where others than this machine's owner can connect."
    )
    reflection: Literal["token", "open", "off"] = Field(
        default="token", description="Who may ask for the contract over gRPC reflection: with a token, all, nobody."
    )
    heartbeat_seconds: float = Field(
        default=15, ge=1, le=30, description="Longest silence of a stream before it carries a heartbeat."
    )
    shutdown_grace_seconds: float = Field(
        default=20, ge=0, le=3600, description="Time for running calls and tasks to come to rest when the server stops."
    )
    max_message_bytes: int = Field(
        default=8 * 1024 * 1024, ge=64 * 1024, le=64 * 1024 * 1024, description="Largest message that the server takes."
    )
    metadata_allow_list: TextList = Field(
        default=(), description="Keys of the caller's metadata that factories see and that are stored with a task."
    )

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, listen: str) -> str:
        if not listen:
            return listen
        match = _ADDRESS.fullmatch(listen)
        if match is None or int(match["port"]) > _MAX_PORT:
            raise ValueError("must be host:port, for example 127.0.0.1:50051 or [::1]:50051, or empty for no TCP")
        return listen

    @field_validator("metadata_allow_list")
    @classmethod
    def _check_metadata_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            if not _METADATA_KEY.fullmatch(key) or key.endswith("-bin"):
                raise ValueError(
                    f"{key!r} is no key of text metadata: use 0-9, a-z, '_', '-' and '.', not ending in -bin"
                )
            if key in _CREDENTIALS:
                raise ValueError(f"{key!r} holds credentials, which never reach a factory or the store")
        return keys

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if not self.listen and self.unix_socket is None:
            raise ValueError("there is nothing to listen on: set listen, unix_socket, or both")
        if self.workers > 1 and not self.listen:
            raise ValueError("workers share a TCP port, and cannot share a unix socket: set listen, or workers to 1")
        if self.workers > 1 and int(self.listen.rpartition(":")[2]) == 0:
            raise ValueError("workers share one TCP port, and port 0 is another one for each: name a port in listen")
        if (self.tls_certificate_file is None) != (self.tls_private_key_file is None):
            raise ValueError("tls_certificate_file and tls_private_key_file go together: set both or neither")
        return self
