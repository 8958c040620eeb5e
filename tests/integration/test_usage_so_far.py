"""What a task has spent is known while it runs, and is not forgotten when it cannot go on."""

from pathlib import Path

import pytest
from pydantic_ai import Agent
from tests.support.gated_model import Gate
from tests.support.scripted import call_then_say

from musterd import Musterd
from musterd.testing import serve
from musterd_client import ModelRequestCompleted, MusterdClient, TaskState, Usage


class Worker:
    """An agent whose tool stops until told: one model request is behind it then, and one before it."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.app = Musterd(agents=[Agent(call_then_say("tool", "said"), name="worker", tools=[self.tool])])

    async def tool(self) -> str:
        await self.gate.wait()
        return "result"

    async def begin(self, client: MusterdClient) -> str:
        task = await client.run_agent("worker", "go", background=True).start()
        await self.gate.reached.wait()
        return task.task_id


@pytest.fixture
def worker() -> Worker:
    return Worker()


async def spent_on_requests(client: MusterdClient, task_id: str) -> list[Usage]:
    """Return what each model request in the log of a task spent."""
    return [event.usage async for event in client.tasks.watch(task_id) if isinstance(event, ModelRequestCompleted)]


async def test_the_status_of_a_running_task_tells_what_it_spent(worker: Worker) -> None:
    """R4, R10."""
    async with serve(worker.app) as client:
        task_id = await worker.begin(client)
        running = (await client.tasks.status(task_id)).usage
        worker.gate.open()
        ended = (await client.tasks.wait([task_id])).tasks[0].usage
        first, second = await spent_on_requests(client, task_id)
    assert running == first
    assert (ended.requests, ended.tool_calls) == (2, 1)
    assert ended.input_tokens == first.input_tokens + second.input_tokens
    assert ended.output_tokens == first.output_tokens + second.output_tokens


async def test_a_task_that_is_lost_keeps_what_it_spent(worker: Worker, tmp_path: Path) -> None:
    """R10: its tool may not be repeated."""
    async with serve(worker.app, folder=tmp_path) as client:
        task_id = await worker.begin(client)
        running = (await client.tasks.status(task_id)).usage
    worker.gate.open()
    async with serve(worker.app, folder=tmp_path) as client:
        lost = (await client.tasks.wait([task_id])).tasks[0]
    assert (lost.state, lost.error.reason if lost.error else "") == (TaskState.FAILED, "TASK_LOST")
    assert lost.usage == running
    assert lost.usage.requests == 1
