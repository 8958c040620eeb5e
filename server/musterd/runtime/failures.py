"""Failures that nobody foresaw: the caller gets a general text and an id, the server's log gets the rest."""

import traceback

import structlog

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.ids import new_id
from musterd.domain.task import TaskError

logger = structlog.get_logger(__name__)


def unforeseen(reason: Reason, message: str, error: BaseException, **details: str) -> MusterdError:
    """Log an exception under a new error id, and return an error that names the id and tells nothing else of it."""
    error_id = new_id()
    logger.error(reason.lower(), error_id=error_id, exception=traceback_of(error), **details)
    return MusterdError(
        reason=reason, message=f"{message}; the server's log has it as {error_id}", metadata={"error_id": error_id}
    )


def traceback_of(error: BaseException) -> str:
    """Return an exception's traceback as text, without the values of variables.

    A log's own renderer may add those: they hold secrets, and with an agent's they take it seconds.
    """
    return "".join(traceback.format_exception(error))


def task_error_of(error: MusterdError) -> TaskError:
    """Return a domain error as it is stored with a task."""
    return TaskError(
        reason=error.reason,
        message=error.message,
        error_id=error.metadata.get("error_id", ""),
        cause=error.cause,
    )
