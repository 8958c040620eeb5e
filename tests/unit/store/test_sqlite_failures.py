"""What is stored when something fails: all that was acknowledged, and nothing that was refused."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.contract.values import ANNA, make_deltas, make_root, read_log, say, start
from tests.unit.store.conftest import StartProcess

from musterd.domain.event import Event, TextDelta
from musterd.domain.ports import Lost, TaskWrite
from musterd.store.errors import UnreadableRowError
from musterd.store.sqlite import SqliteStore

UNSTORABLE = TextDelta(step=1, part_index=0, text="half of a pair: \ud800")


async def test_a_killed_process_loses_nothing_that_it_acknowledged(path: Path, start_process: StartProcess) -> None:
    """R3."""
    process = start_process("acknowledge")
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(300)]
    process.kill()
    process.wait()
    told += [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    store = SqliteStore(path)
    await store.open(lambda _: None)
    for line in told:
        task = await store.get_task(ANNA, json.loads(line)["task_id"])
        assert (await read_log(store, task))[-1] == TextDelta(step=1, part_index=0, text=task.task_id)
    await store.close()


def test_a_full_disk_refuses_writes_until_there_is_room(start_process: StartProcess) -> None:
    """R3."""
    output, _ = start_process("fill").communicate()
    full, again = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert full["reason"] == "STORE_UNAVAILABLE"
    assert full["retry_after_seconds"] > 0
    assert full["stored"] == full["found"] == full["last_sequence"] > 1
    assert again["last_sequence"] == full["stored"] + 1


async def test_an_operation_that_fails_does_not_fail_those_beside_it(path: Path) -> None:
    """R3."""
    heard: list[Event] = []
    store = SqliteStore(path)
    await store.open(heard.extend)
    task = await start(store)
    results = await asyncio.gather(
        store.write([say(task, *make_deltas(1))]),
        store.create_task(make_root()),
        store.write([say(task, *make_deltas(1)), say(task, UNSTORABLE)]),
        store.write([TaskWrite(task_id=task.task_id, attempt=7)]),
        store.write([say(task, *make_deltas(2))]),
        return_exceptions=True,
    )
    failed = [index for index, result in enumerate(results) if isinstance(result, BaseException)]
    assert failed == [2]
    assert results[3] == [Lost()]
    assert len(await read_log(store, task)) == 4
    mine = [event.sequence for event in heard if event.task_id == task.task_id]
    assert mine == [1, 2, 3, 4]
    assert len(heard) == 5
    await store.close()


async def test_a_task_id_that_exists_is_not_stored_twice(path: Path) -> None:
    """R8."""
    store = SqliteStore(path)
    await store.open(lambda _: None)
    new = make_root()
    task = await start(store, new)
    with pytest.raises(sqlite3.IntegrityError):
        await store.create_task(new)
    assert await store.get_task(ANNA, task.task_id) == task
    await store.close()


async def test_callers_get_their_results_though_the_listener_fails(path: Path) -> None:
    """R3."""
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))
    store = SqliteStore(path)

    def listen(events: object) -> None:
        raise ValueError(events)

    await store.open(listen)
    task = await start(store)
    assert await store.get_task(ANNA, task.task_id) == task
    await store.close()
    assert [type(failure) for failure in failures] == [ValueError]


@pytest.mark.parametrize(
    "statement", ["UPDATE event SET format = 2", "UPDATE event SET kind = 'dance'"], ids=["format", "kind"]
)
async def test_an_event_of_a_newer_version_is_not_guessed_at(path: Path, statement: str) -> None:
    """R3."""
    store = SqliteStore(path)
    await store.open(lambda _: None)
    task = await start(store)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)
    with pytest.raises(UnreadableRowError, match="this version"):
        await store.read_events(task.task_id, 0, 10)
    assert await store.get_task(ANNA, task.task_id) == task
    await store.close()
