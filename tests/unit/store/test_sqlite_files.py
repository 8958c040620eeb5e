"""The database file: who may have it, and who may read it."""

import json
import sqlite3
import stat
from pathlib import Path
from subprocess import Popen

import pytest
from tests.contract.values import ANNA, start
from tests.unit.store.conftest import StartProcess

from musterd.store.errors import StoreOpenError
from musterd.store.sqlite import SqliteStore

DIARY = "my diary, and nobody shall touch it\n" * 100


def read_text(path: Path) -> str:
    """Return what a file says."""
    return path.read_text()


def read_fact(process: Popen[str]) -> dict[str, object]:
    """Return the next thing that a process says."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def modes(path: Path) -> dict[str, int]:
    """Return the mode of each file that belongs to a database."""
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}


@pytest.fixture
def diary(path: Path) -> Path:
    """Return the path of a file that is no database."""
    path.write_text(DIARY)
    return path


@pytest.fixture
def open_files(path: Path) -> None:
    """Make files that everybody may read."""
    for name in ("musterd.db", "musterd.db.lock"):
        path.with_name(name).touch(mode=0o644)


async def open_store(path: Path) -> SqliteStore:
    """Return an open store."""
    store = SqliteStore(path)
    await store.open(lambda _: None)
    return store


async def test_a_second_process_is_refused_until_the_first_is_gone(path: Path, start_process: StartProcess) -> None:
    """R3."""
    first = start_process("hold")
    assert read_fact(first) == {"held": True}
    refused = str(read_fact(start_process("hold"))["refused"])
    assert f"{path} is in use by another server (process {first.pid})" in refused
    assert "stop that one, or give this one a database file of its own" in refused
    first.kill()
    first.wait()
    store = await open_store(path)
    await store.close()


async def test_a_second_store_in_one_process_is_refused_too(path: Path) -> None:
    """R3."""
    store = await open_store(path)
    with pytest.raises(StoreOpenError, match="is in use"):
        await SqliteStore(path).open(lambda _: None)
    task = await start(store)
    assert await store.get_task(ANNA, task.task_id) == task
    await store.close()


async def test_all_files_are_for_this_user_alone(path: Path) -> None:
    """I5."""
    store = await open_store(path)
    await start(store)
    assert modes(path) == dict.fromkeys(
        ("musterd.db", "musterd.db-wal", "musterd.db-shm", "musterd.db.lock"), stat.S_IRUSR | stat.S_IWUSR
    )
    await store.close()


async def test_an_old_file_that_others_may_read_is_made_private(path: Path, open_files: None) -> None:
    """I5."""
    assert set(modes(path).values()) == {0o644}
    store = await open_store(path)
    assert set(modes(path).values()) == {0o600}
    await store.close()


async def test_a_missing_directory_is_named_and_not_made(tmp_path: Path) -> None:
    """R3."""
    missing = tmp_path / "missing"
    with pytest.raises(StoreOpenError, match=f"the directory {missing} of the database does not exist"):
        await open_store(missing / "musterd.db")
    assert modes(missing) == {}


async def test_a_file_that_is_no_database_is_left_alone_and_let_go(diary: Path) -> None:
    """R3."""
    for _ in range(2):
        with pytest.raises(StoreOpenError, match="cannot be opened: file is not a database"):
            await open_store(diary)
    assert modes(diary) == {"musterd.db": 0o600, "musterd.db.lock": 0o600}
    assert read_text(diary) == DIARY


async def test_a_database_of_something_else_is_left_alone(path: Path) -> None:
    """R3."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipe (name TEXT)")
    connection.close()
    with pytest.raises(StoreOpenError, match="a database of something else than musterd"):
        await open_store(path)


async def test_a_path_with_odd_characters_is_fine(tmp_path: Path) -> None:
    """R3."""
    store = await open_store(tmp_path / "50% off? #1 ünï.db")
    task = await start(store)
    assert await store.get_task(ANNA, task.task_id) == task
    await store.close()
