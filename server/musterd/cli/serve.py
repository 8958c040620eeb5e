"""`musterd serve`: runs an app until it is told to stop."""

import asyncio
import importlib
import logging
import signal
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer

from musterd.app import Musterd, Service
from musterd.domain.errors import MusterdError
from musterd.settings import SettingsError, load_settings
from musterd.version import VERSION

logger = structlog.get_logger(__name__)

CLIENT_VARIABLES = ("MUSTERD_TARGET", "MUSTERD_TOKEN")
"""Variables of the commands that are clients; they are no settings of the server."""

EXAMPLE = 'app = Musterd(agents=[Agent("openai:gpt-5", name="support")])'


class AppNotFoundError(Exception):
    """The app to serve cannot be loaded; the text says what to change."""


def load_app(target: str) -> Musterd:
    """Return the app that `module:attribute` names, looked up from the working directory. Raises AppNotFoundError."""
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise AppNotFoundError(f"{target!r} names no app: write module:attribute, for example shop:app")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise AppNotFoundError(f"there is no module {module_name!r} in {here} or among the installed ones") from error
    found = getattr(module, attribute, None)
    if not isinstance(found, Musterd):
        what = "nothing" if found is None else f"a {type(found).__name__}"
        raise AppNotFoundError(f"{module_name}.{attribute} is {what}; it must be a Musterd app, like\n    {EXAMPLE}")
    return found


def configure_logging(level: str, log_format: str) -> None:
    """Send structured log lines to standard error, as text for people or as JSON for machines."""
    renderer = structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if log_format == "json" else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )


async def serve_until_told(service: Service) -> None:
    """Serve until SIGTERM or SIGINT; a second signal ends the grace for running tasks."""
    told, hurried = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurried if told.is_set() else told).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    await service.start()
    logger.info("serving", version=VERSION, **service.addresses())
    await told.wait()
    logger.info("stopping", running_tasks=service.running_count)
    await service.stop(hurried)
    logger.info("stopped")


def serve(
    target: Annotated[str, typer.Argument(metavar="MODULE:APP", help="The app, for example shop:app.")],
    listen: Annotated[str | None, typer.Option(help="host:port for TCP; empty for no TCP.")] = None,
    unix_socket: Annotated[Path | None, typer.Option(help="A unix socket to listen on.")] = None,
    store: Annotated[str | None, typer.Option(help="Where tasks are kept, like sqlite:///musterd.db.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Take calls without a token from anywhere.")] = False,
    config: Annotated[Path | None, typer.Option(help="A settings file other than ./musterd.toml.")] = None,
) -> None:
    """Serve an app over gRPC until SIGTERM or SIGINT."""
    flags = {
        "server": _given(listen=listen, unix_socket=unix_socket, insecure=insecure or None),
        "store": _given(url=store),
    }
    try:
        settings = load_settings(flags, config_file=config, other_variables=CLIENT_VARIABLES).settings
        configure_logging(settings.log.level, settings.log.format)
        asyncio.run(serve_until_told(Service(load_app(target), settings)))
    except (SettingsError, AppNotFoundError, MusterdError, OSError) as error:
        message = error.message if isinstance(error, MusterdError) else str(error)
        typer.echo(f"musterd cannot start: {message}", err=True)
        raise typer.Exit(1) from error


def _given(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}
