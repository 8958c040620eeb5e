"""Brings a database's schema up to date."""

from collections.abc import Mapping
from datetime import datetime

import asyncpg

from musterd.store.encoding import from_micros
from musterd.store.errors import StoreOpenError
from musterd.store.migrations import Applied, find_pending, load_migrations
from musterd.store.postgres.connection import Database, quote
from musterd.store.postgres.partitions import ensure_partitions
from musterd.store.postgres.statements import load_statement

_LOCK = load_statement("lock_schema")
_UNLOCK = load_statement("unlock_schema")
_HAS_SCHEMA = load_statement("has_schema")
_LIST_TABLES = load_statement("list_tables")
_CREATE_MIGRATION_TABLE = load_statement("create_migration_table")
_READ_MIGRATIONS = load_statement("read_migrations")
_INSERT_MIGRATION = load_statement("insert_migration")
_READ_NOW = load_statement("read_now")

OLDEST_POSTGRES = 14


async def migrate(database: Database, now: datetime | None) -> None:
    """Apply what the database has not had, each migration in a transaction of its own. Raises StoreOpenError.

    Of several processes one migrates, and the others wait for it.
    """
    connection = await database.connect()
    try:
        _check_version(connection.get_server_version().major)
        await connection.execute(_LOCK, database.schema)
        try:
            if not await connection.fetchval(_HAS_SCHEMA, database.schema):
                await connection.execute(f"CREATE SCHEMA {quote(database.schema)}")
            await _apply_pending(connection)
            await ensure_partitions(connection, now or from_micros(await connection.fetchval(_READ_NOW)))
        finally:
            await connection.execute(_UNLOCK, database.schema)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise database.unusable(error) from error
    finally:
        await connection.close()


async def check_schema(database: Database) -> None:
    """Raise StoreOpenError unless the schema has all that this version wants, and what else it has does no harm."""
    connection = await database.connect()
    try:
        _check_version(connection.get_server_version().major)
        tables = {row["tablename"] for row in await connection.fetch(_LIST_TABLES)}
        applied: Mapping[int, Applied] = await _read_applied(connection) if tables else {}
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise database.unusable(error) from error
    finally:
        await connection.close()
    if pending := find_pending(load_migrations(__package__ or ""), applied):
        names = ", ".join(migration.name for migration in pending)
        raise StoreOpenError(f"the schema {database.schema!r} lacks {names}: run `musterd db migrate` first")


def _check_version(major: int) -> None:
    if major < OLDEST_POSTGRES:
        raise StoreOpenError(f"this is PostgreSQL {major}, and {OLDEST_POSTGRES} is the oldest that will do")


async def _apply_pending(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    for migration in find_pending(load_migrations(__package__ or ""), await _read_applied(connection)):
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                _INSERT_MIGRATION, migration.number, migration.name, migration.sha256, migration.needs
            )


async def _read_applied(connection: "asyncpg.Connection[asyncpg.Record]") -> Mapping[int, Applied]:
    tables = {row["tablename"] for row in await connection.fetch(_LIST_TABLES)}
    if not tables:
        await connection.execute(_CREATE_MIGRATION_TABLE)
    elif "migration" not in tables:
        raise StoreOpenError("the schema has tables of something else than musterd: name another")
    rows = await connection.fetch(_READ_MIGRATIONS)
    return {row["number"]: Applied(name=row["name"], sha256=row["sha256"], needs=row["needs"]) for row in rows}
