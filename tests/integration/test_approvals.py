"""Approvals: tools that run only when somebody agrees, and those that somebody else runs."""

import json
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext, ToolDefinition
from pydantic_ai.capabilities import HandleDeferredToolCalls
from pydantic_ai.exceptions import ApprovalRequired
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults
from pydantic_ai.toolsets import ExternalToolset
from tests.support.payments import PAY_THREE, Till, asked_of
from tests.support.tokens import AUTH, TASK_SCOPES, USER_SCOPES, token
from tests.support.trees import log_of
from tests.support.turns import taking

from musterd import Musterd
from musterd.testing import serve
from musterd.transport.codec.resolutions import MAX_RESOLUTION_DEPTH
from musterd_client import (
    ApprovalKind,
    ApprovalResolved,
    ApprovalState,
    InvalidArgumentError,
    MusterdClient,
    NotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    Resolution,
    TaskState,
    ToolCallStarted,
)

APPROVER_SCOPES = "tasks:read tasks:approve"
ORDER = ToolDefinition(
    name="order",
    description="Order something.",
    parameters_json_schema={"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
)
DEEPEST = "[" * MAX_RESOLUTION_DEPTH + "]" * MAX_RESOLUTION_DEPTH


async def test_an_approved_tool_runs_once_and_the_run_goes_on() -> None:
    """N2: the task waits in INPUT_REQUIRED; who decided and when is in the log."""
    till = Till()
    async with serve(Musterd(agents=[till.payer()])) as client, client.run_agent("payer", "go") as run:
        (asked,) = await asked_of(run)
        waiting = await client.tasks.status(run.task.task_id)
        decided = await client.tasks.resolve(run.task.task_id, [Resolution.approve(asked.approval_id, reason="fine")])
        text = (await run.result()).text
        log = await log_of(client, run.task.task_id)
    assert (waiting.state, waiting.approvals) == (TaskState.INPUT_REQUIRED, (asked,))
    assert (asked.kind, asked.tool_name, asked.arguments_json) == (ApprovalKind.TOOL, "pay", '{"amount":3}')
    assert (decided.state, decided.approvals) == (TaskState.WORKING, ())
    assert (till.paid, text) == ([3], "paid 3")
    (resolved,) = [event for event in log if isinstance(event, ApprovalResolved)]
    assert (resolved.approval_id, resolved.state, resolved.reason) == (
        asked.approval_id,
        ApprovalState.APPROVED,
        "fine",
    )
    assert sum(isinstance(event, ToolCallStarted) for event in log) == 1


async def test_a_denied_tool_does_not_run_and_the_model_reads_the_reason() -> None:
    """N2."""
    till = Till()
    async with serve(Musterd(agents=[till.payer()])) as client, client.run_agent("payer", "go") as run:
        await asked_of(run)
        await client.tasks.resolve(run.task.task_id, [Resolution.deny(reason="too much")])
        text = (await run.result()).text
    assert (till.paid, text) == ([], "too much")


async def test_whoever_approves_may_change_the_arguments() -> None:
    """N2: the tool gets those; ones that do not fit it are for the model to put right."""
    till = Till()
    async with serve(Musterd(agents=[till.payer()])) as client, client.run_agent("payer", "go") as run:
        await asked_of(run)
        await client.tasks.resolve(run.task.task_id, [Resolution.approve(arguments={"amount": 1})])
        text = (await run.result()).text
    assert (till.paid, text) == ([1], "paid 1")


async def test_two_calls_in_one_response_are_decided_apart() -> None:
    """N2: a partial answer is kept, and the run goes on with the last one."""
    till = Till()
    payer = till.payer([PAY_THREE, ("pay", {"amount": 4})])
    async with serve(Musterd(agents=[payer])) as client, client.run_agent("payer", "go") as run:
        first, second = await asked_of(run, times=2)
        half = await client.tasks.resolve(run.task.task_id, [Resolution.deny(first.approval_id, reason="no")])
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        text = (await run.result()).text
    assert (half.state, half.approvals) == (TaskState.INPUT_REQUIRED, (second,))
    assert (till.paid, text) == ([4], "no; paid 4")


async def test_a_finished_tool_beside_it_does_not_run_again() -> None:
    """N2."""
    till, looks = Till(), list[str]()

    async def look() -> str:
        looks.append("look")
        return "seen"

    payer = till.payer([PAY_THREE, ("look", {})], tools=[look])
    async with serve(Musterd(agents=[payer])) as client, client.run_agent("payer", "go") as run:
        await asked_of(run)
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        text = (await run.result()).text
    assert (till.paid, looks, text) == ([3], ["look"], "paid 3; seen")


async def test_a_tool_may_ask_in_the_middle_of_its_work() -> None:
    """N2: with what it has to say to whoever decides."""
    begun: list[bool] = []

    async def wire(ctx: RunContext[Any], amount: int) -> str:
        begun.append(ctx.tool_call_approved)
        if not ctx.tool_call_approved:
            raise ApprovalRequired({"reason": f"{amount} is much"})
        return f"wired {amount}"

    payer = Till().payer(("wire", {"amount": 9}), tools=[wire])
    async with serve(Musterd(agents=[payer])) as client, client.run_agent("payer", "go") as run:
        (asked,) = await asked_of(run)
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        text = (await run.result()).text
    assert (asked.text, begun, text) == ("9 is much", [False, True], "wired 9")


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (Resolution.give({"kind": "tool-return", "number": 7}), '"number": 7'),
        (Resolution.give(json.loads(DEEPEST)), DEEPEST),
        (Resolution.deny(reason="sold out"), "sold out"),
    ],
)
async def test_somebody_outside_gives_the_result_of_an_external_tool(decision: Resolution, text: str) -> None:
    """N2."""
    payer = Till().payer(("order", {"what": "tea"}), toolsets=[ExternalToolset([ORDER])])
    async with serve(Musterd(agents=[payer])) as client, client.run_agent("payer", "go") as run:
        (asked,) = await asked_of(run)
        await client.tasks.resolve(run.task.task_id, [decision])
        result = (await run.result()).text
    assert (asked.kind, asked.tool_name) == (ApprovalKind.EXTERNAL, "order")
    assert text in result.replace("'", '"')


async def test_an_agents_own_capability_decides_first() -> None:
    """N2: what it leaves alone is asked about."""
    till = Till()

    async def small(ctx: RunContext[Any], requests: DeferredToolRequests) -> DeferredToolResults:
        few = {call.tool_call_id: True for call in requests.approvals if call.args_as_dict()["amount"] < 5}
        return requests.build_results(approvals=few)

    payer = till.payer([PAY_THREE, ("pay", {"amount": 50})], capabilities=[HandleDeferredToolCalls(small)])
    async with serve(Musterd(agents=[payer])) as client, client.run_agent("payer", "go") as run:
        (asked,) = await asked_of(run)
        await client.tasks.resolve(run.task.task_id, [Resolution.deny(reason="no")])
        text = (await run.result()).text
    assert asked.arguments_json == '{"amount":50}'
    assert (till.paid, text) == ([3], "paid 3; no")


async def test_an_approval_that_nobody_gives_in_time_is_denied() -> None:
    """N2 (refusal): and cannot be given any more."""
    till = Till()
    runtime = {"approval_timeout_seconds": 1}
    async with serve(Musterd(agents=[till.payer()]), runtime=runtime) as client, client.run_agent("payer", "go") as run:
        (asked,) = await asked_of(run)
        text = (await run.result()).text
        with pytest.raises((PreconditionFailedError, NotFoundError)):
            await client.tasks.resolve(run.task.task_id, [Resolution.approve(asked.approval_id)])
        log = await log_of(client, run.task.task_id)
    assert (till.paid, text) == ([], "Nobody decided about this call in time.")
    assert [event.state for event in log if isinstance(event, ApprovalResolved)] == [ApprovalState.EXPIRED]


async def test_the_same_decision_again_changes_nothing_and_another_is_refused() -> None:
    """N2 (refusal)."""
    till = Till()
    payer = till.payer([PAY_THREE, ("pay", {"amount": 4})])
    async with serve(Musterd(agents=[payer])) as client, client.run_agent("payer", "go") as run:
        first, second = await asked_of(run, times=2)
        task_id = run.task.task_id
        for _ in range(2):
            await client.tasks.resolve(task_id, [Resolution.approve(first.approval_id)])
        with pytest.raises(PreconditionFailedError) as refused:
            await client.tasks.resolve(task_id, [Resolution.deny(first.approval_id)])
        await client.tasks.resolve(task_id, [Resolution.deny(second.approval_id)], request_id="once")
        await run.result()
        again = await client.tasks.resolve(task_id, [Resolution.deny(second.approval_id)], request_id="once")
        log = await log_of(client, task_id)
    assert refused.value.reason == "APPROVAL_CONFLICT"
    assert again.task_id == task_id
    assert sum(isinstance(event, ApprovalResolved) for event in log) == 2
    assert till.paid == [3]


async def test_a_decision_that_does_not_fit_is_refused_and_the_task_goes_on_waiting() -> None:
    """N2 (refusal)."""
    async with serve(Musterd(agents=[Till().payer()])) as client, client.run_agent("payer", "go") as run:
        (asked,) = await asked_of(run)
        task_id = run.task.task_id
        with pytest.raises(InvalidArgumentError):
            await client.tasks.resolve(task_id, [Resolution.give("paid", asked.approval_id)])
        with pytest.raises(NotFoundError) as unknown:
            await client.tasks.resolve(task_id, [Resolution.approve("of nobody")])
        waiting = await client.tasks.status(task_id)
        await client.tasks.cancel(task_id)
        await client.tasks.wait([task_id])
        with pytest.raises((PreconditionFailedError, NotFoundError)):
            await client.tasks.resolve(task_id, [Resolution.approve(asked.approval_id)])
    assert unknown.value.reason == "APPROVAL_NOT_FOUND"
    assert waiting.approvals == (asked,)


async def test_a_task_that_waits_for_an_approval_can_be_canceled() -> None:
    """R5: softly too: it is between steps."""
    till = Till()
    async with serve(Musterd(agents=[till.payer()])) as client, client.run_agent("payer", "go") as run:
        await asked_of(run)
        await client.tasks.cancel(run.task.task_id, grace_seconds=3_000)
        waited = await client.tasks.wait([run.task.task_id])
    assert (waited.tasks[0].state, waited.tasks[0].approvals, till.paid) == (TaskState.CANCELED, (), [])


async def test_who_may_approve_sees_what_waits_and_may_only_decide() -> None:
    """I5, N2: and sees nothing else of others."""
    app = Musterd(agents=[Till().payer()])
    scopes = {"owner": USER_SCOPES, "bob": APPROVER_SCOPES, "eve": f"{APPROVER_SCOPES} {TASK_SCOPES}"}
    async with serve(app, auth=AUTH, token=token("owner", scopes=scopes["owner"])) as owner:
        bob = MusterdClient(owner.target, token=token("bob", scopes=scopes["bob"]))
        stranger = MusterdClient(owner.target, token=token("bob", tenant="other", scopes=scopes["bob"]))
        async with bob, stranger, owner.run_agent("payer", "go") as run:
            task_id = run.task.task_id
            await asked_of(run)
            seen = [task.task_id async for task in bob.tasks.list(has_open_approvals=True)]
            unseen = [task.task_id async for task in bob.tasks.list()]
            shown = await bob.tasks.status(task_id)
            with pytest.raises(NotFoundError):
                await bob.tasks.wait([task_id], timeout_seconds=0)
            with pytest.raises(NotFoundError):
                await stranger.tasks.resolve(task_id, [Resolution.approve()])
            with pytest.raises(PermissionDeniedError) as without_scope:
                await owner.tasks.resolve(task_id, [Resolution.approve()])
            await bob.tasks.resolve(task_id, [Resolution.approve()])
            await run.result()
            log = await log_of(owner, task_id)
    assert (seen, unseen, shown.user_id) == ([task_id], [], "owner")
    assert without_scope.value.reason == "SCOPE_MISSING"
    assert [event.user_id for event in log if isinstance(event, ApprovalResolved)] == ["bob"]


async def test_arguments_that_do_not_fit_the_tool_are_told_to_the_model() -> None:
    """N2 (refusal): the tool does not run with them."""
    till = Till()

    async with serve(Musterd(agents=[till.payer()])) as client, client.run_agent("payer", "go") as run:
        await asked_of(run)
        await client.tasks.resolve(run.task.task_id, [Resolution.approve(arguments={"amount": "much"})])
        await run.result()
    assert till.paid == []


async def test_a_waiting_run_needs_no_slot() -> None:
    """R9: others run meanwhile."""
    till = Till()
    app = Musterd(agents=[till.payer(), Agent(taking("hello"), name="other")])
    async with serve(app, runtime={"max_running_tasks": 1}) as client, client.run_agent("payer", "go") as run:
        await asked_of(run)
        assert (await client.run_agent("other", "hi").result()).text == "hello"
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        assert (await run.result()).text == "paid 3"
