"""Approvals that come late: after the run has been given up, after a restart, on another server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from tests.integration.replicas.served import serving
from tests.support.payments import PAY_THREE, Till, asked_of, result_of
from tests.support.trees import log_of

from musterd import AgentFactory, Musterd, RequestContext
from musterd.store.postgres.connection import Database
from musterd.testing import serve
from musterd_client import (
    ApprovalRequested,
    ApprovalResolved,
    MusterdClient,
    Resolution,
    Task,
    TaskCompleted,
    TaskState,
    ToolCallStarted,
)

AT_ONCE: dict[str, Any] = {"approval_park_seconds": 0}


class Budget(BaseModel):
    """The input of a factory that needs one."""

    most: int


async def decided(client: MusterdClient, task_id: str, *resolutions: Resolution) -> tuple[str, list[str]]:
    """Decide, and return what the run ends with and the tools that it called, as the log has them."""
    await client.tasks.resolve(task_id, list(resolutions))
    text = await result_of(client, task_id)
    log = await log_of(client, task_id)
    assert sum(isinstance(event, TaskCompleted) for event in log) == 1
    asked = [event for event in log if isinstance(event, ApprovalRequested)]
    assert len(asked) == sum(isinstance(event, ApprovalResolved) for event in log)
    return text, [event.tool_name for event in log if isinstance(event, ToolCallStarted)]


async def waiting(client: MusterdClient, plan: str = "go", **options: Any) -> Task:
    """Return a run that waits for an approval."""
    async with client.run_agent("payer", plan, **options) as run:
        await asked_of(run)
        return await client.tasks.status(run.task.task_id)


async def test_a_run_that_waits_is_given_up_and_goes_on_when_it_is_decided() -> None:
    """N2: it takes nothing of the server meanwhile; its finished tools do not run again."""
    till, looks = Till(), list[str]()

    async def look() -> str:
        looks.append("look")
        return "seen"

    payer = till.payer([PAY_THREE, ("look", {})], tools=[look])
    async with serve(Musterd(agents=[payer]), runtime=AT_ONCE) as client:
        task = await waiting(client)
        text, tools = await decided(client, task.task_id, Resolution.approve())
        ended = await client.tasks.status(task.task_id)
    assert (text, till.paid, looks) == ("paid 3; seen", [3], ["look"])
    assert sorted(tools) == ["look", "pay"]
    assert ended.attempt == 2


@pytest.mark.parametrize("runtime", [{}, AT_ONCE], ids=["in memory", "given up"])
@pytest.mark.parametrize(
    ("resolution", "text", "paid"),
    [
        (Resolution.approve(), "paid 3", [3]),
        (Resolution.approve(arguments={"amount": 2}), "paid 2", [2]),
        (Resolution.deny(reason="no"), "no", []),
    ],
    ids=["approved", "changed", "denied"],
)
async def test_an_approval_after_a_restart(
    tmp_path: Path, runtime: dict[str, Any], resolution: Resolution, text: str, paid: list[int]
) -> None:
    """N2: by another client of another process."""
    before, after = Till(), Till()
    async with serve(Musterd(agents=[before.payer()]), folder=tmp_path, runtime=runtime) as client:
        task = await waiting(client)
    async with serve(Musterd(agents=[after.payer()]), folder=tmp_path, runtime=runtime) as client:
        again = await client.tasks.status(task.task_id)
        said, tools = await decided(client, task.task_id, resolution)
    assert [each.approval_id for each in again.approvals] == [each.approval_id for each in task.approvals]
    assert (said, before.paid, after.paid) == (text, [], paid)
    assert len(tools) == len(paid)


async def test_decisions_of_one_response_may_lie_on_both_sides_of_a_restart(tmp_path: Path) -> None:
    """N2."""
    till = Till()
    make: Callable[[], Agent[Any, str]] = lambda: till.payer([PAY_THREE, ("pay", {"amount": 4})])  # noqa: E731 - a fresh agent for each server
    async with serve(Musterd(agents=[make()]), folder=tmp_path) as client, client.run_agent("payer", "go") as run:
        first, second = await asked_of(run, times=2)
        await client.tasks.resolve(run.task.task_id, [Resolution.approve(first.approval_id)])
    async with serve(Musterd(agents=[make()]), folder=tmp_path) as client:
        text, _ = await decided(client, run.task.task_id, Resolution.deny(second.approval_id, reason="no"))
    assert (text, till.paid) == ("paid 3; no", [3])


async def test_a_factory_with_an_input_continues_after_a_restart(tmp_path: Path) -> None:
    """N2, C9: it gets the input that the run was started with."""
    till, built = Till(), list[int]()

    def build(context: RequestContext) -> Agent[Any, str]:
        built.append(context.input.most)
        return till.payer(("pay", {"amount": context.input.most}))

    app = Musterd(agents=[AgentFactory("payer", build, input_schema=Budget)])
    async with serve(app, folder=tmp_path) as client:
        task = await waiting(client, factory_input={"most": 8})
    async with serve(app, folder=tmp_path) as client:
        text, _ = await decided(client, task.task_id, Resolution.approve())
    assert (text, till.paid) == ("paid 8", [8])
    assert built[0] == built[-1] == 8


async def test_time_without_a_process_does_not_count(tmp_path: Path) -> None:
    """N2, R10: a run of a second may be decided later than that."""
    till = Till()
    app = Musterd(agents=[till.payer()])
    async with serve(app, folder=tmp_path, runtime=AT_ONCE) as client:
        task = await waiting(client, run_timeout_seconds=2)
    async with serve(app, folder=tmp_path) as client:
        await client.tasks.wait([task.task_id], timeout_seconds=0)
        text, _ = await decided(client, task.task_id, Resolution.approve())
    assert (text, till.paid) == ("paid 3", [3])


async def test_a_given_up_run_can_be_canceled(tmp_path: Path) -> None:
    """R5, N2: nobody runs it, and it ends at once."""
    till = Till()
    async with serve(Musterd(agents=[till.payer()]), folder=tmp_path) as client:
        task = await waiting(client)
    async with serve(Musterd(agents=[till.payer()]), folder=tmp_path) as client:
        canceled = await client.tasks.cancel(task.task_id)
        log = await log_of(client, task.task_id)
    assert canceled.task.state is TaskState.CANCELED
    assert [event.kind for event in log][-1] == "task_canceled"
    assert till.paid == []


async def test_a_given_up_run_whose_time_is_over_goes_on_without_the_approval(tmp_path: Path) -> None:
    """N2 (refusal): the server looks for such runs by itself."""
    till = Till()
    app = Musterd(agents=[till.payer()])
    async with serve(app, folder=tmp_path, runtime={"approval_timeout_seconds": 1}) as client:
        task = await waiting(client)
    async with serve(app, folder=tmp_path, runtime={"queue_look_seconds": 0.05}) as client:
        await log_of(client, task.task_id)
        text = await result_of(client, task.task_id)
    assert (text, till.paid) == ("Nobody decided about this call in time.", [])


@pytest.mark.parametrize("runtime", [{}, AT_ONCE], ids=["in memory", "given up"])
async def test_any_server_takes_the_decision(postgres_database: Database, runtime: dict[str, Any]) -> None:
    """N2: wherever the run is, or was."""
    till = Till()
    app = Musterd(agents=[till.payer()])
    async with serving(postgres_database, app, runtime=runtime) as replicas:
        here, there, elsewhere = replicas.clients
        task = await waiting(here)
        await there.tasks.resolve(task.task_id, [Resolution.approve()])
        text = await result_of(elsewhere, task.task_id)
        log = await log_of(there, task.task_id)
    assert (text, till.paid) == ("paid 3", [3])
    assert sum(isinstance(event, ToolCallStarted) for event in log) == 1
