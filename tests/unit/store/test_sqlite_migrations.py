"""Which databases a version takes."""

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from musterd.store.errors import StoreOpenError
from musterd.store.migrations import Applied, Migration, find_pending, load_migrations
from musterd.store.sqlite import SqliteStore

KNOWN = (
    Migration(number=1, name="0001_a", sql="-- expands\nA"),
    Migration(number=2, name="0002_b", sql="-- expands\nB"),
)
LATER = Migration(number=3, name="0003_c", sql="-- expands\nC")


def applied(migration: Migration) -> Applied:
    """Return what a database says that has had a migration."""
    return Applied(name=migration.name, sha256=migration.sha256, needs=migration.needs)


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


@pytest.mark.parametrize("package", ["musterd.store.sqlite", "musterd.store.postgres"])
def test_each_migration_says_which_versions_can_live_with_it(package: str) -> None:
    """R3."""
    assert all(0 <= migration.needs <= migration.number for migration in load_migrations(package))


@pytest.mark.parametrize(
    ("first_line", "needs"),
    [("-- expands", 0), ("-- contracts: needs 0001", 1), ("-- contracts: needs 0003", 3), ("-- expands\r", 0)],
)
def test_the_first_line_says_what_a_version_has_to_know(first_line: str, needs: int) -> None:
    """R3."""
    assert replace(LATER, sql=f"{first_line}\nC").needs == needs


@pytest.mark.parametrize(
    "first_line",
    ["", "C", "-- Expands", "-- expands: adds C", "-- contracts", "-- contracts: needs 3", "-- contracts: needs 0004"],
)
def test_a_migration_that_does_not_say_it_is_refused(first_line: str) -> None:
    """R3: nor does one need what comes after it."""
    with pytest.raises(ValueError, match=r"first line of 0003_c\.sql must be `-- expands` or `-- contracts: needs"):
        _ = replace(LATER, sql=f"{first_line}\nC").needs


@pytest.mark.parametrize("needs", [0, 1, 2])
def test_a_version_takes_a_later_migration_that_needs_no_newer_one(needs: int) -> None:
    """R3."""
    had = {one.number: applied(one) for one in (*KNOWN, LATER)}
    had[LATER.number] = replace(had[LATER.number], needs=needs)
    assert list(find_pending(KNOWN, had)) == []


def test_a_version_refuses_a_later_migration_that_needs_a_newer_one() -> None:
    """R3: whatever comes after it."""
    had = {one.number: applied(one) for one in (*KNOWN, LATER, replace(LATER, number=4, name="0004_d"))}
    had[LATER.number] = replace(had[LATER.number], needs=3)
    with pytest.raises(
        StoreOpenError, match=r"had the migration 0003_c, and this .* upgrade the server to the version"
    ):
        find_pending(KNOWN, had)


def test_a_version_refuses_an_unknown_migration_among_its_own() -> None:
    """R3."""
    had = {one.number: applied(one) for one in (*KNOWN, LATER)}
    with pytest.raises(StoreOpenError, match="had the migration 0002_b, and this version of musterd does not know it"):
        find_pending((KNOWN[0], LATER), had)


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


async def test_a_database_of_a_newer_version_is_refused_unless_it_only_has_more(path: Path) -> None:
    """R3."""
    await open_once(path)
    change(path, "INSERT INTO migration VALUES (9998, '9998_more', 'x', 0, 0)")
    await open_once(path)
    change(path, "INSERT INTO migration VALUES (9999, '9999_less', 'x', 0, 9999)")
    with pytest.raises(StoreOpenError, match="9999_less, and this version of musterd does not know it"):
        await open_once(path)
