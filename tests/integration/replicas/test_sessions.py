"""Sessions whose runs are accepted and executed by several servers."""

import asyncio
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from tests.integration.replicas.conftest import Serve
from tests.support.gated_model import Gate, prompts_in, stopping

from musterd import Musterd
from musterd_client import CancelMode, MusterdClient, NotFoundError, TaskState

ID = "s-1"


def recalling() -> Agent[Any, str]:
    """Return an agent that says all that users have said in the conversation."""

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart(" ".join(prompts_in(messages)))])

    return Agent(FunctionModel(respond), name="parrot")


async def say(client: MusterdClient, text: str) -> str:
    return (await client.run_agent("parrot", text, session_id=ID).result()).text


async def test_runs_of_one_session_on_three_servers_leave_a_history_without_gaps(serve: Serve) -> None:
    """N1: twenty at once; each has heard all before it, wherever that ran."""
    async with serve(Musterd(agents=[recalling()])) as replicas:
        clients = [replicas[number % 3].client for number in range(20)]
        answers = await asyncio.gather(*[say(client, f"<{number}>") for number, client in enumerate(clients)])
        entries = [entry async for entry in replicas[0].client.sessions.entries(ID)]
    said = [message.text for entry in entries for message in entry.messages]
    order = said[0::2]
    assert sorted(order) == sorted(f"<{number}>" for number in range(20))
    assert said[1::2] == [" ".join(order[: number + 1]) for number in range(20)]
    assert sorted(answers) == sorted(said[1::2])


async def test_a_run_that_waits_begins_when_the_one_before_it_is_canceled_elsewhere(serve: Serve) -> None:
    """N1."""
    gate = Gate()
    app = Musterd(agents=[Agent(stopping(gate), name="parrot")])
    async with serve(app) as replicas:
        task_ids: list[str] = []
        for replica in (replicas[0], replicas[1]):
            async with replica.client.run_agent("parrot", "hi", session_id=ID, background=True) as run:
                task_ids.append(run.task.task_id)
        await gate.reached.wait()
        await replicas[2].client.tasks.cancel(task_ids[0], mode=CancelMode.HARD)
        gate.open()
        (ended,) = (await replicas[2].client.tasks.wait([task_ids[1]])).tasks
    assert ended.state is TaskState.COMPLETED


async def test_a_session_is_deleted_while_its_runs_are_elsewhere(serve: Serve) -> None:
    """N1: one that runs and one that waits are canceled first."""
    gate = Gate()
    app = Musterd(agents=[Agent(stopping(gate), name="parrot")])
    async with serve(app) as replicas:
        for replica in (replicas[0], replicas[1]):
            async with replica.client.run_agent("parrot", "hi", session_id=ID, background=True):
                pass
        await gate.reached.wait()
        await replicas[2].client.sessions.delete(ID, cancel_live_runs=True)
        for replica in replicas:
            with pytest.raises(NotFoundError):
                await replica.client.sessions.get(ID)
            assert [each async for each in replica.client.tasks.list()] == []
