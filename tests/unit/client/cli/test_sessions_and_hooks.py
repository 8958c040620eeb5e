import json
from collections.abc import Callable

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tests.unit.client.messages import GREETER, TASK_ID
from tests.unit.client.scripted import Refusal, ScriptedServer
from typer.testing import Result

from musterd_client.v1.hook_service_pb2 import HookRun, ListHookRunsResponse, RetryHookRunResponse
from musterd_client.v1.session_service_pb2 import (
    DeleteSessionResponse,
    GetSessionResponse,
    ListSessionsResponse,
    Session,
    SessionEntry,
    SessionMessage,
)

Musterd = Callable[..., Result]

SESSION = Session(
    session_id="s",
    component=GREETER,
    update_time=Timestamp(seconds=1_800_000_000),
    run_count=2,
    message_count=4,
    size_bytes=99,
)
LINE = f"{'s':<20}  {'greeter':<20}  2027-01-15T08:00:00+00:00  2 runs, 4 messages, 99 bytes"
DEAD = HookRun(
    hook_run_id="h-1",
    task_id=TASK_ID,
    name="audit",
    phase="HOOK_PHASE_POST",
    state="HOOK_RUN_STATE_DEAD",
    attempts=3,
    error="no\ndisk",
)


def test_sessions_are_listed_a_line_each_up_to_the_limit(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """N1."""
    live = Session(session_id="t", component=GREETER, live_task_id=TASK_ID)
    server_in_thread.will("ListSessions", ListSessionsResponse(sessions=[SESSION, live], next_page_token="more"))

    result = musterd("sessions", "list", "--agent", "greeter", "--limit", "2", "--user", "ada")

    first, second = result.stdout.splitlines()
    assert (result.exit_code, first) == (0, LINE)
    assert second.endswith(f"run by {TASK_ID}")
    (request,) = server_in_thread.requests("ListSessions")
    assert (request.page_size, request.component.id, request.user_id) == (2, "greeter", "ada")


def test_sessions_as_json_are_an_object_a_line(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """N1."""
    server_in_thread.will("ListSessions", ListSessionsResponse(sessions=[SESSION]))

    assert json.loads(musterd("sessions", "list", "--json").stdout)["message_count"] == 4


def test_a_session_is_shown_with_what_was_said_in_it(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """N1."""
    messages = [
        SessionMessage(role="MESSAGE_ROLE_REQUEST", text="Hi"),
        SessionMessage(role="MESSAGE_ROLE_RESPONSE"),
        SessionMessage(role="MESSAGE_ROLE_RESPONSE", text="Hello"),
    ]
    entry = SessionEntry(position=1, task_id=TASK_ID, messages=messages)
    for _ in range(4):
        server_in_thread.will("GetSession", GetSessionResponse(session=SESSION, entries=[entry]))

    result = musterd("sessions", "show", "s", "--user", "ada")

    assert result.stdout.splitlines() == [LINE, "", f"task {TASK_ID}", "> Hi", "< Hello"]
    session, said = (json.loads(line) for line in musterd("sessions", "show", "s", "--json").stdout.splitlines())
    assert (session["session_id"], said["messages"][0]["role"]) == ("s", "REQUEST")
    assert [each.user_id for each in server_in_thread.requests("GetSession")] == ["ada", "ada", "", ""]


@pytest.mark.parametrize(("options", "cancels"), [([], False), (["--cancel"], True)], ids=["alone", "with its run"])
def test_a_session_is_deleted(
    musterd: Musterd, server_in_thread: ScriptedServer, options: list[str], cancels: bool
) -> None:
    """N1."""
    server_in_thread.will("DeleteSession", DeleteSessionResponse())

    result = musterd("sessions", "delete", "s", "--workflow", "poems", "--user", "ada", *options)

    assert (result.exit_code, result.output) == (0, "")
    (request,) = server_in_thread.requests("DeleteSession")
    assert (request.session_id, request.component.id, request.cancel_live_runs) == ("s", "poems", cancels)
    assert request.user_id == "ada"


def test_a_session_with_a_live_run_stays_and_the_run_is_named(
    musterd: Musterd, server_in_thread: ScriptedServer
) -> None:
    """N1."""
    code = grpc.StatusCode.FAILED_PRECONDITION
    refusal = Refusal(code=code, reason="SESSION_BUSY", message="it is in use", metadata={"task_id": TASK_ID})
    server_in_thread.will("DeleteSession", refusal)

    result = musterd("sessions", "delete", "s")

    advice = f"See what its run waits for: musterd tasks status {TASK_ID}"
    assert (result.exit_code, result.stderr) == (1, f"error: SESSION_BUSY: it is in use. {advice}\n")


def test_a_session_of_several_components_is_a_usage_error(musterd: Musterd) -> None:
    """N1."""
    result = musterd("sessions", "show", "s", "--agent", "a", "--team", "t")
    assert (result.exit_code, "give one of" in result.stderr) == (2, True)


def test_runs_of_hooks_are_listed_a_line_each(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """H4."""
    server_in_thread.will("ListHookRuns", ListHookRunsResponse(hook_runs=[DEAD, HookRun()], next_page_token="more"))
    server_in_thread.will("ListHookRuns", ListHookRunsResponse(hook_runs=[DEAD]))

    result = musterd("hooks", "list", "--task", TASK_ID, "--state", "dead", "--limit", "1")

    assert result.stdout == f"h-1  DEAD       post-hook audit  attempt 3  task {TASK_ID}  no disk\n"
    assert json.loads(musterd("hooks", "list", "--json").stdout)["error"] == "no\ndisk"
    request, _ = server_in_thread.requests("ListHookRuns")
    assert (request.page_size, request.task_id, list(request.states)) == (1, TASK_ID, [4])


@pytest.mark.parametrize("command", ["hooks", "tasks"])
def test_a_state_that_no_server_has_is_a_usage_error(musterd: Musterd, command: str) -> None:
    """H4, R4 (refusal)."""
    result = musterd(command, "list", "--state", "unknown")
    assert (result.exit_code, "states of a newer server" in result.stderr) == (2, True)


def test_a_dead_run_of_a_hook_is_retried(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """H4."""
    server_in_thread.will("RetryHookRun", RetryHookRunResponse(hook_run=DEAD))
    server_in_thread.will("RetryHookRun", RetryHookRunResponse(hook_run=DEAD))

    assert musterd("hooks", "retry", "h-1", "--request-id", "r").stdout.startswith("h-1")
    assert json.loads(musterd("hooks", "retry", "h-1", "--json").stdout)["hook_run_id"] == "h-1"
    assert server_in_thread.requests("RetryHookRun")[0].request_id == "r"


def test_a_run_that_is_not_dead_says_which_ones_may_be_retried(
    musterd: Musterd, server_in_thread: ScriptedServer
) -> None:
    """H4."""
    code = grpc.StatusCode.FAILED_PRECONDITION
    server_in_thread.will("RetryHookRun", Refusal(code=code, reason="HOOK_RUN_NOT_RETRYABLE", message="it runs"))

    assert "musterd hooks list --state dead" in musterd("hooks", "retry", "h-1").stderr
