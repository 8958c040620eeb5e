"""A short soak, so that the long one works when somebody has the time for it."""

from pathlib import Path

import pytest
from tests.contract.values import complete, start
from tests.soak.outcome import GROWTH_MAX_BYTES, WARM_RUNS, growth, read_outcome
from tests.soak.replicas import Memory, Mill, open_mill
from tests.soak.soaking import Callers, soak

from musterd.store.postgres import PostgresStore
from musterd.store.postgres.connection import Database

RUNS = 150
AT_ONCE = 12


async def test_a_soak_with_a_kill_loses_no_run(tmp_path: Path, postgres_dsn: str) -> None:
    """R3, R8. What is accepted completes, though the replica that runs it may be gone."""
    kills = iter((RUNS // 3,))

    async def next_kill(callers: Callers) -> None:
        await callers.have_ended(next(kills, RUNS + 1))

    async with open_mill(tmp_path, postgres_dsn) as mill:
        outcome = await soak(mill, runs=RUNS, at_once=AT_ONCE, next_kill=next_kill)
        assert outcome.wrong == []
        assert outcome.kills == 1
        assert [replica.lives for replica in mill.replicas] == [2, 1, 1]


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ([], None),
        ([(100, 10), (WARM_RUNS, 20)], None),
        ([(100, 0), (100 + WARM_RUNS, 7), (1_100 + WARM_RUNS, 7 + GROWTH_MAX_BYTES)], GROWTH_MAX_BYTES),
        ([(100, 0), (100 + WARM_RUNS, 7), (2_100 + WARM_RUNS, 7)], 0),
    ],
)
def test_growth_is_told_of_a_warm_replica(memory: Memory, expected: float | None) -> None:
    assert growth(memory) == (expected if expected is None else pytest.approx(expected))


async def test_a_soak_tells_what_is_wrong(tmp_path: Path, postgres_database: Database) -> None:
    """R3. Of two runs one is lost; instead there is one that nobody asked for, and that does not end."""
    store = PostgresStore(postgres_database)
    await store.open(lambda _: None)
    try:
        ended, stray = await start(store), await start(store)
        await store.write([complete(ended)])
    finally:
        await store.close()
    ledger = tmp_path / "ledger.txt"
    ledger.write_text("run 1\n")
    mill = Mill(replicas=(), dsn=postgres_database.dsn, schema=postgres_database.schema, ledger_file=ledger)
    accepted = {ended.task_id, "gone"}
    outcome = await read_outcome(mill, accepted=accepted, runs=3, troubles=["refused"], kills=0, seconds=1)
    assert outcome.wrong == [
        "refused",
        "3 runs were asked for, 2 accepted",
        "gone was accepted and is lost",
        f"{stray.task_id} is stored, and nobody knows of it",
        "1 tasks are working",
        f"{stray.task_id} has 0 terminal events",
        "the tool of run 0 never ran",
        "the tool of run 2 never ran",
    ]
