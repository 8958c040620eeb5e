"""Delegated work in the next life of a server: what waited goes on to wait, and those who wait for it are told."""

import asyncio
from pathlib import Path
from typing import Any

from pydantic_ai import Agent
from tests.support.gated_model import Gate
from tests.support.stage import Stage, ask, at, do, task, wait
from tests.support.trees import log_of, only_child_of

from musterd import AgentFactory, Musterd, RequestContext
from musterd.testing import serve
from musterd_client import MusterdClient, QuestionAsked, TaskState, ToolCallStarted

PLAN = do(task(do(ask("which?"))), wait("@0"), at("boss"), wait("@0"))


def building(stage: Stage, gate: Gate) -> Musterd:
    """Return an app whose agent is built when a gate opens."""

    async def build(_: RequestContext) -> Agent[Any, str]:
        await gate.wait()
        return stage.agent()

    return Musterd(agents=[AgentFactory("boss", build)])


async def asked_in_first_life(folder: Path) -> tuple[str, str]:
    """Return the ids of a run and of its child, which asks something when the server stops."""
    stage = Stage()
    async with serve(stage.app(), folder=folder) as client, client.run_agent("boss", PLAN) as run:
        await stage.gates["boss"].reached.wait()
        child = await only_child_of(client, run.task.task_id)
        assert child.state is TaskState.INPUT_REQUIRED
        return run.task.task_id, child.task_id


async def is_taken_up(client: MusterdClient, task_id: str) -> None:
    """Return once a task runs in its second attempt."""
    async with asyncio.timeout(60):
        while (await client.tasks.status(task_id)).attempt < 2:
            pass


async def test_those_who_wait_are_told_that_a_task_asks_again(tmp_path: Path) -> None:
    """S7, R3, R4: although nothing new is in the log; the question is the same, with the time that it had."""
    root, child = await asked_in_first_life(tmp_path)
    stage, gate = Stage(), Gate()
    async with serve(building(stage, gate), folder=tmp_path) as client:
        await is_taken_up(client, child)
        waiting = asyncio.create_task(client.tasks.wait([child], timeout_seconds=20))
        # By the time this is answered the server has begun to wait.
        assert (await client.tasks.status(child)).state is TaskState.WORKING
        gate.open()
        waited = await waiting
        assert (waited.timed_out, waited.input_required_task_ids) == (False, (child,))
        await client.tasks.answer(child, "left", waited.tasks[0].questions[0].question_id)
        stage.gates["boss"].open()
        async with client.tasks.watch(root) as watch:
            result = await watch.result()
        log = await log_of(client, root)
    assert result.text.endswith("COMPLETED\nleft")
    assert sum(isinstance(event, QuestionAsked) for event in log) == 1
    started = [event for event in log if isinstance(event, ToolCallStarted) and event.tool_name == "ask_parent"]
    assert len(started) == 1


async def test_a_task_takes_its_answer_before_it_has_been_taken_up_again(tmp_path: Path) -> None:
    """S7, R3, R7: it finds the answer when it asks again."""
    root, child = await asked_in_first_life(tmp_path)
    stage, gate = Stage(), Gate()
    stage.gates["boss"].open()
    async with serve(building(stage, gate), folder=tmp_path) as client:
        await gate.reached.wait()
        await client.tasks.answer(child, "left")
        gate.open()
        async with client.tasks.watch(root) as watch:
            result = await watch.result()
    assert result.text.endswith("COMPLETED\nleft")
