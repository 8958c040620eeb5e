"""Connections to the database that break while somebody decides: each step takes effect once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.integration.replicas.served import serving
from tests.support.payments import Till, asked_of, result_of
from tests.support.postgres_gates import Gate, GatedProxy, Stop, committing
from tests.support.trees import log_of

from musterd import Musterd
from musterd.store.postgres.connection import Database
from musterd_client import ApprovalRequested, ApprovalResolved, Resolution, TaskCompleted, ToolCallStarted


@pytest.fixture
async def proxy(postgres_database: Database) -> AsyncIterator[tuple[GatedProxy, Database]]:
    """Return a way to a database, and the database at the end of it."""
    proxy = GatedProxy(postgres_database.dsn)
    yield proxy, replace(postgres_database, dsn=await proxy.start())
    await proxy.close()


@pytest.mark.parametrize("stop", [Stop.BEFORE, Stop.AFTER])
@pytest.mark.parametrize("statement", ["insert_approval", "park_task", "close_approval"])
async def test_a_commit_without_an_answer_takes_effect_once(
    proxy: tuple[GatedProxy, Database], statement: str, stop: Stop
) -> None:
    """N2, R11: it is asked once, decided once, and the tool runs once."""
    till, (way, database) = Till(), proxy
    gate = Gate(committing(statement), stop)

    async def cut() -> None:
        await gate.reached()
        gate.cut()

    async with serving(
        database, Musterd(agents=[till.payer()]), count=2, runtime={"approval_park_seconds": 0}
    ) as replicas:
        here, there = replicas.clients
        way.add(gate)
        cutting = asyncio.ensure_future(cut())
        async with here.run_agent("payer", "go") as run:
            await asked_of(run)
        if statement != "close_approval":
            await cutting
        await there.tasks.resolve(run.task.task_id, [Resolution.approve()])
        text = await result_of(here, run.task.task_id)
        log = await log_of(there, run.task.task_id)
        await cutting
    assert (text, till.paid) == ("paid 3", [3])
    for kind in (ApprovalRequested, ApprovalResolved, ToolCallStarted, TaskCompleted):
        assert sum(isinstance(event, kind) for event in log) == 1
