"""How a command reaches the server, and what becomes of it when it cannot."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from musterd.cli.rendering import advice_for, print_error
from musterd_client import MusterdClient, MusterdClientError, Tls

DEFAULT_TARGET = "127.0.0.1:50051"
SYSTEM_ROOTS = "system"

INTERRUPTED = 130

CLIENT_VARIABLES = ("MUSTERD_TARGET", "MUSTERD_TOKEN")
"""The environment variables of commands that are clients; they are no settings of the server."""

Target = Annotated[
    str, typer.Option(envvar="MUSTERD_TARGET", help="The server: host:port, or unix:/path.", show_envvar=True)
]
Token = Annotated[
    str | None,
    typer.Option(envvar="MUSTERD_TOKEN", help="The bearer token, or @FILE, which is read again when it has expired."),
]
TlsRoots = Annotated[
    str | None,
    typer.Option(
        "--tls",
        metavar="FILE|system",
        help="Encrypt, and trust the certificates of this PEM file, or those of the system.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What the options say about the way to the server."""

    target: str
    token: str | None = None
    tls: str | None = None

    def client(self) -> MusterdClient:
        """Returns a client that is not open yet.

        Raises:
            typer.BadParameter: a file that the options name cannot be read.
            ValueError: the token is none.
        """
        token = self.token
        if token is None or not token.startswith("@"):
            return MusterdClient(self.target, token=token, tls=self._tls())
        path = Path(token[1:])
        _read_text(path)
        return MusterdClient(self.target, token=lambda: _read_text(path).strip(), tls=self._tls())

    def _tls(self) -> Tls | None:
        if self.tls is None:
            return None
        return Tls() if self.tls == SYSTEM_ROOTS else Tls(root_certificates=_read(Path(self.tls)))

    def options(self) -> str:
        """Returns what to add to a command so that it reaches the same server. Never the token."""
        target = "" if self.target == DEFAULT_TARGET else f" --target {self.target}"
        return target if self.tls is None else f"{target} --tls {self.tls}"


def perform(connection: Connection, work: Callable[[MusterdClient], Awaitable[int]]) -> None:
    """Does the work with an open client, and exits with the code that it returns.

    An error of the client is printed as one line and exits with 1; an interrupt exits with 130.

    Raises:
        typer.BadParameter: the client does not take what it was given.
    """

    async def connected() -> int:
        async with connection.client() as client:
            return await work(client)

    try:
        code = asyncio.run(connected())
    except MusterdClientError as error:
        print_error(error, advice_for(error, connection.target))
        raise typer.Exit(1) from error
    except UnicodeEncodeError as error:
        # What a shell passes need not be text.
        raise typer.BadParameter(f"{error.object[error.start : error.end]!r} is no character") from error
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error)) from error
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(INTERRUPTED) from interrupt
    raise typer.Exit(code)


def _read_text(path: Path) -> str:
    try:
        return _read(path).decode()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{path}: it is no text") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from error
