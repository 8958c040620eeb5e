import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tests.unit.client.messages import TASK_ID, a_task, completed, event, run_message
from tests.unit.client.scripted import Refusal, ScriptedServer

from musterd_client import (
    HookCompleted,
    HookFailed,
    HookPhase,
    HookRunState,
    HookStarted,
    MusterdClient,
    PreconditionFailedError,
)
from musterd_client.v1 import event_pb2
from musterd_client.v1.hook_service_pb2 import HookRun, ListHookRunsResponse, RetryHookRunResponse

DEAD = HookRun(
    hook_run_id="h-1",
    task_id=TASK_ID,
    name="audit",
    phase="HOOK_PHASE_POST",
    state="HOOK_RUN_STATE_DEAD",
    attempts=3,
    error="no disk",
    create_time=Timestamp(seconds=1_800_000_000),
)


async def test_runs_of_hooks_are_listed_with_the_same_filters_over_all_pages(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """H4."""
    server.will("ListHookRuns", ListHookRunsResponse(hook_runs=[DEAD], next_page_token="more"))
    server.will("ListHookRuns", ListHookRunsResponse(hook_runs=[HookRun(hook_run_id="h-2")]))

    first, second = [each async for each in client.hooks.list(task_id=TASK_ID, states=[HookRunState.DEAD])]

    assert (first.name, first.phase, first.state) == ("audit", HookPhase.POST, HookRunState.DEAD)
    assert (first.attempts, first.error, first.next_attempt_time) == (3, "no disk", None)
    assert (second.hook_run_id, second.state) == ("h-2", HookRunState.UNKNOWN)
    requests = server.requests("ListHookRuns")
    assert [(each.page_token, each.task_id, list(each.states)) for each in requests] == [
        ("", TASK_ID, [4]),
        ("more", TASK_ID, [4]),
    ]


async def test_a_dead_run_is_retried_once_however_often_the_call_is_repeated(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """H4, R8."""
    server.will("RetryHookRun", Refusal())
    server.will("RetryHookRun", RetryHookRunResponse(hook_run=HookRun(state="HOOK_RUN_STATE_PENDING")))

    assert (await client.hooks.retry("h-1")).state is HookRunState.PENDING
    first, second = server.requests("RetryHookRun")
    assert first == second
    assert (first.hook_run_id, bool(first.request_id)) == ("h-1", True)


async def test_a_run_that_is_not_dead_is_not_retried(server: ScriptedServer, client: MusterdClient) -> None:
    """H4 (refusal)."""
    server.will("RetryHookRun", Refusal(code=grpc.StatusCode.FAILED_PRECONDITION, reason="HOOK_RUN_NOT_RETRYABLE"))

    with pytest.raises(PreconditionFailedError, match="HOOK_RUN_NOT_RETRYABLE"):
        await client.hooks.retry("h-1", request_id="r")


async def test_hooks_are_events(server: ScriptedServer, client: MusterdClient) -> None:
    """H2, H3."""
    began = event_pb2.HookStarted(phase="HOOK_PHASE_PRE", name="check", attempt=1)
    done = event_pb2.HookCompleted(phase="HOOK_PHASE_PRE", name="check", attempt=1)
    failed = event_pb2.HookFailed(phase="HOOK_PHASE_POST", name="audit", attempt=2, message="no", trigger="PII")
    failed.details.update({"field": "mail"})
    server.will(
        "RunAgent",
        run_message(
            event(1, hook_started=began),
            event(2, hook_completed=done),
            event(3, hook_failed=failed),
            completed(4),
            task=a_task(),
        ),
    )

    async with client.run_agent("greeter") as run:
        first, second, third, _ = [each async for each in run]

    assert isinstance(first, HookStarted)
    assert (first.phase, first.name, first.in_background) == (HookPhase.PRE, "check", False)
    assert isinstance(second, HookCompleted)
    assert isinstance(third, HookFailed)
    assert (third.attempt, third.trigger, third.details) == (2, "PII", {"field": "mail"})
