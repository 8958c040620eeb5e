"""What `musterd serve` does: loads an app, and runs it until it is told to stop."""

import asyncio
import gc
import importlib
import logging
import os
import signal
import sys
import threading
from pathlib import Path

import structlog

from musterd.app import Musterd, Service
from musterd.settings import Settings
from musterd.version import VERSION

logger = structlog.get_logger(__name__)

EXAMPLE = 'app = Musterd(agents=[Agent("openai:gpt-5", name="support")])'

EXIT_PATIENCE_SECONDS = 2.0

GC_FIRST_THRESHOLD = 50_000
"""With thousands of live runs the default of 700 makes the collector the server's main work."""


THREAD_SWITCH_SECONDS = 0.001
"""The store's threads give up the interpreter's lock often, and wait this long to get it back from a busy loop."""


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
        what = "missing" if found is None else f"of type {type(found).__name__}"
        raise AppNotFoundError(f"{module_name}.{attribute} is {what}; it must be a Musterd app, like\n    {EXAMPLE}")
    return found


def configure_logging(level: str, log_format: str) -> None:
    """Send structured log lines to standard error, as text for people or as JSON for machines."""
    renderer = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
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


async def serve_until_told(app: Musterd, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then end the process; a second signal ends the grace for running tasks."""
    service = Service(app, settings)
    told, hurried = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurried if told.is_set() else told).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    await service.start()
    sys.setswitchinterval(THREAD_SWITCH_SECONDS)
    gc.freeze()
    gc.set_threshold(GC_FIRST_THRESHOLD)
    logger.info("serving", version=VERSION, **service.addresses())
    await told.wait()
    logger.info("stopping", running_tasks=service.running_count)
    await service.stop(hurried)
    logger.info("stopped")
    _exit_soon()


def _exit_soon() -> None:
    """End the process even if a tool or factory still sits in a thread: nothing stops it, and Python would wait."""

    def leave() -> None:
        logger.warning("threads_left_behind")
        os._exit(0)

    timer = threading.Timer(EXIT_PATIENCE_SECONDS, leave)
    timer.daemon = True
    timer.start()
