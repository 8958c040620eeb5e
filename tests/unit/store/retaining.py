"""A store of each kind whose time a test moves, and what is left in it."""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from musterd.domain.full_store import FullStore
from musterd.store.postgres import PostgresStore
from musterd.store.postgres import retention as postgres_retention
from musterd.store.postgres.connection import Database, quote
from musterd.store.retention import Retention
from musterd.store.sqlite import SqliteStore
from musterd.store.sqlite import retention as sqlite_retention

TABLES = (
    "tree",
    "task",
    "task_spec",
    "blob",
    "event",
    "model_step",
    "tool_step",
    "inbox",
    "question",
    "approval",
    "board",
    "todo",
    "team_message",
    "request",
    "hook_run",
    "hook_payload",
)


@dataclass(slots=True)
class Clock:
    """Time that a test moves by days."""

    now: datetime = field(default=datetime(2026, 5, 6, 12, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def pass_days(self, days: float) -> None:
        self.now += timedelta(days=days)


class Place(Protocol):
    """Where stores of one kind may be."""

    def store(self, clock: Clock, retention: Retention | None) -> FullStore:
        """Return a store, not yet opened."""
        ...

    async def query(self, statement: str) -> Sequence[Sequence[Any]]:
        """Run a statement by hand, as the server itself."""
        ...

    async def columns(self) -> Sequence[tuple[str, str]]:
        """Return the names of all columns, each with that of its table."""
        ...

    @property
    def removed(self) -> Sequence[str]:
        """What is removed with a task: tables, each with its condition."""
        ...


@dataclass(frozen=True, slots=True)
class SqlitePlace:
    """A file."""

    path: Path

    def store(self, clock: Clock, retention: Retention | None) -> FullStore:
        return SqliteStore(self.path, clock, retention=retention)

    async def query(self, statement: str) -> Sequence[Sequence[Any]]:
        def run() -> Sequence[Sequence[Any]]:
            with closing(sqlite3.connect(self.path)) as connection, connection:
                return connection.execute(statement).fetchall()

        return await asyncio.to_thread(run)

    async def columns(self) -> Sequence[tuple[str, str]]:
        found = await self.query(
            "SELECT one.name, info.name FROM sqlite_schema AS one, pragma_table_info(one.name) AS info"
            " WHERE one.type = 'table'"
        )
        return [(table, column) for table, column in found]

    @property
    def removed(self) -> Sequence[str]:
        return (*sqlite_retention.OF_NUMBERS, *sqlite_retention.OF_IDS)


@dataclass(frozen=True, slots=True)
class PostgresPlace:
    """A schema."""

    database: Database

    def store(self, clock: Clock, retention: Retention | None) -> FullStore:
        return PostgresStore(self.database, clock, retention=retention)

    async def query(self, statement: str) -> Sequence[Sequence[Any]]:
        connection = await asyncpg.connect(
            self.database.dsn, server_settings={"search_path": quote(self.database.schema)}
        )
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    async def columns(self) -> Sequence[tuple[str, str]]:
        found = await self.query(
            "SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
            " WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
        )
        return [(table, column) for table, column in found]

    @property
    def removed(self) -> Sequence[str]:
        return (*postgres_retention.OF_NUMBERS, *postgres_retention.OF_IDS)


@dataclass(frozen=True, slots=True)
class World:
    """An open store, its clock, and its tables."""

    store: FullStore
    clock: Clock
    place: Place

    async def count(self, *tables: str) -> Mapping[str, int]:
        """Return how many rows tables have, of those that have any; by default all tables."""
        counts: dict[str, int] = {}
        for table in tables or TABLES:
            ((count,),) = await self.place.query(f"SELECT count(*) FROM {table}")  # noqa: S608 - of constants
            if count:
                counts[table] = count
        return counts

    async def maintain_after(self, days: float) -> None:
        """Let days pass, then have the store look after itself."""
        self.clock.pass_days(days)
        await self.store.maintain()
