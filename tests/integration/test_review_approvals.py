"""Approvals that come often, late, or beside other work: the run goes on as it would have."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from pydantic_ai import Agent, ApprovalRequired, RunContext, Tool
from pydantic_ai.messages import ModelMessage
from tests.support.clocks import DrivenClock
from tests.support.counting_store import CountingStore
from tests.support.followers import GUARD_SECONDS
from tests.support.gated_model import Gate
from tests.support.payments import PAY_THREE, Till, asked_of, report, result_of
from tests.support.stage import Stage, at, do, task, wait
from tests.support.turns import Said, taking

from musterd import Musterd, Parallel, Review, Step, StepInput, Steps, Workflow
from musterd.domain.full_store import FullStore
from musterd.domain.ports import Lost
from musterd.store.sqlite import SqliteStore
from musterd.subagents import SubAgentConfig
from musterd.testing import serve
from musterd_client import MusterdClient, Resolution, ToolCallCompleted

AT_ONCE: dict[str, Any] = {"approval_park_seconds": 0}
LOOKS = 50


async def test_a_run_may_wait_for_people_more_often_than_servers_may_stop_under_it(tmp_path: Path) -> None:
    """N2: to wait for them without a process is no failed attempt."""
    till = Till()
    tools = [Tool(till.pay, requires_approval=True)]
    payer = Agent(taking(PAY_THREE, PAY_THREE, report), name="payer", tools=tools)
    app, runtime = Musterd(agents=[payer]), {"max_attempts": 1}
    async with serve(app, folder=tmp_path, runtime=runtime) as client, client.run_agent("payer", "go") as run:
        await asked_of(run)
    async with serve(app, folder=tmp_path, runtime=runtime) as client:
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        await client.tasks.wait([run.task.task_id])
    async with serve(app, folder=tmp_path, runtime=runtime) as client:
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        await client.tasks.wait([run.task.task_id])
        ended = await client.tasks.status(run.task.task_id)
    assert (ended.error, ended.attempt, till.paid) == (None, 3, [3, 3])
    assert ended.output is not None
    assert ended.output.text == "paid 3; paid 3"


async def test_a_run_that_cannot_be_given_up_yet_does_not_ask_the_store_all_the_time(tmp_path: Path) -> None:
    """N2, R9: another branch of it goes on."""
    gate = Gate()

    async def work(given: StepInput) -> str:
        await gate.wait()
        return "worked"

    steps = Parallel(Step("work", work), Step("print", lambda _: "printed", review=Review(when="before")))
    store = CountingStore(SqliteStore(tmp_path / "musterd.db"))
    app = Musterd(workflows=[Workflow("w", [steps])])
    async with (
        serve(app, store=cast("FullStore", store), runtime=AT_ONCE) as client,
        client.run_workflow("w", "go") as run,
    ):
        await asked_of(run)
        await gate.reached.wait()
        before = store.calls["get_approvals"]
        for _ in range(LOOKS):
            await client.tasks.status(run.task.task_id)
        asked_store = store.calls["get_approvals"] - before
        gate.open()
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        await run.result()
    assert asked_store < LOOKS / 5


async def test_a_branch_beside_one_that_waits_goes_on_after_a_restart(tmp_path: Path) -> None:
    """N2, W1: the workflow is given up for its approval alone, and this is not all that it waits for."""
    gates = [Gate(), Gate()]

    def flow(gate: Gate) -> Workflow:
        async def work(given: StepInput) -> str:
            await gate.wait()
            return "worked"

        work_step = Step("work", work, repeatable=True)
        return Workflow("w", [Parallel(work_step, Step("print", lambda _: "printed", review=Review(when="before")))])

    async with (
        serve(Musterd(workflows=[flow(gates[0])]), folder=tmp_path) as client,
        client.run_workflow("w", "go") as run,
    ):
        await asked_of(run)
        await gates[0].reached.wait()
    async with serve(Musterd(workflows=[flow(gates[1])]), folder=tmp_path) as client:
        async with asyncio.timeout(GUARD_SECONDS):
            await gates[1].reached.wait()
        gates[1].open()
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        text = await result_of(client, run.task.task_id)
    assert "worked" in text
    assert "printed" in text


async def test_arguments_that_did_not_fit_do_not_fit_after_a_restart(tmp_path: Path) -> None:
    """N2, R3: the tool had asked by itself, and the model was told that the approver's arguments are wrong."""
    till = Till()

    async def pay(ctx: RunContext, amount: int) -> str:
        if not ctx.tool_call_approved:
            raise ApprovalRequired
        return await till.pay(amount)

    def payer() -> Agent[Any, str]:
        return Agent(taking(PAY_THREE, PAY_THREE, report), name="payer", tools=[pay])

    async with (
        serve(Musterd(agents=[payer()]), folder=tmp_path) as client,
        client.run_agent("payer", "go") as run,
    ):
        (first,) = await asked_of(run)
        await client.tasks.resolve(run.task.task_id, [Resolution.approve(first.approval_id, arguments={"amount": "x"})])
        (second,) = await asked_of(run)
    async with serve(Musterd(agents=[payer()]), folder=tmp_path) as client:
        await client.tasks.resolve(run.task.task_id, [Resolution.approve(second.approval_id)])
        text = await result_of(client, run.task.task_id)
    assert "should be a valid integer" in text
    assert text.endswith("; paid 3")
    assert till.paid == [3]


async def test_time_without_a_process_is_not_given_twice_to_a_run_that_has_a_fresh_identity(tmp_path: Path) -> None:
    """N2, I7, R10: its time began again when its owner decided, and what was before that is no gain."""
    clock, till, gates = DrivenClock(), Till(), [Gate(), Gate(), Gate()]

    @asynccontextmanager
    async def life(number: int) -> AsyncGenerator[MusterdClient]:
        async def stop(messages: list[ModelMessage]) -> Said:
            await gates[number].wait()
            return report(messages)

        tools = [Tool(till.pay, requires_approval=True)]
        app = Musterd(agents=[Agent(taking(PAY_THREE, stop), name="payer", tools=tools)])
        store = SqliteStore(tmp_path / "musterd.db", clock.now)
        async with serve(app, folder=tmp_path, store=store, clock=clock) as client:
            yield client

    async with life(0) as client, client.run_agent("payer", "go", run_timeout_seconds=60) as run:
        await asked_of(run)
    clock.advance(3_600)
    async with life(1) as client:
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        await gates[1].reached.wait()
    clock.advance(60)
    gates[2].open()
    async with life(2) as client:
        await client.tasks.wait([run.task.task_id])
        ended = await client.tasks.status(run.task.task_id)
    assert ended.error is not None
    assert ended.error.reason == "RUN_TIMEOUT"


async def test_a_server_that_stops_does_not_wait_for_people(tmp_path: Path) -> None:
    """N2: it has an hour for what runs, and a run that waits for an approval alone is given up at once."""
    till = Till()
    app, server = Musterd(agents=[till.payer()]), {"shutdown_grace_seconds": 3_600}
    async with asyncio.timeout(GUARD_SECONDS):
        async with serve(app, folder=tmp_path, server=server) as client, client.run_agent("payer", "go") as run:
            await asked_of(run)
    async with serve(app, folder=tmp_path) as client:
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        text = await result_of(client, run.task.task_id)
    assert (text, till.paid) == ("paid 3", [3])


async def test_a_child_that_waits_for_an_approval_has_no_question_for_its_parent() -> None:
    """N2, S7: there is nothing that the parent could answer."""
    till, stage = Till(), Stage()
    worker = SubAgentConfig(name="worker", description="pays", instructions="pay", agent=till.payer(name="worker"))
    plan = do(task("one"), at("asked"), ("check_task", {"task_id": "@0"}), wait("@0"), "done")
    app = Musterd(agents=[stage.agent(stage.delegating(worker))])
    async with serve(app) as client, client.run_agent("boss", plan) as run:
        await asked_of(run)
        stage.gates["asked"].open()
        checked = ""
        async for event in run:
            if isinstance(event, ToolCallCompleted) and event.tool_name == "check_task":
                checked = event.result_json
                break
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        await run.result()
    assert "running" in checked
    assert "waiting_for_answer" not in checked


class SlowToPark:
    """A real store in which nothing is given up before a gate is open."""

    def __init__(self, store: SqliteStore) -> None:
        self.gate = Gate()
        self._store = store

    async def park(self, task_id: str, attempt: int, **known: Any) -> bool | Lost:
        await self.gate.wait()
        return await self._store.park(task_id, attempt, **known)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def test_a_branch_that_is_decided_while_its_run_is_given_up_does_not_begin(tmp_path: Path) -> None:
    """N2, W1, R3: what began then would be cut off, and the run be lost with it."""
    begun: list[str] = []
    gate, earlier = Gate(), Gate()

    async def come_later(given: StepInput) -> str:
        await earlier.wait()
        return "later"

    def work(name: str) -> Step:
        async def do_it(given: StepInput) -> str:
            begun.append(name)
            await gate.wait()
            return name

        return Step(name, do_it, review=Review(when="before"))

    store = SlowToPark(SqliteStore(tmp_path / "musterd.db"))
    later = Steps([Step("later", come_later), work("two")], name="second")
    app = Musterd(workflows=[Workflow("w", [Parallel(work("one"), later)])])
    async with (
        serve(app, store=cast("FullStore", store), runtime=AT_ONCE) as client,
        client.run_workflow("w", "go") as run,
    ):
        (first,) = await asked_of(run)
        earlier.open()
        (second,) = await asked_of(run)
        await store.gate.reached.wait()
        await client.tasks.resolve(run.task.task_id, [Resolution.approve(first.approval_id)])
        for _ in range(LOOKS):
            await client.tasks.status(run.task.task_id)
        store.gate.open()
        await client.tasks.resolve(run.task.task_id, [Resolution.approve(second.approval_id)])
        gate.open()
        await client.tasks.wait([run.task.task_id])
        ended = await client.tasks.status(run.task.task_id)
    assert ended.error is None
    assert sorted(begun) == ["one", "two"]
