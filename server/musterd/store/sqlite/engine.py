"""Runs operations: writes in groups that share one commit, reads in batches that share one snapshot."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import structlog

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Event
from musterd.store.sqlite.live import LiveCache
from musterd.store.sqlite.transaction import Transaction
from musterd.store.sqlite.worker import Job

logger = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 1.0

_PASSING_FAILURES = frozenset(
    (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    )
)
"""What comes from the world and not from a statement of ours."""


class Writer:
    """Commits jobs in groups. A job that fails in a way that it should not is rolled back alone."""

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._clock = clock
        self._live = LiveCache()

    def process(self, jobs: Sequence[Job[Transaction]]) -> Sequence[Event]:
        """Run jobs in one transaction, or each in its own when together they fail."""
        if not _begin(self._connection, "BEGIN IMMEDIATE", jobs):
            return ()
        try:
            return self._commit(jobs)
        except Exception as error:  # noqa: BLE001 - it is its caller's to see
            if len(jobs) == 1:
                jobs[0].error = _for_caller(error)
                return ()
        return [event for job in jobs for event in self.process((job,))]

    def _commit(self, jobs: Sequence[Job[Transaction]]) -> Sequence[Event]:
        try:
            transaction = Transaction(self._connection, self._live, self._clock())
            for job in jobs:
                job.result = job.error = None
                try:
                    job.result = job.call(transaction)
                except MusterdError as refusal:
                    # Operations refuse before they write.
                    job.error = refusal
            transaction.flush()
            self._connection.execute("COMMIT")
        except BaseException:
            self._live.clear()
            _roll_back(self._connection)
            raise
        self._live.trim()
        return transaction.events


class Reader:
    """Answers jobs in batches; each batch sees one state of the database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def process(self, jobs: Sequence[Job[sqlite3.Connection]]) -> Sequence[Event]:
        """Run the jobs one after the other."""
        if _begin(self._connection, "BEGIN", jobs):
            for job in jobs:
                try:
                    job.result = job.call(self._connection)
                except Exception as error:  # noqa: BLE001 - it is its caller's to see
                    job.error = _for_caller(error)
            _roll_back(self._connection)
        return ()


def _begin(connection: sqlite3.Connection, statement: str, jobs: Sequence[Job[Any]]) -> bool:
    """Begin a transaction. When that cannot be, every job has the reason as its error."""
    try:
        _roll_back(connection)
        connection.execute(statement)
    except sqlite3.Error as error:
        for job in jobs:
            job.error = _for_caller(error)
        return False
    return True


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _for_caller(error: Exception) -> Exception:
    if not isinstance(error, sqlite3.Error):
        return error
    # The low byte of an extended code is the plain one.
    if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF not in _PASSING_FAILURES:
        return error
    logger.error("sqlite_failed", error=str(error), code=error.sqlite_errorname)
    is_full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
    return MusterdError(
        reason=Reason.STORE_UNAVAILABLE,
        message="the store cannot take this now, and nothing of it is stored; try again",
        retry_after_seconds=RETRY_AFTER_SECONDS,
        cause="DISK_FULL" if is_full else "",
    )
