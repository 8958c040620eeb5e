"""What the server's processes write about themselves."""

import logging
import sys
from contextlib import suppress
from io import TextIOBase
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict


class _StandardError(TextIOBase):
    """Standard error. A line that cannot be written is dropped: a full disk, or a reader that is gone, ends no run."""

    def write(self, s: str, /) -> int:
        with suppress(OSError):
            sys.stderr.write(s)
        return len(s)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def configure_logging(level: str, log_format: str, worker: int | None = None) -> None:
    """Send structured log lines to standard error, as text for people or as JSON for machines.

    Each line of a worker has its number.
    """

    def add_worker(_: object, __: str, line: EventDict) -> EventDict:
        return line if worker is None else {**line, "worker": worker}

    renderer = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            add_worker,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if log_format == "json" else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # Each line is one write, for several processes may write to the same place.
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _StandardError())),
    )
