"""What is removed from a file."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest
from tests.contract.hooking import claim_hooks, end_with, make_hook_run
from tests.contract.values import complete, make_root, make_spec, read_log, start
from tests.unit.store.retaining import Clock, SqlitePlace, World

from musterd.domain.task import Part
from musterd.store.blobs import INLINE_PART_MAX_BYTES
from musterd.store.retention import Retention
from musterd.store.sqlite import retention
from musterd.store.sqlite.live import LiveCache
from musterd.store.sqlite.transaction import Transaction

T = TypeVar("T")

KEPT = Retention(event_days=10, task_days=20)
LARGE = Part(media_type="image/png", data=b"x" * (INLINE_PART_MAX_BYTES + 1))
STATEMENTS = [
    value
    for name, value in vars(retention).items()
    if name.isupper() and isinstance(value, str) and value.split()[0] in {"SELECT", "DELETE", "UPDATE", "WITH"}
]


class CutOffError(Exception):
    """Stands for a process that ends."""


@pytest.fixture
async def world(path: Path) -> AsyncIterator[World]:
    clock, place = Clock(), SqlitePlace(path)
    store = place.store(clock, KEPT)
    await store.open(lambda _: None)
    yield World(store, clock, place)
    await store.close()


async def test_a_sweep_that_is_cut_off_anywhere_goes_on_the_next_time(path: Path, world: World) -> None:
    """R3: what it leaves is whole, or begins later."""
    await world.store.write([complete(await start(world.store, make_root(spec=make_spec(parts=(LARGE,)))))])
    running = await start(world.store)
    await world.store.close()
    now = world.clock() + timedelta(days=20)
    for steps in count(1):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            try:
                await _sweep(connection, now, steps)
            except CutOffError:
                continue
            break
    await world.store.open(lambda _: None)
    assert await world.count("tree", "task", "event", "blob") == {"tree": 1, "task": 1, "event": 1}
    assert len(await read_log(world.store, running)) == 1


async def test_a_hook_whose_task_is_being_removed_stops_no_claim(path: Path, world: World) -> None:
    """H4, R3: it is whole, or gone."""
    await end_with(world.store, make_hook_run())
    world.clock.pass_days(20)
    sound = make_hook_run()
    await end_with(world.store, sound)
    await world.store.close()
    is_over = False
    for steps in count(1):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            try:
                await _sweep(connection, world.clock(), steps)
                is_over = True
            except CutOffError:
                pass
        await world.store.open(lambda _: None)
        assert sound.hook_run_id in {one.run.hook_run_id for one in await claim_hooks(world.store, f"owner-{steps}")}
        if is_over:
            break
        await world.store.close()
    assert await world.count("hook_run", "hook_payload") == {"hook_run": 1, "hook_payload": 1}


async def _sweep(connection: sqlite3.Connection, now: datetime, steps: int) -> None:
    """Sweep with so many steps, then be cut off."""
    left = iter(range(steps))

    async def read(call: Callable[[sqlite3.Connection], T]) -> T:
        if next(left, None) is None:
            raise CutOffError
        return call(connection)

    def write(call: Callable[[Transaction], T]) -> Awaitable[T]:
        return read(lambda found: call(Transaction(found, LiveCache(), now)))

    await retention.sweep(read, write, KEPT, now)


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_a_statement_finds_its_rows_along_an_index(world: World, path: Path, statement: str) -> None:
    """R3."""
    _check_plan(path, statement)


@pytest.mark.parametrize("rows", [*retention.OF_NUMBERS, *retention.OF_IDS])
async def test_what_goes_with_a_task_is_found_along_an_index(world: World, path: Path, rows: str) -> None:
    """R3."""
    _check_plan(path, retention.delete_statement(rows))


def _check_plan(path: Path, statement: str) -> None:
    """Hold that no table is read as a whole, but what a statement made itself."""
    with closing(sqlite3.connect(path)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", (1,) * _arguments(statement))]
    allowed = ("SCAN json_each", "SCAN logged", "SCAN day", "SCAN blob USING", "SCAN CONSTANT")
    assert [line for line in plan if line.startswith("SCAN") and not line.startswith(allowed)] == []


def _arguments(statement: str) -> int:
    return 2 if "?2" in statement else 1 if "?1" in statement else statement.count("?")
