"""Runs whose logs are gone, and runs that are gone, over gRPC."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from tests.support.clocks import DrivenClock
from tests.support.gated_model import saying

from musterd import Musterd
from musterd.app import Service
from musterd.runtime.maintenance import MAINTENANCE_SECONDS
from musterd.settings import Settings
from musterd.store.postgres import PostgresStore
from musterd.store.postgres.connection import Database
from musterd.store.retention import Retention
from musterd.store.sqlite import SqliteStore
from musterd_client import MusterdClient, NotFoundError, OutOfRangeError, TaskState, WaitMode

LOGS, TASKS = 2, 4
KEPT = Retention(event_days=LOGS, task_days=TASKS)
DAY_SECONDS = 86_400.0

Serve = Callable[[Musterd], AbstractAsyncContextManager[MusterdClient]]


@pytest.fixture
def clock() -> DrivenClock:
    return DrivenClock()


@pytest.fixture(params=["sqlite", "postgres"])
def serve(request: pytest.FixtureRequest, tmp_path: Path, clock: DrivenClock) -> Serve:
    """Return what serves an app on a store that keeps logs for two days and tasks for four."""
    store: dict[str, Any] = {"url": f"sqlite:///{tmp_path / 'kept.db'}"}
    database: Database | None = None
    if request.param == "postgres":
        database = request.getfixturevalue("postgres_database")
        # The database has its own clock: no lease may run out while this one stands still.
        assert database is not None
        store = {"url": database.dsn, "db_schema": database.schema, "lease_seconds": 600}
    settings = Settings.model_validate(
        {"server": {"listen": "127.0.0.1:0", "shutdown_grace_seconds": 0}, "store": store}
    )

    @asynccontextmanager
    async def serving(app: Musterd) -> AsyncGenerator[MusterdClient]:
        kept = (
            SqliteStore(tmp_path / "kept.db", clock.now, retention=KEPT)
            if database is None
            else PostgresStore(database, clock.now, retention=KEPT)
        )
        service = Service(app, settings, store=kept, clock=clock)
        await service.start()
        try:
            async with MusterdClient(f"127.0.0.1:{service.tcp_port}") as client:
                yield client
        finally:
            await service.stop()

    return serving


async def pass_days(clock: DrivenClock, days: float) -> None:
    """Let days pass, and return once the store has been looked after."""
    await clock.sleeping(seconds=MAINTENANCE_SECONDS)
    clock.advance(days * DAY_SECONDS)
    await clock.sleeping(seconds=MAINTENANCE_SECONDS)


async def test_a_log_that_is_gone_is_told_apart_from_a_run_that_is(serve: Serve, clock: DrivenClock) -> None:
    """R3, R4."""
    async with serve(Musterd(agents=[Agent(saying("a", "b", "c"), name="agent")])) as client:
        ended = await client.run_agent("agent", "go").result()
        done = await client.tasks.status(ended.task.task_id)
        await pass_days(clock, LOGS + 1)
        for after in (0, 1, done.last_sequence - 1):
            with pytest.raises(OutOfRangeError) as gone:
                async for _ in client.tasks.watch(done.task_id, after_sequence=after):
                    pass
            assert gone.value.reason == "LOG_TRIMMED"
            assert gone.value.metadata == {"oldest_sequence": str(done.last_sequence + 1)}
        # Who has seen all of it asks for nothing that is gone.
        assert [event async for event in client.tasks.watch(done.task_id, after_sequence=done.last_sequence)] == []
        assert await client.tasks.status(done.task_id) == done
        assert [task async for task in client.tasks.list()] == [done]
        waited = await client.tasks.wait([done.task_id], mode=WaitMode.ALL, timeout_seconds=0)
        assert [task.state for task in waited.tasks] == [TaskState.COMPLETED]
        await pass_days(clock, TASKS - LOGS)
        with pytest.raises(NotFoundError):
            await client.tasks.status(done.task_id)
        with pytest.raises(NotFoundError):
            async for _ in client.tasks.watch(done.task_id):
                pass
        assert [task async for task in client.tasks.list()] == []


async def test_a_request_id_leads_to_its_run_for_as_long_as_that_is_there(serve: Serve, clock: DrivenClock) -> None:
    """R8: the task is told, though its events are gone."""
    async with serve(Musterd(agents=[Agent(saying("a"), name="agent")])) as client:
        done = (await client.run_agent("agent", "go", request_id="r1").result()).task
        await pass_days(clock, LOGS + 1)
        async with client.run_agent("agent", "go", request_id="r1") as again:
            assert again.task.task_id == done.task_id
            with pytest.raises(OutOfRangeError):
                await again.result()
        await pass_days(clock, TASKS - LOGS)
        new = await client.run_agent("agent", "go", request_id="r1").result()
        assert new.task.task_id != done.task_id
