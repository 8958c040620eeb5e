"""Which databases a version takes."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from musterd.store.errors import StoreOpenError
from musterd.store.migrations import Applied, Migration, find_pending, load_migrations
from musterd.store.sqlite import SqliteStore

KNOWN = (Migration(number=1, name="0001_a", sql="A"), Migration(number=2, name="0002_b", sql="B"))


def applied(migration: Migration) -> Applied:
    """Return what a database says that has had a migration."""
    return Applied(name=migration.name, sha256=migration.sha256)


def change(path: Path, statement: str) -> None:
    """Change a database by hand."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


async def open_once(path: Path) -> None:
    """Open a store and close it."""
    store = SqliteStore(path)
    await store.open(lambda _: None)
    await store.close()


def test_migrations_are_numbered_from_one_without_gaps() -> None:
    """R3."""
    found = load_migrations("musterd.store.sqlite")
    assert [migration.number for migration in found] == list(range(1, len(found) + 1))
    assert [migration.name[:4] for migration in found] == [f"{migration.number:04}" for migration in found]


def test_a_new_database_needs_all_migrations_and_a_current_one_none() -> None:
    """R3."""
    assert list(find_pending(KNOWN, {})) == list(KNOWN)
    assert list(find_pending(KNOWN, {1: applied(KNOWN[0])})) == [KNOWN[1]]
    assert list(find_pending(KNOWN, {one.number: applied(one) for one in KNOWN})) == []


async def test_the_checksums_of_the_files_are_recorded(path: Path) -> None:
    """R3."""
    await open_once(path)
    with closing(sqlite3.connect(path)) as connection:
        recorded = connection.execute("SELECT number, name, sha256 FROM migration ORDER BY number").fetchall()
    assert recorded == [
        (migration.number, migration.name, hashlib.sha256(migration.sql.encode()).hexdigest())
        for migration in load_migrations("musterd.store.sqlite")
    ]


async def test_a_database_is_opened_again_and_again(path: Path) -> None:
    """R3."""
    for _ in range(3):
        await open_once(path)


async def test_a_changed_migration_is_refused(path: Path) -> None:
    """R3."""
    await open_once(path)
    change(path, "UPDATE migration SET sha256 = 'other'")
    with pytest.raises(StoreOpenError, match=r"0001_initial with another text .* restore a backup"):
        await open_once(path)


async def test_a_database_of_a_newer_version_is_refused(path: Path) -> None:
    """R3."""
    await open_once(path)
    change(path, "INSERT INTO migration VALUES (9999, '9999_future', 'x', 0)")
    with pytest.raises(StoreOpenError, match="9999_future, which this version of musterd does not know"):
        await open_once(path)
