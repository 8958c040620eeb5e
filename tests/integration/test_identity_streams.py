"""Streams end with the token that they were opened with; the work goes on, and so does a client with a fresh one."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel
from tests.support.clocks import DrivenClock
from tests.support.gated_model import Gate
from tests.support.tokens import AUTH, token
from tests.support.wire import METHODS, Answer, wire_to

from musterd import Musterd
from musterd.testing import serve
from musterd_client import MusterdClient, OnDisconnect, TaskState, TextDelta, UnauthenticatedError

LIFETIME_SECONDS = 600
LEEWAY_SECONDS = 10


class Story:
    """An agent whose answer stops twice, and the owner's tokens on the server's clock."""

    def __init__(self) -> None:
        self.clock = DrivenClock()
        self.middle = Gate()
        self.end = Gate()
        self.tokens: list[str] = []

    @property
    def app(self) -> Musterd:
        return Musterd(agents=[Agent(FunctionModel(stream_function=self._stream), name="teller")])

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "once "
        await self.middle.wait()
        yield "upon "
        await self.end.wait()
        yield "a time"

    def fresh_token(self) -> str:
        """Return another token that is good for LIFETIME_SECONDS from now: a token provider."""
        number = len(self.tokens)
        self.tokens.append(token(at=self.clock.now(), lifetime_seconds=LIFETIME_SECONDS, jti=str(number)))
        return self.tokens[-1]

    async def expire(self) -> None:
        """Let the tokens expire in mid-answer, after which comes another piece of it."""
        await self.middle.reached.wait()
        self.clock.advance(LIFETIME_SECONDS + LEEWAY_SECONDS)
        self.middle.open()
        await self.end.reached.wait()


@pytest.fixture
def story() -> Story:
    return Story()


def sequences_of(name: str, answer: Answer) -> list[int]:
    messages: list[Any] = [METHODS[name].response.FromString(data) for data in answer.responses]
    return [event.sequence for message in messages for event in message.events]


async def test_the_stream_of_a_run_ends_with_its_token_and_tells_where_it_stands(story: Story) -> None:
    """I7."""
    async with serve(story.app, auth=AUTH, clock=story.clock) as client, wire_to(client.target) as wire:
        caller = story.fresh_token()
        streaming = asyncio.create_task(wire.ask("RunAgent", token=caller, agent_id="teller", message="go"))
        await story.expire()
        answer = await streaming
        assert (await wire.refusal("ListTasks", token=caller)).reason == "TOKEN_EXPIRED"
        later = story.fresh_token()
        (task,) = (await wire.call("ListTasks", token=later)).tasks
        story.end.open()
        waited = await wire.call("WaitTasks", token=later, task_ids=[task.task_id])
    seen = sequences_of("RunAgent", answer)
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")
    assert seen == list(range(1, len(seen) + 1))
    assert dict(answer.info.metadata) == {"last_sequence": str(seen[-1])}
    assert waited.tasks[0].output.text == "once upon a time"


async def test_the_stream_of_a_watch_ends_with_its_token_and_tells_where_it_stands(story: Story) -> None:
    """I7."""
    async with (
        serve(story.app, auth=AUTH, clock=story.clock) as server,
        MusterdClient(server.target, token=story.fresh_token()) as client,
    ):
        task = await client.run_agent("teller", "go", background=True).start()
        async with client.tasks.watch(task.task_id) as watch, asyncio.TaskGroup() as group:
            group.create_task(story.expire())
            with pytest.raises(UnauthenticatedError, match="TOKEN_EXPIRED") as caught:
                await watch.result()
    assert caught.value.metadata == {"last_sequence": str(watch.last_sequence)}


@pytest.mark.parametrize("on_disconnect", [OnDisconnect.CONTINUE, OnDisconnect.CANCEL])
async def test_a_client_that_can_get_a_fresh_token_follows_on_without_loss(
    story: Story, on_disconnect: OnDisconnect
) -> None:
    """I7: to lose a stream for its token is not to drop it, so that nothing is canceled."""

    def provide() -> str:
        if story.tokens:
            story.end.open()
        return story.fresh_token()

    async with (
        serve(story.app, auth=AUTH, clock=story.clock) as server,
        MusterdClient(server.target, token=provide) as client,
        client.run_agent("teller", "go", on_disconnect=on_disconnect) as run,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(story.expire())
        events = [event async for event in run]
        assert (await client.tasks.status(run.task.task_id)).state is TaskState.COMPLETED
    assert len(story.tokens) == 2
    assert run.task.state is TaskState.COMPLETED
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == run.text == "once upon a time"


async def test_a_client_without_another_token_is_told_and_the_run_goes_on(story: Story) -> None:
    """I7 (refusal)."""
    async with serve(story.app, auth=AUTH, clock=story.clock) as server:
        async with (
            MusterdClient(server.target, token=story.fresh_token()) as client,
            client.run_agent("teller", "go") as run,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(story.expire())
            with pytest.raises(UnauthenticatedError, match="TOKEN_EXPIRED") as caught:
                await run.result()
        assert caught.value.metadata == {"last_sequence": str(run.last_sequence)}
        story.end.open()
        async with MusterdClient(server.target, token=story.fresh_token()) as later:
            rest = await later.tasks.watch(run.task.task_id, after_sequence=run.last_sequence).result()
    assert rest.output.text == "once upon a time"


async def test_other_calls_get_a_fresh_token_too(story: Story) -> None:
    """I7."""
    async with (
        serve(story.app, auth=AUTH, clock=story.clock) as server,
        MusterdClient(server.target, token=story.fresh_token) as client,
    ):
        task = await client.run_agent("teller", "go", background=True).start()
        await story.expire()
        assert (await client.tasks.status(task.task_id)).state is TaskState.WORKING
        story.end.open()
        waited = await client.tasks.wait([task.task_id])
    assert waited.tasks[0].state is TaskState.COMPLETED
    assert len(story.tokens) == 2
