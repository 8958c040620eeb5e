"""`musterd serve`: serves an app. What it needs is imported when it runs: the other commands start quickly."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer


def serve(
    target: Annotated[str, typer.Argument(metavar="MODULE:APP", help="The app, for example shop:app.")],
    listen: Annotated[str | None, typer.Option(help="host:port for TCP; empty for no TCP.")] = None,
    unix_socket: Annotated[Path | None, typer.Option(help="A unix socket to listen on.")] = None,
    store: Annotated[str | None, typer.Option(help="Where tasks are kept, like sqlite:///musterd.db.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Take calls without a token from anywhere.")] = False,
    config: Annotated[Path | None, typer.Option(help="A settings file other than ./musterd.toml.")] = None,
) -> None:
    """Serve an app over gRPC until SIGTERM or SIGINT."""
    from musterd.auth import KeysNotLoadedError
    from musterd.cli.connection import CLIENT_VARIABLES
    from musterd.cli.serving import AppNotFoundError, configure_logging, load_app, serve_until_told
    from musterd.settings import SettingsError, load_settings
    from musterd.store.errors import StoreOpenError

    flags = {
        "server": _given(listen=listen, unix_socket=unix_socket, insecure=insecure or None),
        "store": _given(url=store),
    }
    try:
        settings = load_settings(flags, config_file=config, other_variables=CLIENT_VARIABLES).settings
        configure_logging(settings.log.level, settings.log.format)
        asyncio.run(serve_until_told(load_app(target), settings))
    except (SettingsError, AppNotFoundError, KeysNotLoadedError, StoreOpenError, OSError) as error:
        own_text = error.strerror if isinstance(error, OSError) and error.filename is None else None
        typer.echo(f"musterd cannot start: {own_text or error}", err=True)
        raise typer.Exit(1) from error


def _given(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}
