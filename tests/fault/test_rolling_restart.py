"""All replicas are replaced, one after the other, while callers go on to call."""

import asyncio

import pytest
from tests.fault.checking import UNFINISHED, check_task
from tests.fault.cluster import REPLICAS, Cluster

from musterd.testing.model import ChatRequest, Turn, call, text
from musterd_client import Event, TaskState, ToolCallCompleted

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLERS = 6
RUNS = 12
"""How many end before a replica is told to stop, and how many more are asked for meanwhile."""


def answer(request: ChatRequest) -> Turn:
    if not request.tool_results:
        return call("note", {"what": request.prompt})
    return text("It ", "is ", "done.")


class Load:
    """Callers that run the agent at once, as often as they are asked to."""

    def __init__(self, cluster: Cluster) -> None:
        self.logs: dict[str, list[Event]] = {}
        self._cluster = cluster
        self._asked = asyncio.Semaphore(0)
        self._done = asyncio.Semaphore(0)
        self._begun = 0

    def ask(self, runs: int) -> None:
        """Ask for more runs."""
        for _ in range(runs):
            self._asked.release()

    async def done(self, runs: int) -> None:
        """Return once so many more runs have ended."""
        for _ in range(runs):
            await self._done.acquire()

    async def call(self, number: int) -> None:
        """Follow one run after the other, each from its start to its end."""
        async with self._cluster.client(number % REPLICAS) as client:
            while True:
                await self._asked.acquire()
                self._begun += 1
                message = self._cluster.play(f"rolling {self._begun}", answer)
                async with client.run_agent("worker", message) as run:
                    self.logs[run.task.task_id] = [event async for event in run]
                self._done.release()


async def test_a_rolling_restart_under_load_loses_nothing(cluster: Cluster) -> None:
    """R3, R8. What is accepted completes, each tool call once, and the callers get each event once."""
    load = Load(cluster)
    async with cluster.client() as client:
        earlier = {task.task_id async for task in client.tasks.list()}
    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(load.call(number)) for number in range(CALLERS)]
        for replica in cluster.replicas:
            load.ask(2 * RUNS)
            await load.done(RUNS)
            await replica.stop()
            await replica.begin()
            await load.done(RUNS)
            await replica.serving()
        for caller in callers:
            caller.cancel()
    async with cluster.client() as client:
        assert [task.task_id async for task in client.tasks.list(states=UNFINISHED)] == []
        accepted = {task.task_id async for task in client.tasks.list()}
        assert accepted - earlier == load.logs.keys()
        for task_id, followed in load.logs.items():
            task, log = await check_task(client, task_id, cluster.ledger())
            assert followed == log
            assert task.state is TaskState.COMPLETED
            assert sum(isinstance(event, ToolCallCompleted) for event in log) == 1
    assert len(load.logs) == 2 * RUNS * REPLICAS
