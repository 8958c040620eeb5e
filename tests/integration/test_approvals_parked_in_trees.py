"""Approvals that come late, deep in a tree: all that waits for them is given up, and goes on when they are there."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic_ai import Agent
from tests.integration.replicas.served import serving
from tests.support.actors import add_todo, delegate, saying, steps, what_came
from tests.support.followers import GUARD_SECONDS
from tests.support.gated_model import Gate
from tests.support.lot import AT_ONCE, parking
from tests.support.payments import Till, asked_of, result_of
from tests.support.stage import Stage, do, task
from tests.support.trees import log_of

from musterd import Musterd, Parallel, Step, StepInput, Team, Workflow
from musterd.store.postgres.connection import Database, quote
from musterd.subagents import SubAgentConfig
from musterd.testing import serve
from musterd_client import (
    ApprovalRequested,
    MusterdClient,
    Resolution,
    Run,
    TaskCompleted,
    TaskState,
    ToolCallStarted,
)

LOOKS = 50


async def held_in(database: Database) -> int:
    """Return how many tasks some process holds."""
    connection = await asyncpg.connect(database.dsn, server_settings={"search_path": quote(database.schema)})
    try:
        return await connection.fetchval("SELECT count(*) FROM task WHERE owner IS NOT NULL")
    finally:
        await connection.close()


def coordinating(payer: Agent[Any, str]) -> Team:
    return Team("desk", [payer], model=steps([delegate("payer", "pay it")], what_came).model)


def broadcasting(payer: Agent[Any, str]) -> Team:
    return Team("desk", [payer, saying("nothing").member("idle")], mode="broadcast", model=saying("all done").model)


def sharing_a_list(payer: Agent[Any, str]) -> Team:
    leader = steps([add_todo("pay it")], "planned", "all done")
    return Team("desk", [payer], mode="tasks", model=leader.model)


def nested(payer: Agent[Any, str]) -> Team:
    inner = coordinating(payer)
    return Team("house", [inner], model=steps([delegate("desk", "pay it")], what_came).model)


async def check_once(client: MusterdClient, run: Run) -> None:
    """Check that a run asked and paid once, and ended once."""
    log = await log_of(client, run.task.task_id)
    assert sum(isinstance(event, ApprovalRequested) for event in log) == 1
    assert sum(isinstance(event, ToolCallStarted) and event.tool_name == "pay" for event in log) == 1
    ends = [event for event in log if isinstance(event, TaskCompleted) and event.task_id == run.task.task_id]
    assert len(ends) == 1


@pytest.mark.parametrize("make", [coordinating, broadcasting, sharing_a_list, nested])
async def test_a_team_is_given_up_with_its_member(tmp_path: Path, make: Any) -> None:
    """N2, T1: in each mode; it takes nothing of the server, and its time stands still."""
    till = Till()
    team = make(till.payer())
    async with parking(tmp_path, Musterd(teams=[team])) as (client, lot):
        async with client.run_team(team.name, "go") as run:
            (asked,) = await asked_of(run)
        await lot.holds(run.task.task_id)
        waiting = await client.tasks.status(run.task.task_id)
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        text = await result_of(client, run.task.task_id)
        ended = await client.tasks.status(run.task.task_id)
        await check_once(client, run)
    assert (waiting.state, waiting.approvals) == (TaskState.WORKING, (asked,))
    assert text in ("paid 3", "all done")
    assert (till.paid, ended.attempt) == ([3], 2)


async def test_a_run_is_given_up_with_its_subagents(tmp_path: Path) -> None:
    """N2, S3: with the last of them, and again when one of them is decided."""
    till, stage = Till(), Stage()
    worker = SubAgentConfig(name="worker", description="pays", instructions="pay", agent=till.payer(name="worker"))
    plan = do([task("one", mode="sync"), task("two", mode="sync")], "done")
    app = Musterd(agents=[stage.agent(stage.delegating(worker))])
    async with parking(tmp_path, app) as (client, lot):
        async with client.run_agent("boss", plan) as run:
            first, second = await asked_of(run, times=2)
        await lot.holds(run.task.task_id)
        await client.tasks.resolve(run.task.task_id, [Resolution.approve(first.approval_id)])
        await client.tasks.wait([first.task_id])
        await lot.holds(run.task.task_id)
        await client.tasks.resolve(run.task.task_id, [Resolution.approve(second.approval_id)])
        text = await result_of(client, run.task.task_id)
        ended = await client.tasks.status(run.task.task_id)
    assert (text, till.paid, ended.attempt) == ("done", [3, 3], 3)


async def test_a_run_that_works_beside_its_subagent_is_not_given_up(tmp_path: Path) -> None:
    """N2 (refusal): a tool of it is at work."""
    till, stage, gate = Till(), Stage(), Gate()
    begun: list[str] = []

    async def work() -> str:
        begun.append("work")
        await gate.wait()
        return "worked"

    worker = SubAgentConfig(name="worker", description="pays", instructions="pay", agent=till.payer(name="worker"))
    boss = stage.agent(stage.delegating(worker), tools=[work])
    plan = do([task("one", mode="sync"), ("work", {})], "done")
    async with parking(tmp_path, Musterd(agents=[boss])) as (client, lot):
        async with client.run_agent("boss", plan) as run:
            (asked,) = await asked_of(run)
        await gate.reached.wait()
        await lot.holds(asked.task_id)
        for _ in range(LOOKS):
            await client.tasks.status(run.task.task_id)
        gate.open()
        await lot.holds(run.task.task_id)
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        text = await result_of(client, run.task.task_id)
    assert (text, till.paid, begun) == ("done", [3], ["work"])


async def test_a_workflow_is_given_up_with_its_steps(tmp_path: Path) -> None:
    """N2, W1: those beside it have ended, and are not done again."""
    till, done = Till(), list[str]()

    async def print_it(given: StepInput) -> str:
        done.append("printed")
        return "printed"

    flow = Workflow("w", [Parallel(till.payer(), Step("print", print_it)), Step("last", lambda _: "sent")])
    async with parking(tmp_path, Musterd(workflows=[flow])) as (client, lot):
        async with client.run_workflow("w", "go") as run:
            await asked_of(run)
        await lot.holds(run.task.task_id)
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        text = await result_of(client, run.task.task_id)
        await check_once(client, run)
    assert (text, till.paid, done) == ("sent", [3], ["printed"])


async def test_a_tree_that_is_given_up_can_be_canceled(tmp_path: Path) -> None:
    """R5, N2: those below end first."""
    till = Till()
    async with parking(tmp_path, Musterd(teams=[coordinating(till.payer())])) as (client, lot):
        async with client.run_team("desk", "go") as run:
            (asked,) = await asked_of(run)
        await lot.holds(run.task.task_id)
        await client.tasks.cancel(run.task.task_id)
        await client.tasks.wait([run.task.task_id])
        log = await log_of(client, run.task.task_id)
    ends = [event.task_id for event in log if event.kind == "task_canceled"]
    assert ends == [asked.task_id, run.task.task_id]
    assert till.paid == []


async def test_a_member_that_is_canceled_frees_its_team(tmp_path: Path) -> None:
    """R5, N2: the leader reads of it."""
    till = Till()
    async with parking(tmp_path, Musterd(teams=[coordinating(till.payer())])) as (client, lot):
        async with client.run_team("desk", "go") as run:
            (asked,) = await asked_of(run)
        await lot.holds(run.task.task_id)
        await client.tasks.cancel(asked.task_id)
        text = await result_of(client, run.task.task_id)
    assert "canceled" in text
    assert till.paid == []


async def test_a_server_that_stops_gives_whole_trees_up(tmp_path: Path) -> None:
    """N2, R3: it has an hour for what runs, and nothing runs; another process takes the decision."""
    before, after = Till(), Till()
    server = {"shutdown_grace_seconds": 3_600}
    async with asyncio.timeout(GUARD_SECONDS):
        app = Musterd(teams=[nested(before.payer())])
        async with serve(app, folder=tmp_path, server=server) as client, client.run_team("house", "go") as run:
            await asked_of(run)
        app = Musterd(teams=[nested(after.payer())])
        async with serve(app, folder=tmp_path) as client:
            await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
            text = await result_of(client, run.task.task_id)
            ended = await client.tasks.status(run.task.task_id)
            await check_once(client, run)
    assert (text, before.paid, after.paid, ended.attempt) == ("paid 3", [], [3], 2)


async def test_any_server_takes_the_decision_for_a_tree(postgres_database: Database) -> None:
    """N2: wherever it was, and though all of it is given up."""
    till = Till()
    app = Musterd(teams=[nested(till.payer())])
    async with serving(postgres_database, app, runtime=AT_ONCE) as replicas:
        here, there, elsewhere = replicas.clients
        async with here.run_team("house", "go") as run:
            await asked_of(run)
        async with asyncio.timeout(GUARD_SECONDS):
            while await held_in(postgres_database):
                await here.tasks.status(run.task.task_id)
        await there.tasks.resolve(run.task.task_id, [Resolution.approve()])
        text = await result_of(elsewhere, run.task.task_id)
        await check_once(there, run)
    assert (text, till.paid) == ("paid 3", [3])
