"""Any server answers for any task: one starts it, another shows it, waits for it, stops it and talks to it."""

import asyncio
from collections.abc import AsyncIterator

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from tests.integration.replicas.conftest import Serve
from tests.integration.replicas.served import Replicas
from tests.support.followers import Follower
from tests.support.gated_model import Delta, Gate, prompts_in, stopping
from tests.support.scripted import by_request, call_then_say
from tests.support.trees import endings_in

from musterd import Musterd
from musterd_client import (
    CancelMode,
    CancelOutcome,
    Steered,
    SteerOutcome,
    TaskCanceled,
    TaskState,
    TextDelta,
)


async def begin(replicas: Replicas, agent: str = "slow", number: int = 0) -> str:
    """Run an agent in the background on one server, and return the id of its task."""
    async with replicas[number].client.run_agent(agent, "go", background=True) as run:
        return run.task.task_id


async def test_a_task_is_shown_and_listed_by_every_server(serve: Serve) -> None:
    """R4."""
    gate = Gate()
    async with serve(Musterd(agents=[Agent(stopping(gate), name="slow")])) as replicas:
        task_id = await begin(replicas)
        await gate.reached.wait()
        for client in replicas.clients:
            assert (await client.tasks.status(task_id)).state is TaskState.WORKING
            assert [task.task_id async for task in client.tasks.list()] == [task_id]
        gate.open()
        await replicas[1].client.tasks.wait([task_id])
        states = {(await client.tasks.status(task_id)).state for client in replicas.clients}
    assert states == {TaskState.COMPLETED}


async def test_followers_on_every_server_get_each_event_once_and_in_order(serve: Serve) -> None:
    """R3: those that come before the events and those that come after."""
    gate, last = Gate(), Gate()

    async def stream(number: int, messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        yield "first "
        await gate.wait()
        yield "second "
        await last.wait()
        yield "third"

    async with serve(Musterd(agents=[Agent(by_request(stream), name="slow")])) as replicas:
        task_id = await begin(replicas)
        async with (
            Follower(replicas[0].client.tasks.watch(task_id)) as here,
            Follower(replicas[1].client.tasks.watch(task_id)) as there,
            Follower(replicas[2].client.tasks.watch(task_id)) as elsewhere,
        ):
            followers = (here, there, elsewhere)
            for text, to_open in (("first ", gate), ("second ", last)):
                for follower in followers:
                    await follower.seen(lambda event, text=text: isinstance(event, TextDelta) and event.text == text)
                to_open.open()
            logs = [await follower.ended() for follower in followers]
        late = [[event async for event in client.tasks.watch(task_id)] for client in replicas.clients]
    for log in (*logs, *late):
        assert [event.sequence for event in log] == list(range(1, len(log) + 1))
        assert log == logs[0]
    assert endings_in(logs[0]) == {task_id: 1}


async def test_a_wait_on_another_server_ends_with_the_task(serve: Serve) -> None:
    """R4: all of them, whoever runs them."""
    gate = Gate()
    async with serve(Musterd(agents=[Agent(stopping(gate), name="slow")])) as replicas:
        ids = [await begin(replicas, number=number) for number in range(3)]
        await gate.reached.wait()
        waits = [asyncio.create_task(client.tasks.wait(ids, timeout_seconds=60)) for client in replicas.clients]
        gate.open()
        results = await asyncio.gather(*waits)
    for waited in results:
        assert not waited.timed_out
        assert {task.state for task in waited.tasks} == {TaskState.COMPLETED}


async def test_a_hard_cancel_on_another_server_interrupts_the_model(serve: Serve) -> None:
    """R5: and says so when it returns."""
    gate = Gate()
    async with serve(Musterd(agents=[Agent(stopping(gate, before=("half ",)), name="slow")])) as replicas:
        task_id = await begin(replicas)
        await gate.reached.wait()
        canceled = await replicas[2].client.tasks.cancel(task_id, mode=CancelMode.HARD, reason="enough")
        log = [event async for event in replicas[1].client.tasks.watch(task_id)]
    assert (canceled.outcome, canceled.task.state) == (CancelOutcome.CANCELED, TaskState.CANCELED)
    assert canceled.task.output is not None
    assert canceled.task.output.text == "half "
    assert isinstance(log[-1], TaskCanceled)
    assert log[-1].reason == "enough"
    assert endings_in(log) == {task_id: 1}


async def test_a_soft_cancel_on_another_server_lets_the_step_end(serve: Serve) -> None:
    """R5."""
    gate = Gate()
    ran: list[str] = []

    async def tool() -> str:
        await gate.wait()
        ran.append("tool")
        return "result"

    agent = Agent(call_then_say("tool", "never said"), name="slow", tools=[tool])
    async with serve(Musterd(agents=[agent])) as replicas:
        task_id = await begin(replicas)
        await gate.reached.wait()
        canceled = await replicas[1].client.tasks.cancel(task_id, grace_seconds=3_000)
        assert canceled.outcome is CancelOutcome.CANCELING
        await replicas[0].has_read_order(task_id)
        gate.open()
        log = [event async for event in replicas[2].client.tasks.watch(task_id)]
    assert ran == ["tool"]
    assert isinstance(log[-1], TaskCanceled)


async def test_a_message_from_another_server_is_applied_and_acknowledged(serve: Serve) -> None:
    """R6: the call returns when the model has it."""
    gate = Gate()
    heard: list[list[str]] = []

    async def answer(number: int, messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        heard.append(prompts_in(messages))
        if number == 1:
            await gate.wait()
        yield f"answer {number}"

    async with serve(Musterd(agents=[Agent(by_request(answer), name="slow")])) as replicas:
        task_id = await begin(replicas)
        await gate.reached.wait()
        steering = asyncio.create_task(
            replicas[1].client.tasks.steer(task_id, "in French", wait_timeout_seconds=60, request_id="s-1")
        )
        await replicas[0].has_read_order(task_id)
        assert not steering.done()
        gate.open()
        applied = await steering
        again = await replicas[2].client.tasks.steer(task_id, "in French", wait_timeout_seconds=60, request_id="s-1")
        log = [event async for event in replicas[1].client.tasks.watch(task_id)]
    assert applied.outcome is again.outcome is SteerOutcome.APPLIED
    assert applied.steer_id == again.steer_id
    assert heard[-1] == ["go", "in French"]
    assert [event.message for event in log if isinstance(event, Steered)] == ["in French"]
