"""What the files of this adapter need of a connection, and the pool that connections come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg

from musterd.store.errors import StoreOpenError

# Rows are read by name: what is in them is said by the statements.
Row = Any

CONNECT_TIMEOUT_SECONDS = 10.0
CACHED_STATEMENTS = 256


class Connection(Protocol):
    """Runs statements, each prepared once."""

    async def fetch(self, query: str, /, *arguments: object) -> Sequence[Row]:
        """Return all rows."""
        ...

    async def fetchrow(self, query: str, /, *arguments: object) -> Row | None:
        """Return the first row; None when there is none."""
        ...

    async def fetchval(self, query: str, /, *arguments: object) -> Any:  # noqa: ANN401 - of the statement's type
        """Return the first column of the first row; None when there is none."""
        ...

    async def execute(self, query: str, /, *arguments: object) -> str:
        """Run a statement without a look at its rows, or a script when there are no arguments."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where the database is, and how to talk to it.

    `schema` has all tables. A statement that takes longer than `statement_timeout_seconds` is given up, and the caller
    told that the store is unavailable. There must be no PgBouncer in between: prepared statements, settings and
    advisory locks belong to a session.
    """

    dsn: str
    schema: str = "musterd"
    connections_max: int = 10
    statement_timeout_seconds: float = 15.0

    @property
    def _settings(self) -> dict[str, str]:
        milliseconds = round(self.statement_timeout_seconds * 1_000)
        return {
            "application_name": "musterd",
            "search_path": quote(self.schema),
            "statement_timeout": str(milliseconds),
            # A transaction of ours never waits for anything but its own statements.
            "idle_in_transaction_session_timeout": str(milliseconds),
            # Each statement has its index, in the order that it wants, however many rows there are by now: to plan it
            # anew every time takes longer than to run it, and a plan from the time of empty tables must not be another.
            "plan_cache_mode": "force_generic_plan",
            "enable_seqscan": "off",
            "enable_bitmapscan": "off",
            "jit": "off",
            # What serves one tenant says so in its transaction.
            "musterd.all_tenants": "on",
        }

    async def open_pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        """Connect. Raises StoreOpenError."""
        try:
            return await asyncpg.create_pool(
                self.dsn,
                # None is kept up while the database is away: who asks for one hears why there is none.
                min_size=0,
                max_size=self.connections_max,
                timeout=CONNECT_TIMEOUT_SECONDS,
                # The server gives up first; this is for one that does not answer at all.
                command_timeout=self.statement_timeout_seconds * 1.5,
                statement_cache_size=CACHED_STATEMENTS,
                server_settings=self._settings,
                # No session holds anything after a transaction: there is nothing to reset.
                reset=_leave_as_is,
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError) as error:
            raise self.unusable(error) from error

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """Return a connection whose statements may take any time. Raises StoreOpenError."""
        settings = {**self._settings, "statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
        try:
            return await asyncpg.connect(self.dsn, timeout=CONNECT_TIMEOUT_SECONDS, server_settings=settings)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError) as error:
            raise self.unusable(error) from error

    def unusable(self, error: Exception) -> StoreOpenError:
        """Return what to say when the database cannot be used. The DSN may have a password: it is not told."""
        return StoreOpenError(f"the PostgreSQL database cannot be opened: {str(error) or type(error).__name__}")


def quote(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


async def _leave_as_is(connection: object) -> None:
    del connection
