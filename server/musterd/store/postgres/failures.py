"""What failures of the database mean to callers."""

from collections.abc import Generator
from contextlib import contextmanager

import structlog
from asyncpg import exceptions

from musterd.domain.errors import MusterdError, Reason, invalid_argument

logger = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 1.0

COLLISIONS = (
    exceptions.DeadlockDetectedError,
    exceptions.SerializationError,
    exceptions.InvalidCachedStatementError,
)
"""What went wrong only because of what others did at the same time: the same again may succeed."""

REQUEST_KEY = "request_pkey"
"""The constraint that two calls with one request id run into: the second then finds what the first led to."""

_LOST_CONNECTION = (
    OSError,
    TimeoutError,
    # Of this client: the connection or the pool is closed.
    exceptions.InterfaceError,
    exceptions.InternalClientError,
    exceptions.PostgresConnectionError,
    exceptions.AdminShutdownError,
    exceptions.CrashShutdownError,
    exceptions.CannotConnectNowError,
    exceptions.IdleInTransactionSessionTimeoutError,
    exceptions.IdleSessionTimeoutError,
)
_PASSING_FAILURES = (
    *_LOST_CONNECTION,
    *COLLISIONS,
    exceptions.InsufficientResourcesError,
    exceptions.QueryCanceledError,
    exceptions.LockNotAvailableError,
    exceptions.ReadOnlySQLTransactionError,
    exceptions.PostgresSystemError,
    exceptions.InvalidAuthorizationSpecificationError,
)


def is_collision(error: Exception) -> bool:
    """Whether a transaction failed only because of what others did at the same time."""
    if isinstance(error, exceptions.UniqueViolationError):
        return error.constraint_name == REQUEST_KEY
    return isinstance(error, COLLISIONS)


def is_lost_connection(error: Exception) -> bool:
    """Whether nobody can tell by the error how far the database got."""
    return isinstance(error, _LOST_CONNECTION) and not _is_of_caller(error)


def is_passing(error: Exception) -> bool:
    """Whether an error comes from the world and not from a statement of ours."""
    return isinstance(error, _PASSING_FAILURES) and not _is_of_caller(error)


@contextmanager
def told_to_callers() -> Generator[None]:
    """Raise what a caller is to hear instead of an error of the database."""
    try:
        yield
    except (exceptions.CharacterNotInRepertoireError, exceptions.UntranslatableCharacterError) as error:
        text = "a name or an id has the character NUL, which cannot be stored"
        raise invalid_argument("request", "text", text) from error
    except Exception as error:
        if not is_passing(error):
            raise
        logger.error("postgres_failed", error=str(error) or type(error).__name__)  # noqa: TRY400 - the text says it all
        raise unavailable(cause="DISK_FULL" if isinstance(error, exceptions.DiskFullError) else "") from error


def _is_of_caller(error: Exception) -> bool:
    # An argument that asyncpg cannot encode is an InterfaceError too, as is a closed connection.
    return isinstance(error, ValueError)


def unavailable(*, cause: str = "") -> MusterdError:
    """Return the refusal of a call that stored nothing."""
    return MusterdError(
        reason=Reason.STORE_UNAVAILABLE,
        message="the store cannot take this now, and nothing of it is stored; try again",
        retry_after_seconds=RETRY_AFTER_SECONDS,
        cause=cause,
    )


def outcome_unknown() -> MusterdError:
    """Return the refusal of a call of which nobody can tell whether it was stored."""
    return MusterdError(
        reason=Reason.STORE_UNAVAILABLE,
        message="the store was lost at the moment of the commit; try again with the same request_id",
        retry_after_seconds=RETRY_AFTER_SECONDS,
        cause="OUTCOME_UNKNOWN",
    )


def closed() -> MusterdError:
    """Return the refusal of a call to a store that is not open."""
    return MusterdError(
        reason=Reason.STORE_UNAVAILABLE,
        message="the store is closed",
        retry_after_seconds=RETRY_AFTER_SECONDS,
        cause="CLOSED",
    )
