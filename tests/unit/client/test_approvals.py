import json
import math

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tests.unit.client.messages import (
    CHILD_ID,
    TASK_ID,
    a_task,
    an_approval,
    approval_requested,
    approval_resolved,
    completed,
    run_message,
)
from tests.unit.client.scripted import Refusal, ScriptedServer

from musterd_client import (
    Approval,
    ApprovalKind,
    ApprovalRequested,
    ApprovalResolved,
    ApprovalState,
    MusterdClient,
    PreconditionFailedError,
    Resolution,
    TaskState,
    Verdict,
)
from musterd_client.v1.task_service_pb2 import ListTasksResponse, ResolveTaskResponse, TaskStatusResponse


async def test_a_task_tells_what_waits_for_a_decision(server: ScriptedServer, client: MusterdClient) -> None:
    """N2: in its whole tree."""
    asked = an_approval(task_id=CHILD_ID, text="3 euros?", step=2, expire_time=Timestamp(seconds=1_800_000_300))
    server.will("TaskStatus", TaskStatusResponse(task=a_task(state="TASK_STATE_INPUT_REQUIRED", approvals=[asked])))

    (approval,) = (await client.tasks.status(TASK_ID)).approvals

    assert approval.expire_time is not None
    assert approval == Approval(
        approval_id="a-1",
        task_id=CHILD_ID,
        kind=ApprovalKind.TOOL,
        state=ApprovalState.OPEN,
        step=2,
        tool_call_id="c-1",
        tool_name="pay",
        arguments_json='{"euros":3}',
        text="3 euros?",
        expire_time=approval.expire_time,
    )


async def test_trees_with_open_approvals_are_listed(server: ScriptedServer, client: MusterdClient) -> None:
    """N2, I5."""
    server.will("ListTasks", ListTasksResponse(tasks=[a_task()]))

    assert [task.task_id async for task in client.tasks.list(has_open_approvals=True)] == [TASK_ID]
    assert server.requests("ListTasks")[0].has_open_approvals


async def test_several_decisions_are_one_call_however_often_it_is_repeated(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """N2, R8."""
    server.will("ResolveTask", Refusal())
    server.will("ResolveTask", ResolveTaskResponse(task=a_task()))
    decisions = [
        Resolution.approve("a-1", arguments={"euros": 1}, reason="less"),
        Resolution.deny("a-2", reason="too dear"),
        Resolution.give(["done", None], "a-3"),
    ]

    task = await client.tasks.resolve(TASK_ID, decisions)

    assert task.state is TaskState.WORKING
    first, second = server.requests("ResolveTask")
    assert first == second
    assert first.request_id
    assert [(each.approval_id, each.verdict, each.reason) for each in first.resolutions] == [
        ("a-1", 1, "less"),
        ("a-2", 2, "too dear"),
        ("a-3", 3, ""),
    ]
    assert [json.loads(each.arguments_json or each.result_json or "0") for each in first.resolutions] == [
        {"euros": 1},
        0,
        ["done", None],
    ]


def test_a_decision_about_the_only_approval_needs_no_id() -> None:
    """N2."""
    assert Resolution.approve() == Resolution(verdict=Verdict.APPROVE)
    assert Resolution.deny() == Resolution(verdict=Verdict.DENY)
    assert Resolution.give("é").result_json == '"é"'


@pytest.mark.parametrize("value", [math.nan, object()], ids=["no number", "no JSON"])
def test_a_result_that_is_no_json_is_refused_here(value: object) -> None:
    """N2."""
    with pytest.raises((TypeError, ValueError)):
        Resolution.give(value)
    with pytest.raises((TypeError, ValueError)):
        Resolution.approve(arguments={"value": value})


async def test_a_decision_that_comes_too_late_raises(server: ScriptedServer, client: MusterdClient) -> None:
    """N2."""
    server.will("ResolveTask", Refusal(code=grpc.StatusCode.FAILED_PRECONDITION, reason="APPROVAL_CONFLICT"))

    with pytest.raises(PreconditionFailedError, match="APPROVAL_CONFLICT"):
        await client.tasks.resolve(TASK_ID, [Resolution.approve()])


async def test_approvals_and_what_became_of_them_are_events(server: ScriptedServer, client: MusterdClient) -> None:
    """N2: who decided, and what, is in the log."""
    decided = approval_resolved(2, state="DENIED", reason="too dear", user_id="eve")
    server.will("RunAgent", run_message(approval_requested(1), decided, completed(3), task=a_task()))

    async with client.run_agent("greeter") as run:
        first, second, _ = [each async for each in run]

    assert isinstance(first, ApprovalRequested)
    assert (first.approval.approval_id, first.approval.tool_name) == ("a-1", "pay")
    assert isinstance(second, ApprovalResolved)
    assert (second.state, second.reason, second.user_id) == (ApprovalState.DENIED, "too dear", "eve")


async def test_nothing_is_open_any_more_when_the_run_has_ended(server: ScriptedServer, client: MusterdClient) -> None:
    """N2."""
    server.will("RunAgent", run_message(completed(1), task=a_task(approvals=[an_approval()])))

    assert (await client.run_agent("greeter").result()).task.approvals == ()
