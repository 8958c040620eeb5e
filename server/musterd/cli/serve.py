"""`musterd serve`: serves an app. What it needs is imported when it runs: the other commands start quickly."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from musterd.cli.lifeline import Lifeline
    from musterd.settings import Settings


def serve(
    target: Annotated[str, typer.Argument(metavar="MODULE:APP", help="The app, for example shop:app.")],
    listen: Annotated[str | None, typer.Option(help="host:port for TCP; empty for no TCP.")] = None,
    unix_socket: Annotated[Path | None, typer.Option(help="A unix socket to listen on.")] = None,
    store: Annotated[str | None, typer.Option(help="Where tasks are kept, like sqlite:///musterd.db.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Take calls without a token from anywhere.")] = False,
    config: Annotated[Path | None, typer.Option(help="A settings file other than ./musterd.toml.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that serve; more than one need PostgreSQL.")] = None,
    worker: Annotated[str, typer.Option(hidden=True, help="What a worker is told by who starts it.")] = "",
) -> None:
    """Serve an app over gRPC until SIGTERM or SIGINT."""
    from musterd.auth import KeysNotLoadedError
    from musterd.cli.connection import CLIENT_VARIABLES
    from musterd.cli.lifeline import Lifeline
    from musterd.cli.loading import AppNotFoundError
    from musterd.cli.logs import configure_logging
    from musterd.settings import SettingsError, load_settings
    from musterd.store.errors import StoreOpenError

    index, _, descriptor = worker.partition(":")
    lifeline = Lifeline(int(index), int(descriptor)) if worker else None
    server = _given(listen=listen, unix_socket=unix_socket, workers=workers, insecure=insecure or None)
    if lifeline is not None and lifeline.index > 1:
        # A unix socket cannot be shared: it is the first worker's.
        server["unix_socket"] = ""
    try:
        settings = load_settings(
            {"server": server, "store": _given(url=store)}, config_file=config, other_variables=CLIENT_VARIABLES
        ).settings
        configure_logging(settings.log.level, settings.log.format, None if lifeline is None else lifeline.index)
        if settings.server.workers > 1 and lifeline is None:
            count = settings.server.workers
            flags = _given(listen=listen, unix_socket=unix_socket, workers=count, store=store, config=config)
            _serve_by_workers(settings, [target, *_as_arguments(flags), *(["--insecure"] if insecure else [])])
        else:
            _serve_here(target, settings, lifeline)
    except (SettingsError, AppNotFoundError, KeysNotLoadedError, StoreOpenError, OSError) as error:
        own_text = error.strerror if isinstance(error, OSError) and error.filename is None else None
        typer.echo(f"musterd cannot start: {own_text or error}", err=True)
        raise typer.Exit(1) from error


def _serve_here(target: str, settings: "Settings", lifeline: "Lifeline | None") -> None:
    from musterd.cli.loading import load_app
    from musterd.cli.serving import serve_until_told

    asyncio.run(serve_until_told(load_app(target), settings, lifeline))


def _serve_by_workers(settings: "Settings", arguments: Sequence[str]) -> None:
    from musterd.cli.workers import Workers
    from musterd.transport.server import check_free

    check_free(settings.server.listen)
    if code := asyncio.run(Workers(arguments, settings.server.workers).run()):
        raise typer.Exit(code)


def _as_arguments(flags: Mapping[str, object]) -> list[str]:
    return [part for name, value in flags.items() for part in (f"--{name.replace('_', '-')}", str(value))]


def _given(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}
