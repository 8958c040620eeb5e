"""The wall clocks of replicas differ: who lives, and for how long a run may take, is told by other means."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta

import pytest
from pydantic_ai import Agent
from tests.support.followers import Follower

from musterd import Musterd
from musterd.app import Service
from musterd.domain.clock import SystemClock
from musterd.settings import Settings, migrate_store
from musterd.store.postgres.connection import Database
from musterd.testing.model import FakeModel, gate, text
from musterd_client import MusterdClient, TaskState, TextDelta

HOUR = timedelta(hours=1)


class MovedClock(SystemClock):
    """The machine's clock, set to another time."""

    moved_by = timedelta()

    def now(self) -> datetime:
        return super().now() + self.moved_by


@asynccontextmanager
async def replica(app: Musterd, database: Database, clock: MovedClock) -> AsyncGenerator[MusterdClient]:
    """Give a client of a replica with this clock; leaving it stops the replica at once."""
    server = {"listen": "127.0.0.1:0", "shutdown_grace_seconds": 0}
    store = {"url": database.dsn, "db_schema": database.schema, "lease_seconds": 3, "poll_seconds": 0.2}
    settings = Settings.model_validate({"server": server, "store": store})
    await migrate_store(settings.store)
    service = Service(app, settings, clock=clock)
    await service.start()
    try:
        async with MusterdClient(f"127.0.0.1:{service.tcp_port}") as client:
            yield client
    finally:
        await service.stop()


@pytest.mark.parametrize("moved_by", [HOUR, -HOUR], ids=["ahead", "behind"])
async def test_a_replica_whose_clock_is_moved_in_mid_run_goes_on(
    postgres_database: Database, moved_by: timedelta
) -> None:
    """R10, R11. It keeps its lease and its runs, and the others leave them alone."""
    script = [text("It ") + gate("moved") + text("is done."), text("done")]
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(FakeModel(script))
        app = Musterd(agents=[Agent(model.as_model(), name="worker")])
        clocks = [MovedClock() for _ in range(2)]
        clients = [await stack.enter_async_context(replica(app, postgres_database, clock)) for clock in clocks]
        run = clients[0].run_agent("worker", "go", run_timeout_seconds=60)
        follower = await stack.enter_async_context(Follower(run))
        other = await stack.enter_async_context(Follower(clients[1].tasks.watch(run.task.task_id)))
        await other.seen(lambda event: isinstance(event, TextDelta))
        clocks[0].moved_by = moved_by
        model.release("moved")
        assert await follower.ended() == await other.ended()
        after = await clients[0].run_agent("worker", "again", run_timeout_seconds=60).result()
        task = await clients[1].tasks.status(run.task.task_id)
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 1)
    assert (after.task.state, after.task.attempt) == (TaskState.COMPLETED, 1)
    assert task.create_time is not None
    assert after.task.create_time is not None
    assert after.task.create_time - task.create_time < HOUR


@pytest.mark.parametrize("moved_by", [HOUR, -HOUR], ids=["ahead", "behind"])
async def test_a_replica_whose_clock_is_wrong_takes_over(postgres_database: Database, moved_by: timedelta) -> None:
    """R10, R11. The run has the time that it was given, whatever the new replica thinks that time it is."""
    script = [text("It ") + gate("first") + text("never"), text("It ") + text("is done.")]
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(FakeModel(script))
        app = Musterd(agents=[Agent(model.as_model(), name="worker")])
        wrong = MovedClock()
        wrong.moved_by = moved_by
        async with replica(app, postgres_database, MovedClock()) as first:
            task = await first.run_agent("worker", "go", run_timeout_seconds=60, background=True).start()
            await model.reached("first")
        second = await stack.enter_async_context(replica(app, postgres_database, wrong))
        follower = await stack.enter_async_context(Follower(second.tasks.watch(task.task_id)))
        await follower.ended()
        task = await second.tasks.status(task.task_id)
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 2), task.error
