"""Brings a database's schema up to date."""

import sqlite3
from collections.abc import Iterator, Mapping

from musterd.store.errors import StoreOpenError
from musterd.store.migrations import Applied, find_pending, load_migrations

_MIGRATION_TABLE = """
CREATE TABLE migration (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    apply_time INTEGER NOT NULL,
    needs INTEGER NOT NULL -- the newest migration that a version has to know to work with this one
)
"""


def migrate(connection: sqlite3.Connection, now_micros: int) -> None:
    """Apply what the database has not had, each migration in a transaction of its own. Raises StoreOpenError."""
    for migration in find_pending(load_migrations(__package__ or ""), _read_applied(connection)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in _split(migration.sql):
                connection.execute(statement)
            connection.execute(
                "INSERT INTO migration (number, name, sha256, apply_time, needs) VALUES (?, ?, ?, ?, ?)",
                (migration.number, migration.name, migration.sha256, now_micros, migration.needs),
            )
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _read_applied(connection: sqlite3.Connection) -> Mapping[int, Applied]:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        connection.execute(_MIGRATION_TABLE)
    elif "migration" not in tables:
        raise StoreOpenError("the file is a database of something else than musterd: name another")
    rows = connection.execute("SELECT number, name, sha256, needs FROM migration")
    return {number: Applied(name=name, sha256=sha256, needs=needs) for number, name, sha256, needs in rows}


def _split(sql: str) -> Iterator[str]:
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
