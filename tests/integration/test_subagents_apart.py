"""Who sees which delegated tasks and which agents: tenants, users, sessions and runs are kept apart."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.toolsets import AbstractToolset
from tests.support.stage import Call, Stage, ask, at, do, pause, task, wait
from tests.support.tokens import AUTH, token
from tests.support.trees import log_of, only_child_of

from musterd import Musterd
from musterd.subagents import DynamicAgentRegistry, create_agent_factory_toolset, create_subagent_toolset
from musterd.testing import serve
from musterd_client import MusterdClient, QuestionAsked, SubtaskStarted, Task, TaskState

LIST: Call = ("list_active_tasks", {})


def making_agents(stage: Stage, **options: Any) -> list[AbstractToolset[Any]]:
    """Return toolsets as a module would have them: one registry for all runs."""
    registry = DynamicAgentRegistry()
    return [
        create_subagent_toolset(registry=registry, include_general_purpose=False),
        create_agent_factory_toolset(registry, **options),
    ]


def create(name: str, instructions: str = "work") -> Call:
    return "create_agent", {"name": name, "description": f"{instructions}!", "instructions": instructions}


@asynccontextmanager
async def serving(app: Musterd) -> AsyncGenerator[dict[str, MusterdClient]]:
    """Serve with clients of two tenants, and of another user of the first."""
    tokens = {"ada": token("ada"), "bob": token("bob"), "foreign ada": token("ada", tenant="other")}
    async with (
        serve(app, auth=AUTH, token=tokens["ada"]) as client,
        MusterdClient(client.target, token=tokens["bob"]) as bob,
        MusterdClient(client.target, token=tokens["foreign ada"]) as foreign,
    ):
        yield {"ada": client, "bob": bob, "foreign ada": foreign}


async def test_agents_of_the_same_name_made_by_two_tenants_at_a_time_are_two() -> None:
    """S11: each sees, uses and removes its own."""
    stage = Stage()

    def plan(who: str) -> str:
        return do(
            create("helper", f"serve {who}"),
            at(who),
            [("list_agents", {}), ("get_agent_info", {"name": "helper"}), create("helper")],
            task(do(f"helped {who}"), "sync", "helper"),
            ("remove_agent", {"name": "helper"}),
            at(f"{who} again"),
            [("list_agents", {}), task(do("never said"), "sync", "helper")],
        )

    async with serving(stage.app(*making_agents(stage))) as clients:
        runs = {
            who: asyncio.ensure_future(client.run_agent("boss", plan(who)).result()) for who, client in clients.items()
        }
        for moment in ("", " again"):
            for who in clients:
                await stage.gates[f"{who}{moment}"].reached.wait()
            for who in clients:
                stage.gates[f"{who}{moment}"].open()
        results = {who: (await run).text.split("\n---\n") for who, run in runs.items()}
    for who, (created, listed, info, again, helped, removed, nobody, unknown) in results.items():
        assert created.startswith("Agent 'helper' created successfully.")
        assert listed.startswith("Dynamic Agents (1):\n- helper ")
        assert f"serve {who}" in listed
        assert info.endswith(f"Instructions: serve {who}")
        assert again == "Error: Agent 'helper' already exists"
        assert helped == f"helped {who}"
        assert removed == "Agent 'helper' has been removed."
        assert nobody == "No dynamically created agents."
        assert unknown == "Error: Unknown subagent 'helper'. Available: none"


async def test_two_runs_of_one_user_do_not_share_the_agents_they_made() -> None:
    """S11: nor does a later run find what an earlier one left; the limit is for each."""
    stage = Stage()
    plan = do(create("helper"), create("other"), ("list_agents", {}))
    async with serve(stage.app(*making_agents(stage, max_agents=1))) as client:
        for _ in range(2):
            made, refused, listed = (await client.run_agent("boss", plan).result()).text.split("\n---\n")
            assert made.startswith("Agent 'helper' created")
            assert refused.startswith("Error: Maximum number of agents (1) reached")
            assert listed.startswith("Dynamic Agents (1):\n- helper ")


async def test_what_a_created_agent_is_told_reaches_its_model() -> None:
    """S10: it is instructed as its maker wished."""
    stage = Stage()
    work = do("helped")
    plan = do(create("helper", "Rhyme always."), task(work, "sync", "helper"))
    async with serve(stage.app(*making_agents(stage))) as client:
        assert (await client.run_agent("boss", plan).result()).text.endswith("helped")
    assert "Rhyme always." in str(stage.conversation(work))


class Left:
    """A task in the background that an ended run left: it asks, pauses, and ends."""

    work = do(ask("which?"), pause("steer"), "did it")

    def __init__(self, stage: Stage, run: Task, child: Task) -> None:
        self.stage = stage
        self.run = run
        self.task_id = child.task_id


async def leave_a_task(stage: Stage, client: MusterdClient, session_id: str) -> Left:
    async with client.run_agent("boss", do(task(Left.work), "done"), session_id=session_id) as run:
        result = await run.result()
    async with client.tasks.watch((await only_child_of(client, result.task.task_id)).task_id) as watch:
        async for event in watch:
            if isinstance(event, QuestionAsked):
                break
    child = await only_child_of(client, result.task.task_id)
    assert (result.text, child.state) == ("done", TaskState.INPUT_REQUIRED)
    assert child.outlives_parent
    return Left(stage, result.task, child)


def lasting(stage: Stage) -> Musterd:
    return stage.app(stage.delegating(background_outlives_run=True))


async def test_a_later_run_of_the_session_goes_on_with_what_an_earlier_one_left() -> None:
    """S13: it lists, answers, steers and waits for the task, and reads its result."""
    stage = Stage()
    async with serve(lasting(stage)) as client:
        left = await leave_a_task(stage, client, "s-1")
        by_id = {"task_id": left.task_id}
        plan = do(
            LIST,
            ("answer_subagent", {**by_id, "answer": "the left one"}),
            at("next"),
            ("send_message_to_subagent", {**by_id, "message": "and be quick"}),
            at("last"),
            wait(left.task_id),
            ("check_task", by_id),
            LIST,
        )
        async with client.run_agent("boss", plan, session_id="s-1") as run:
            await stage.gates["steer"].reached.wait()
            stage.gates["next"].open()
            await stage.gates["last"].reached.wait()
            stage.gates["steer"].open()
            stage.gates["last"].open()
            listed, answered, sent, waited, checked, at_last = (await run.result()).text.split("\n---\n")
        log = await log_of(client, left.run.task_id)
    assert listed == f"Active background tasks:\n- {left.task_id}: worker (waiting_for_answer) - {Left.work}"
    assert answered == f"Answer sent to task '{left.task_id}'"
    assert sent.startswith(f"Message delivered to task '{left.task_id}'")
    assert waited.endswith("COMPLETED\ndid it")
    assert "Result: did it" in checked
    assert at_last == "No active background tasks."
    assert "and be quick" in str(stage.conversation(Left.work))
    assert log[-1].task_id == left.task_id


@pytest.mark.parametrize(("who", "session_id"), [("ada", "s-2"), ("ada", ""), ("bob", "s-1"), ("foreign ada", "s-1")])
async def test_others_do_not_see_what_a_session_left(who: str, session_id: str) -> None:
    """S13, I5 (refusal): neither another session of the user, nor anybody's session of the same name."""
    stage = Stage()
    async with serving(lasting(stage)) as clients:
        left = await leave_a_task(stage, clients["ada"], "s-1")
        by_id = {"task_id": left.task_id}
        calls: list[Call] = [
            LIST,
            ("check_task", by_id),
            ("answer_subagent", {**by_id, "answer": "x"}),
            ("send_message_to_subagent", {**by_id, "message": "x"}),
            ("soft_cancel_task", by_id),
            ("hard_cancel_task", by_id),
        ]
        result = await clients[who].run_agent("boss", do(calls, wait(left.task_id)), session_id=session_id).result()
        listed, *refused, waited = result.text.split("\n---\n")
        child = await clients["ada"].tasks.status(left.task_id)
    assert listed == "No active background tasks."
    assert refused == [f"Error: Task '{left.task_id}' not found"] * 5
    assert waited.endswith(f"- {left.task_id}: not found")
    assert child.state is TaskState.INPUT_REQUIRED


async def test_another_agent_s_session_of_the_same_name_has_not_left_it() -> None:
    """S13, N1 (refusal): a session is with one component."""
    stage = Stage()
    toolset = stage.delegating(background_outlives_run=True)
    app = Musterd(agents=[stage.agent(toolset), stage.agent(toolset, name="clerk")])
    async with serve(app) as client:
        left = await leave_a_task(stage, client, "s-1")
        plan = do([LIST, ("check_task", {"task_id": left.task_id}), ("hard_cancel_task", {"task_id": left.task_id})])
        listed, *refused = (await client.run_agent("clerk", plan, session_id="s-1").result()).text.split("\n---\n")
        child = await client.tasks.status(left.task_id)
    assert listed == "No active background tasks."
    assert refused == [f"Error: Task '{left.task_id}' not found"] * 2
    assert child.state is TaskState.INPUT_REQUIRED


async def test_a_run_does_not_see_the_tasks_of_another_run_of_its_session() -> None:
    """S13: those that end with their run are its own affair, whichever agent has a session of the same name."""
    stage = Stage()
    async with serve(Musterd(agents=[stage.agent(), stage.agent(name="clerk")])) as client:
        first = do(task(do(at("work"), "worked")), at("boss"), wait("@0"))
        async with client.run_agent("boss", first, session_id="s-1") as run:
            await stage.gates["work"].reached.wait()
            child = await only_child_of(client, run.task.task_id)
            other = do([LIST, ("check_task", {"task_id": child.task_id})])
            listed, checked = (await client.run_agent("clerk", other, session_id="s-1").result()).text.split("\n---\n")
            stage.gates["work"].open()
            stage.gates["boss"].open()
            assert (await run.result()).text.endswith("worked")
    assert listed == "No active background tasks."
    assert checked == f"Error: Task '{child.task_id}' not found"


async def test_what_outlives_its_run_survives_the_server_too(tmp_path: Path) -> None:
    """S13, R3: with its question, which is answered in the next life."""
    stage = Stage()
    async with serve(lasting(stage), folder=tmp_path) as client:
        left = await leave_a_task(stage, client, "s-1")
    stage.gates["steer"].open()
    async with serve(lasting(stage), folder=tmp_path) as client:
        await client.tasks.wait([left.task_id])
        await client.tasks.answer(left.task_id, "the left one")
        ended = (await client.tasks.wait([left.task_id])).tasks[0]
        log = await log_of(client, left.run.task_id)
    assert ended.state is TaskState.COMPLETED
    assert ended.output is not None
    assert ended.output.text == "did it"
    assert sum(isinstance(event, QuestionAsked) for event in log) == 1
    assert sum(isinstance(event, SubtaskStarted) for event in log) == 1
