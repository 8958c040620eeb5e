"""Request ids: a repeated call counts once, and gets what the first one got."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from pydantic_ai import Agent
from tests.support.gated_model import Gate, saying, stopping
from tests.support.tokens import AUTH, token
from tests.support.wire import METHODS, Answer, Wire, wire_to

from musterd import AgentFactory, Musterd, RequestContext
from musterd.testing import serve
from musterd_client.codec import struct_to
from musterd_client.v1.task_pb2 import Task, TaskState
from musterd_client.v1.task_service_pb2 import CancelOutcome

ADA, BOB = token("ada"), token("bob")
ELSEWHERE = token("ada", tenant="initech")
RUN: dict[str, Any] = {"agent_id": "greeter", "message": "hi", "request_id": "r-1"}


class Factory:
    """Counts how often it is called."""

    def __init__(self) -> None:
        self.calls = 0

    def build(self, context: RequestContext) -> Agent[RequestContext, str]:
        self.calls += 1
        return Agent(saying("built"), deps_type=RequestContext)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def factory() -> Factory:
    return Factory()


@pytest.fixture
async def wire(gate: Gate, factory: Factory) -> AsyncGenerator[Wire]:
    agents = [
        Agent(saying("hello"), name="greeter"),
        Agent(stopping(gate), name="slow"),
        AgentFactory("built", factory.build),
    ]
    async with serve(Musterd(agents=agents), auth=AUTH) as client, wire_to(client.target) as wire:
        yield wire


def with_change(order: dict[str, Any], **change: Any) -> dict[str, Any]:
    return {**order, **change}


async def run(wire: Wire, token: str = ADA, **fields: Any) -> str:
    """Run an agent, and return the id of the task."""
    return (await wire.call("RunAgent", token=token, **with_change(RUN, **fields))).task.task_id


async def slow_task(wire: Wire, gate: Gate) -> str:
    """Start a task that waits in its model request."""
    task_id = await run(wire, agent_id="slow", request_id="", background=True)
    await gate.reached.wait()
    return task_id


async def tasks_of(wire: Wire, token: str = ADA) -> list[Task]:
    return list((await wire.call("ListTasks", token=token)).tasks)


def is_reused(answer: Answer) -> bool:
    is_refused = answer.code is grpc.StatusCode.FAILED_PRECONDITION and answer.reason == "REQUEST_ID_REUSED"
    return is_refused and answer.info.metadata["request_id"] in answer.text


async def test_the_same_call_attaches_to_the_same_task_and_shows_it_all(wire: Wire) -> None:
    """R8: the events too, from the first one on."""
    first = await wire.ask("RunAgent", token=ADA, **RUN)
    again = await wire.ask("RunAgent", token=ADA, **RUN)
    messages = [[METHODS["RunAgent"].response.FromString(data) for data in each.responses] for each in (first, again)]
    events = [[event for message in each for event in message.events] for each in messages]
    assert events[0] == events[1]
    assert [event.sequence for event in events[1]] == list(range(1, len(events[1]) + 1))
    assert messages[1][0].task.state == TaskState.TASK_STATE_COMPLETED
    assert messages[1][0].task.request_id == "r-1"
    assert len(await tasks_of(wire)) == 1


async def test_twenty_calls_at_once_make_one_task(wire: Wire, factory: Factory) -> None:
    """R8."""
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(run(wire, agent_id="built")) for _ in range(20)]
    assert len({call.result() for call in calls}) == 1
    assert len(await tasks_of(wire)) == 1


async def test_a_call_that_attaches_needs_no_factory(wire: Wire, factory: Factory) -> None:
    """R8, C3."""
    assert await run(wire, agent_id="built") == await run(wire, agent_id="built")
    assert factory.calls == 1


async def test_a_call_in_mid_run_attaches_to_what_runs(wire: Wire, gate: Gate) -> None:
    """R8."""
    async with asyncio.TaskGroup() as group:
        first = group.create_task(run(wire, agent_id="slow"))
        await gate.reached.wait()
        again = group.create_task(run(wire, agent_id="slow"))
        gate.open()
    assert first.result() == again.result()


@pytest.mark.parametrize(
    "change",
    [
        {"message": "ho"},
        {"agent_id": "built"},
        {"session_id": "s-1"},
        {"background": True},
        {"priority": 3},
        {"metadata": {"ticket": "7"}},
        {"factory_input": struct_to({"a": 1})},
        {"run_timeout": Duration(seconds=60)},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_the_same_id_with_another_body_is_refused(wire: Wire, change: dict[str, Any]) -> None:
    """R8 (refusal)."""
    await run(wire)
    assert is_reused(await wire.ask("RunAgent", token=ADA, **with_change(RUN, **change)))
    assert len(await tasks_of(wire)) == 1


async def test_labels_in_another_order_are_the_same_body(wire: Wire) -> None:
    """R8."""
    first = await run(wire, metadata={"a": "1", "b": "2", "c": "3"})
    assert await run(wire, metadata={"c": "3", "b": "2", "a": "1"}) == first


async def test_an_id_counts_for_one_user_of_one_tenant(wire: Wire) -> None:
    """R8, I5: the ids of others neither collide with it nor show what they made."""
    ids = {await run(wire), await run(wire, BOB), await run(wire, ELSEWHERE)}
    assert len(ids) == 3
    assert not is_reused(await wire.ask("RunAgent", token=BOB, **with_change(RUN, request_id="r-2", message="ho")))


async def test_an_id_counts_for_one_method(wire: Wire, gate: Gate) -> None:
    """R8."""
    task_id = await slow_task(wire, gate)
    await wire.call(
        "SteerTask", token=ADA, task_id=task_id, message="m", request_id="r-1", wait_timeout=Duration(seconds=0)
    )
    await wire.call("CancelTask", token=ADA, task_id=task_id, mode="CANCEL_MODE_HARD", request_id="r-1")
    assert await run(wire) != task_id


async def test_a_refused_call_leaves_its_id_free(wire: Wire) -> None:
    """R8."""
    assert (
        await wire.refusal("RunAgent", token=ADA, **with_change(RUN, agent_id="grocer"))
    ).reason == "COMPONENT_NOT_FOUND"
    assert await run(wire)


async def test_a_repeated_cancel_tells_what_the_first_one_did(wire: Wire, gate: Gate) -> None:
    """R5, R8: only a call with an id of its own learns that the task had been canceled before."""
    order: dict[str, Any] = {"task_id": await slow_task(wire, gate), "mode": "CANCEL_MODE_HARD", "request_id": "c-1"}
    outcomes = [(await wire.call("CancelTask", token=ADA, **order)).outcome for _ in range(2)]
    assert outcomes == [CancelOutcome.CANCEL_OUTCOME_CANCELED] * 2
    other = await wire.call("CancelTask", token=ADA, **with_change(order, request_id="c-2"))
    assert other.outcome == CancelOutcome.CANCEL_OUTCOME_ALREADY_CANCELED
    assert is_reused(await wire.ask("CancelTask", token=ADA, **with_change(order, reason="another")))


async def test_a_repeated_steer_is_the_same_message(wire: Wire, gate: Gate) -> None:
    """R6, R8."""
    task_id = await slow_task(wire, gate)
    order: dict[str, Any] = {
        "task_id": task_id,
        "message": "m",
        "request_id": "s-1",
        "wait_timeout": Duration(seconds=0),
    }
    ids = {(await wire.call("SteerTask", token=ADA, **order)).steer_id for _ in range(2)}
    assert len(ids) == 1
    assert is_reused(await wire.ask("SteerTask", token=ADA, **with_change(order, message="another")))


async def test_the_id_of_a_message_does_not_tell_others_of_the_task(wire: Wire, gate: Gate) -> None:
    """R8, I5."""
    task_id = await slow_task(wire, gate)
    order: dict[str, Any] = {
        "task_id": task_id,
        "message": "m",
        "request_id": "s-1",
        "wait_timeout": Duration(seconds=0),
    }
    await wire.call("SteerTask", token=ADA, **order)
    assert (await wire.refusal("SteerTask", token=BOB, **order)).reason == "TASK_NOT_FOUND"


async def test_ids_outlive_a_restart(tmp_path: Path) -> None:
    """R8."""
    app = Musterd(agents=[Agent(saying("hello"), name="greeter")])
    ids: set[str] = set()
    for _ in range(2):
        async with serve(app, auth=AUTH, folder=tmp_path) as client, wire_to(client.target) as wire:
            ids.add(await run(wire))
    assert len(ids) == 1
