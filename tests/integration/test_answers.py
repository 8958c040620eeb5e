"""Questions and answers over gRPC: who asks is seen, and AnswerTask answers once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from pydantic_ai import Agent
from tests.support.gated_model import Gate, stopping
from tests.support.tokens import AUTH, token
from tests.support.wire import METHODS, Answer, Wire, wire_to

from musterd import Musterd
from musterd.domain.ports import Lost
from musterd.store.sqlite import SqliteStore
from musterd.testing import serve
from musterd_client.v1.task_pb2 import Task, TaskState

ADA, BOSS = token("ada"), token("boss", scopes="musterd:admin")
WORKING, INPUT_REQUIRED = TaskState.TASK_STATE_WORKING, TaskState.TASK_STATE_INPUT_REQUIRED


class World:
    """A server with one task that runs and may ask."""

    def __init__(self, wire: Wire, store: SqliteStore, gate: Gate, task_id: str) -> None:
        self.wire = wire
        self.gate = gate
        self.task_id = task_id
        self._store = store

    async def ask(self, *question_ids: str) -> None:
        """Ask in the task's name."""
        for question_id in question_ids:
            asked = await self._store.ask(self.task_id, 1, question_id=question_id, text=f"{question_id}?", seconds=300)
            assert not isinstance(asked, Lost)

    async def status(self) -> Task:
        return (await self.wire.call("TaskStatus", token=ADA, task_id=self.task_id)).task

    async def answer(self, answer: str = "blue", caller: str = ADA, **fields: Any) -> Task:
        """Answer, and return the task."""
        return (await self.wire.call("AnswerTask", token=caller, task_id=self.task_id, answer=answer, **fields)).task

    async def refusal(self, **fields: Any) -> Answer:
        return await self.wire.refusal("AnswerTask", token=ADA, task_id=self.task_id, **fields)

    async def events(self) -> list[Any]:
        """Let the task end, and return its log."""
        self.gate.open()
        watched = await self.wire.ask("WatchTask", token=ADA, task_id=self.task_id)
        messages: list[Any] = [METHODS["WatchTask"].response.FromString(data) for data in watched.responses]
        return [event for message in messages for event in message.events]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    gate, store = Gate(), SqliteStore(tmp_path / "questions.db")
    app = Musterd(agents=[Agent(stopping(gate), name="slow")])
    async with serve(app, auth=AUTH, store=store) as client, wire_to(client.target) as wire:
        started = await wire.call("RunAgent", token=ADA, agent_id="slow", message="hi", background=True)
        await gate.reached.wait()
        yield World(wire, store, gate, started.task.task_id)


async def test_a_task_that_asks_shows_its_questions_and_needs_input(world: World) -> None:
    """R7, S7."""
    await world.ask("q-1", "q-2")
    task = await world.status()
    assert task.state == INPUT_REQUIRED
    assert [(each.question_id, each.text) for each in task.questions] == [("q-1", "q-1?"), ("q-2", "q-2?")]
    assert all((each.expire_time.seconds - each.create_time.seconds) == 300 for each in task.questions)


async def test_a_wait_ends_when_a_task_asks(world: World) -> None:
    """R4, S7: with the task among those that need input."""
    waiting = asyncio.create_task(world.wire.call("WaitTasks", token=ADA, task_ids=[world.task_id]))
    await world.ask("q-1")
    waited = await waiting
    assert (list(waited.input_required_task_ids), waited.timed_out) == ([world.task_id], False)


async def test_the_only_open_question_needs_no_id(world: World) -> None:
    """R7, S7: and the log tells who answered what."""
    await world.ask("q-1")
    task = await world.answer(caller=BOSS)
    assert (task.state, list(task.questions)) == (WORKING, [])
    events = await world.events()
    (asked,) = [event.question_asked for event in events if event.HasField("question_asked")]
    (answered,) = [event.question_answered for event in events if event.HasField("question_answered")]
    assert (asked.question_id, asked.text) == ("q-1", "q-1?")
    assert (answered.question_id, answered.answer, answered.user_id) == ("q-1", "blue", "boss")


async def test_of_several_questions_the_answer_names_its_own(world: World) -> None:
    """S7: the task goes on with the last answer."""
    await world.ask("q-1", "q-2")
    refusal = await world.refusal(answer="blue")
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TASK_NOT_WAITING")
    assert "q-1" in refusal.text
    assert "q-2" in refusal.text
    half = await world.answer(question_id="q-2")
    assert (half.state, [each.question_id for each in half.questions]) == (INPUT_REQUIRED, ["q-1"])
    assert (await world.answer()).state == WORKING


@pytest.mark.parametrize("fields", [{}, {"question_id": "q-1"}, {"answer": " \n"}, {"answer": "", "request_id": "r"}])
async def test_a_question_is_not_answered_with_nothing(world: World, fields: dict[str, Any]) -> None:
    """R7, S7 (refusal): and stays open."""
    await world.ask("q-1")
    refusal = await world.refusal(**fields)
    assert (refusal.code, refusal.paths) == (grpc.StatusCode.INVALID_ARGUMENT, ["answer"])
    assert (await world.status()).state == INPUT_REQUIRED


@pytest.mark.parametrize("fields", [{"answer": "blue"}, {"answer": "blue", "question_id": "q-1"}, {}])
async def test_a_task_that_asks_nothing_takes_no_answer(world: World, fields: dict[str, Any]) -> None:
    """R7 (refusal)."""
    refusal = await world.refusal(**fields)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TASK_NOT_WAITING")
    assert dict(refusal.info.metadata) == {"task_id": world.task_id, "state": "working"}


@pytest.mark.parametrize("question_id", ["", "q-1"])
async def test_a_question_is_answered_once(world: World, question_id: str) -> None:
    """R7, R8: a repeated call gets the same answer, although nothing is open any more."""
    await world.ask("q-1")
    await world.answer(question_id=question_id, request_id="r-1")
    again = await world.answer(question_id=question_id, request_id="r-1")
    assert (again.task_id, again.state) == (world.task_id, WORKING)
    changed = await world.refusal(question_id=question_id, request_id="r-1", answer="green")
    assert changed.reason == "REQUEST_ID_REUSED"
    late = await world.refusal(question_id=question_id, request_id="r-2", answer="green")
    assert late.reason == "TASK_NOT_WAITING"
    answers = [event for event in await world.events() if event.HasField("question_answered")]
    assert [event.question_answered.answer for event in answers] == ["blue"]
