"""A server that goes down: whoever has a call under way is told so, wherever the call is, and may make it again."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from pydantic_ai import Agent
from tests.support.gated_model import Gate, saying, stopping
from tests.support.stopping_store import StoppingStore
from tests.support.wire import METHODS, Answer, Wire, wire_to

from musterd import AgentFactory, Musterd, RequestContext
from musterd.app import Service
from musterd.domain.full_store import FullStore
from musterd.store.sqlite import SqliteStore
from musterd.testing import serve
from musterd.testing.serving import serve_settings
from musterd_client.v1.run_pb2 import OnDisconnect
from musterd_client.v1.task_pb2 import TaskState


def run_of(**change: Any) -> dict[str, Any]:
    """Return a call of RunAgent."""
    return {"agent_id": "slow", "message": "hi", "request_id": "r-1", **change}


@dataclass
class World:
    """A folder for lives of a server; of the first, the gates and what its store has done."""

    folder: Path
    factory: Gate = field(default_factory=Gate)
    model: Gate = field(default_factory=Gate)
    store: Gate = field(default_factory=Gate)
    done: Mapping[str, asyncio.Event] = field(default_factory=dict[str, asyncio.Event])

    @asynccontextmanager
    async def first_life(self, operation: str = "", *, after: bool = False) -> AsyncGenerator[tuple[Service, Wire]]:
        """Serve until told to stop, with a store that stops at an operation."""

        async def build(context: RequestContext) -> Agent[RequestContext, str]:
            await self.factory.wait()
            return Agent(saying("built"), deps_type=RequestContext)

        agents = [Agent(stopping(self.model, before=("so ",)), name="slow"), AgentFactory("built", build)]
        real = SqliteStore(self.folder / "musterd.db")
        stopping_store = StoppingStore(real, operation, self.store, after=after)
        self.done = stopping_store.done
        settings = serve_settings(self.folder)
        service = Service(Musterd(agents=agents), settings, store=cast("FullStore", stopping_store))
        await service.start()
        async with wire_to(f"unix:{settings.server.unix_socket}") as wire:
            yield service, wire

    async def second_life(self, **fields: Any) -> Any:
        """Make the same call of a server that has no gates, and return the task that it ends with."""
        agents = [Agent(saying("done"), name=name) for name in ("slow", "built")]
        async with serve(Musterd(agents=agents), folder=self.folder) as client, wire_to(client.target) as wire:
            started = await wire.call("RunAgent", **run_of(**fields))
            await wire.call("WaitTasks", task_ids=[started.task.task_id])
            tasks = (await wire.call("ListTasks")).tasks
        assert [task.task_id for task in tasks] == [started.task.task_id]
        return tasks[0]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def check_sent_off(answer: Answer) -> None:
    """Fail unless a call was answered as a server does that goes down."""
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
    assert "RetryInfo" in answer.kinds


async def test_a_call_whose_factory_works_is_sent_off(world: World) -> None:
    """R8: there is no task, and the same call starts one."""
    async with world.first_life() as (service, wire):
        call = asyncio.create_task(wire.ask("RunAgent", **run_of(agent_id="built")))
        await world.factory.reached.wait()
        await service.stop()
        answer = await call
    check_sent_off(answer)
    assert not answer.responses
    assert (await world.second_life(agent_id="built")).state == TaskState.TASK_STATE_COMPLETED


async def test_a_call_that_waits_for_admission_is_sent_off(world: World) -> None:
    """R8: who of the queue goes first is being found out all the while."""
    async with world.first_life("claim") as (service, wire):
        call = asyncio.create_task(wire.ask("RunAgent", **run_of()))
        await world.store.reached.wait()
        await world.done["find_request"].wait()
        await service.stop()
        answer = await call
    check_sent_off(answer)
    assert not answer.responses
    assert (await world.second_life()).attempt == 1


@pytest.mark.parametrize("operation", ["find_request", "create_task"])
async def test_a_call_that_waits_for_the_store_and_has_no_task_yet_is_sent_off(world: World, operation: str) -> None:
    """R8: the same call starts one."""
    async with world.first_life(operation) as (service, wire):
        call = asyncio.create_task(wire.ask("RunAgent", **run_of()))
        await world.store.reached.wait()
        await service.stop()
        answer = await call
    check_sent_off(answer)
    assert not answer.responses
    assert (await world.second_life()).attempt == 1


async def test_a_call_that_is_stored_and_not_answered_yet_is_sent_off(world: World) -> None:
    """R8: the same call gets the task that it made."""
    async with world.first_life("create_task", after=True) as (service, wire):
        call = asyncio.create_task(wire.ask("RunAgent", **run_of()))
        await world.store.reached.wait()
        await service.stop()
        answer = await call
    check_sent_off(answer)
    assert not answer.responses
    task = await world.second_life()
    assert (task.state, task.output.text) == (TaskState.TASK_STATE_COMPLETED, "done")


@pytest.mark.parametrize("on_disconnect", OnDisconnect.values())
async def test_a_stream_is_sent_off_in_its_middle_and_its_run_goes_on(world: World, on_disconnect: int) -> None:
    """R3: also when the run is to be canceled with its stream, for it is not the client that dropped it."""
    run = run_of(on_disconnect=on_disconnect)
    async with world.first_life() as (service, wire):
        call = asyncio.create_task(wire.ask("RunAgent", **run))
        await world.model.reached.wait()
        await service.stop()
        answer = await call
    check_sent_off(answer)
    first = METHODS["RunAgent"].response.FromString(answer.responses[0])
    assert first.task.state == TaskState.TASK_STATE_WORKING
    assert int(answer.info.metadata["last_sequence"]) >= 1
    task = await world.second_life(on_disconnect=on_disconnect)
    assert (task.task_id, task.state) == (first.task.task_id, TaskState.TASK_STATE_COMPLETED)


async def test_a_replay_that_waits_for_the_store_is_sent_off_and_its_run_goes_on(world: World) -> None:
    """R3: a second call with the same request_id reads what is stored first."""
    run = run_of(on_disconnect=OnDisconnect.ON_DISCONNECT_CANCEL)
    async with world.first_life("read_events") as (service, wire):
        first = asyncio.create_task(wire.ask("RunAgent", **run))
        await world.model.reached.wait()
        second = asyncio.create_task(wire.ask("RunAgent", **run))
        await world.store.reached.wait()
        await service.stop()
        for call in (first, second):
            check_sent_off(await call)
    task = await world.second_life(on_disconnect=OnDisconnect.ON_DISCONNECT_CANCEL)
    assert task.state == TaskState.TASK_STATE_COMPLETED


async def test_a_call_that_waits_is_sent_off(world: World) -> None:
    """R4: for a task, and for the store."""
    async with world.first_life("get_tasks") as (service, wire):
        started = await wire.call("RunAgent", **run_of(background=True))
        task_ids, timeout = [started.task.task_id], Duration(seconds=600)
        call = asyncio.create_task(wire.ask("WaitTasks", task_ids=task_ids, timeout=timeout))
        await world.store.reached.wait()
        await service.stop()
        check_sent_off(await call)


async def test_what_comes_during_the_grace_is_refused_if_it_is_a_run_and_served_if_it_is_not(world: World) -> None:
    """R1, R4."""
    async with world.first_life("release_task") as (service, wire):
        started = await wire.call("RunAgent", **run_of(background=True))
        await world.model.reached.wait()
        stopping = asyncio.create_task(service.stop())
        await world.store.reached.wait()
        refused = await wire.ask("RunAgent", **run_of(request_id="r-2"))
        status = await wire.call("TaskStatus", task_id=started.task.task_id)
        world.store.open()
        await stopping
    check_sent_off(refused)
    assert status.task.state == TaskState.TASK_STATE_WORKING
