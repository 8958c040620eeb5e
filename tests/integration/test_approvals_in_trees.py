"""Approvals of members, children and nested teams: the root shows them, and whoever has the root decides."""

import asyncio
from pathlib import Path
from typing import Any

from pydantic_ai import Agent, Tool
from pydantic_ai.messages import ModelMessage
from tests.support.actors import delegate, steps, what_came
from tests.support.gated_model import Gate
from tests.support.payments import PAY_THREE, Till, asked_of, report, result_of
from tests.support.stage import Stage, do, task, wait
from tests.support.trees import log_of
from tests.support.turns import Said, taking

from musterd import Musterd, Team
from musterd.subagents import SubAgentConfig
from musterd.testing import serve
from musterd_client import ApprovalRequested, ApprovalResolved, Resolution, TaskState, ToolCallStarted

AT_ONCE: dict[str, Any] = {"approval_park_seconds": 0}


def paying_team(till: Till) -> Team:
    leader = steps([delegate("payer", "pay it")], what_came)
    return Team("desk", [till.payer()], model=leader.model)


async def test_an_approval_of_a_member_is_in_the_roots_stream_and_is_decided_by_the_roots_id() -> None:
    """N2, T1: the member waits, and so the root shows."""
    till = Till()
    async with serve(Musterd(teams=[paying_team(till)])) as client, client.run_team("desk", "go") as run:
        (asked,) = await asked_of(run)
        root = await client.tasks.status(run.task.task_id)
        member = await client.tasks.status(asked.task_id)
        waited = await client.tasks.wait([run.task.task_id])
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        text = (await run.result()).text
    assert member.parent_task_id == run.task.task_id
    assert member.state is TaskState.INPUT_REQUIRED
    assert root.approvals == member.approvals == (asked,)
    assert list(waited.input_required_task_ids) == [run.task.task_id]
    assert (text, till.paid) == ("paid 3", [3])


async def test_an_approval_of_a_member_outlasts_a_restart(tmp_path: Path) -> None:
    """N2: the team attaches to the same turn, and the tool runs once."""
    before, after = Till(), Till()
    async with (
        serve(Musterd(teams=[paying_team(before)]), folder=tmp_path, runtime=AT_ONCE) as client,
        client.run_team("desk", "go") as run,
    ):
        await asked_of(run)
    async with serve(Musterd(teams=[paying_team(after)]), folder=tmp_path, runtime=AT_ONCE) as client:
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        log = await log_of(client, run.task.task_id)
        text = await result_of(client, run.task.task_id)
    assert (text, before.paid, after.paid) == ("paid 3", [], [3])
    assert sum(isinstance(event, ApprovalRequested) for event in log) == 1
    assert sum(isinstance(event, ToolCallStarted) and event.tool_name == "pay" for event in log) == 1


async def test_children_in_the_background_ask_side_by_side() -> None:
    """N2, S3: one call decides about several tasks of the tree."""
    till, stage = Till(), Stage()
    worker = SubAgentConfig(name="worker", description="pays", instructions="pay", agent=till.payer(name="worker"))
    plan = do([task("one"), task("two")], wait("@0", "@1"), "done")
    app = Musterd(agents=[stage.agent(stage.delegating(worker))])
    async with serve(app) as client, client.run_agent("boss", plan) as run:
        first, second = await asked_of(run, times=2)
        root = await client.tasks.resolve(
            run.task.task_id, [Resolution.approve(first.approval_id), Resolution.deny(second.approval_id)]
        )
        await run.result()
        log = await log_of(client, run.task.task_id)
    assert first.task_id != second.task_id
    assert root.approvals == ()
    assert sum(isinstance(event, ApprovalResolved) for event in log) == 2
    assert till.paid == [3]


async def test_what_a_canceled_run_asked_for_can_not_be_given_any_more() -> None:
    """N2 (refusal), R5: its children are canceled with it."""
    till = Till()
    async with serve(Musterd(teams=[paying_team(till)])) as client, client.run_team("desk", "go") as run:
        await asked_of(run)
        await client.tasks.cancel(run.task.task_id)
        await log_of(client, run.task.task_id)
        root = await client.tasks.status(run.task.task_id)
    assert (root.state, root.approvals, till.paid) == (TaskState.CANCELED, (), [])


async def test_a_leader_may_have_to_wait_itself() -> None:
    """N2, T1."""
    till = Till()
    tools = [Tool(till.pay, requires_approval=True)]
    team = Team("desk", [Agent(taking("hello"), name="idle")], model=taking(PAY_THREE, report), tools=tools)
    async with serve(Musterd(teams=[team])) as client, client.run_team("desk", "go") as run:
        (asked,) = await asked_of(run)
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        text = (await run.result()).text
    assert (asked.task_id, text) == (run.task.task_id, "paid 3")


async def test_who_waits_for_a_root_is_told_when_a_member_asks() -> None:
    """R4, N2: whenever the wait began."""
    till, gate = Till(), Gate()

    async def pay_later(messages: list[ModelMessage]) -> Said:
        await gate.wait()
        return PAY_THREE

    payer = Agent(taking(pay_later, report), name="payer", tools=[Tool(till.pay, requires_approval=True)])
    leader = steps([delegate("payer", "pay it")], what_came)
    team = Team("desk", [payer], model=leader.model)
    async with serve(Musterd(teams=[team])) as client, client.run_team("desk", "go") as run:
        waiting = asyncio.ensure_future(client.tasks.wait([run.task.task_id]))
        gate.open()
        waited = await waiting
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        await run.result()
    assert list(waited.input_required_task_ids) == [run.task.task_id]
    assert not waited.timed_out
