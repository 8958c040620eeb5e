import asyncio
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, PreconditionFailure  # pyright: ignore[reportMissingTypeStubs]
from tests.unit.client.messages import (
    CHILD_ID,
    TASK_ID,
    a_task,
    canceled,
    completed,
    event,
    failed,
    restarted,
    run_message,
    text,
    watch_message,
)
from tests.unit.client.scripted import Hang, Refusal, ScriptedServer
from typer.testing import Result

from musterd_client.v1 import event_pb2
from musterd_client.v1.event_pb2 import ThinkingDelta, ToolCallCompleted, ToolCallFailed, ToolCallStarted

Musterd = Callable[..., Result]
HEED_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""Whoever runs the tests in the background may have told them, and so their children, to ignore interrupts."""
PROGRAM = (sys.executable, "-c", f"{HEED_INTERRUPTS}; from musterd.cli import main; main()")


def thinking(sequence: int, content: str) -> event_pb2.RunEvent:
    return event(sequence, thinking_delta=ThinkingDelta(step=1, text=content))


def tool_round(sequence: int, task_id: str = TASK_ID) -> tuple[event_pb2.RunEvent, ...]:
    started = ToolCallStarted(step=1, tool_call_id="c", tool_name="dig", arguments_json='{"depth":3}')
    returned = ToolCallCompleted(step=1, tool_call_id="c", tool_name="dig", result_json='"gold"')
    refused = ToolCallFailed(step=1, tool_call_id="c", tool_name="dig", message="too deep", will_retry=True)
    return (
        event(sequence, task_id, tool_call_started=started),
        event(sequence + 1, task_id, tool_call_completed=returned),
        event(sequence + 2, task_id, tool_call_failed=refused),
    )


def test_a_run_shows_its_text_on_stdout_and_all_else_on_stderr(
    musterd: Musterd, server_in_thread: ScriptedServer
) -> None:
    server_in_thread.will(
        "RunAgent",
        run_message(thinking(1, "Hm."), text(2, "Let me dig."), *tool_round(3), task=a_task()),
        run_message(text(6, "Found ", step=2), text(7, "gold.", step=2), completed(8, "Found gold.")),
    )

    result = musterd("run", "agent", "greeter", "Hi", "--user", "u", "--session", "s", "--input", '{"tier": "gold"}')

    assert result.exit_code == 0
    assert result.stdout == "Let me dig.\nFound gold.\n"
    assert result.stderr.splitlines() == [
        "Hm.",
        '→ dig {"depth":3}',
        '← dig "gold"',
        "✗ dig too deep",
        "2 requests, 1 tool call, 30 tokens in, 12 out",
    ]
    (request,) = server_in_thread.requests("RunAgent")
    assert (request.message, request.user_id, request.session_id) == ("Hi", "u", "s")
    assert request.factory_input["tier"] == "gold"


def test_a_run_as_json_is_an_object_a_line_for_each_event(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    server_in_thread.will("RunAgent", run_message(text(1, "Hé"), *tool_round(2), completed(5), task=a_task()))

    result = musterd("run", "agent", "greeter", "Hi", "--json")

    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["sequence"] for each in events] == [1, 2, 3, 4, 5]
    assert events[0] == {
        "kind": "text_delta",
        "task_id": TASK_ID,
        "sequence": 1,
        "create_time": "2027-01-15T08:00:01+00:00",
        "component": {"kind": "AGENT", "id": "greeter"},
        "step": 1,
        "part_index": 0,
        "text": "Hé",
    }
    assert events[4]["usage"]["output_tokens"] == 12
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_result_that_was_not_streamed_is_printed(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    server_in_thread.will("RunAgent", run_message(text(1, "Let me see."), completed(2, '{"n":1}'), task=a_task()))

    assert musterd("run", "agent", "greeter").stdout == 'Let me see.\n{"n":1}\n'


def test_of_the_tasks_below_it_a_run_shows_tool_calls_and_ends(
    musterd: Musterd, server_in_thread: ScriptedServer
) -> None:
    below = (*tool_round(1, CHILD_ID)[:1], text(2, "child", task_id=CHILD_ID), completed(3, "c", task_id=CHILD_ID))
    server_in_thread.will("RunAgent", run_message(*below, text(4, "Hello"), completed(5), task=a_task()))

    result = musterd("run", "agent", "greeter")

    assert result.stdout == "Hello\n"
    assert result.stderr.splitlines()[:2] == [
        'greeter: → dig {"depth":3}',
        "greeter: task completed: 2 requests, 1 tool call, 30 tokens in, 12 out",
    ]


def test_a_restarted_step_is_marked(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    server_in_thread.will("RunAgent", run_message(text(1, "He"), restarted(2), text(3, "Hello"), task=a_task()))
    server_in_thread.will("WatchTask", watch_message(completed(4), task=a_task()))

    result = musterd("run", "agent", "greeter")

    assert result.stdout == "He\nHello\n"
    assert "begins again" in result.stderr


def test_a_background_run_prints_its_id_and_how_to_watch_it(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """R2."""
    server_in_thread.will("RunAgent", run_message(task=a_task(state="TASK_STATE_SUBMITTED")))

    result = musterd("run", "agent", "greeter", "--background", "--request-id", "r", "--timeout-seconds", "9")

    assert (result.exit_code, result.stdout) == (0, f"{TASK_ID}\n")
    assert f"musterd tasks watch {TASK_ID} --target {server_in_thread.target}" in result.stderr
    (request,) = server_in_thread.requests("RunAgent")
    assert (request.background, request.request_id, request.run_timeout.seconds) == (True, "r", 9)


def test_a_background_run_as_json_prints_its_task(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """R2."""
    server_in_thread.will("RunAgent", run_message(task=a_task(state="TASK_STATE_SUBMITTED")))

    task = json.loads(musterd("run", "agent", "greeter", "--background", "--json").stdout)
    assert (task["task_id"], task["state"], task["end_time"]) == (TASK_ID, "SUBMITTED", None)


@pytest.mark.parametrize(
    ("end", "line"),
    [
        (failed(1), f"error: MODEL_FAILED: the model refused. See: musterd tasks status {TASK_ID}"),
        (canceled(1), f"error: the task was canceled: enough. See: musterd tasks status {TASK_ID}"),
    ],
    ids=["failed", "canceled"],
)
def test_a_run_without_a_result_exits_with_1_and_says_why(
    musterd: Musterd, server_in_thread: ScriptedServer, end: event_pb2.RunEvent, line: str
) -> None:
    """R1."""
    server_in_thread.will("RunAgent", run_message(end, task=a_task()))

    result = musterd("run", "agent", "greeter")

    assert result.exit_code == 1
    assert result.stderr.splitlines() == ["2 requests, 1 tool call, 30 tokens in, 12 out", line]


def test_a_refused_run_is_one_line_with_what_to_do(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """C6."""
    fields = BadRequest(field_violations=[BadRequest.FieldViolation(field="tier", description="must be gold")])
    code = grpc.StatusCode.INVALID_ARGUMENT
    server_in_thread.will("RunAgent", Refusal(code=code, reason="INVALID_INPUT", message="bad", details=(fields,)))

    result = musterd("run", "agent", "greeter")

    assert result.exit_code == 1
    assert result.stderr == "error: INVALID_INPUT: bad. tier: must be gold. Correct --input.\n"


def test_what_the_message_says_is_not_said_again(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    unmet = PreconditionFailure(
        violations=[
            PreconditionFailure.Violation(subject=TASK_ID, description="the team has ended"),
            PreconditionFailure.Violation(subject="budget", type="SPENT"),
        ]
    )
    code = grpc.StatusCode.FAILED_PRECONDITION
    refusal = Refusal(code=code, reason="TEAM_ENDED", message="the team has ended", details=(unmet,))
    server_in_thread.will("RunAgent", refusal)

    assert musterd("run", "agent", "greeter").stderr == "error: TEAM_ENDED: the team has ended. budget: SPENT.\n"


def test_a_long_line_is_not_broken_where_no_terminal_is(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """R1."""
    dug = ToolCallCompleted(step=1, tool_call_id="c", tool_name="dig", result_json="gold " * 40)
    server_in_thread.will("RunAgent", run_message(event(1, tool_call_completed=dug), completed(2), task=a_task()))

    assert musterd("run", "agent", "greeter").stderr.splitlines()[0] == "← dig " + "gold " * 40


def test_a_stream_that_breaks_for_good_says_how_to_watch_again(
    musterd: Musterd, server_in_thread: ScriptedServer
) -> None:
    """R3."""
    server_in_thread.will("RunAgent", run_message(text(1, "Hel"), text(2, "lo"), task=a_task()), Refusal())
    server_in_thread.will("WatchTask", Refusal(code=grpc.StatusCode.NOT_FOUND, reason="TASK_NOT_FOUND"))

    result = musterd("run", "agent", "greeter")

    assert result.exit_code == 1
    assert f"musterd tasks watch {TASK_ID} --after 2" in result.stderr
    assert "error: TASK_NOT_FOUND" in result.stderr


@pytest.mark.parametrize(
    "given",
    ["{", "[1]", '{"a": NaN}', '{"a": 1e999}', r'{"a": "\ud83d"}', "[" * 100_000],
    ids=["no JSON", "no object", "NaN", "infinite", "half a character", "too deep"],
)
def test_input_that_is_no_json_object_is_a_usage_error(musterd: Musterd, given: str) -> None:
    result = musterd("run", "agent", "greeter", "--input", given)
    assert (result.exit_code, "--input" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "agent", "greeter", "--timeout-seconds", "inf"), "inf"),
        (("run", "agent", "greeter", "--timeout-seconds", "1e300"), "infinity"),
        (("run", "agent", "greeter", "--input", '{"a": 36893488147419103232}'), "36893488147419103232"),
        (("run", "agent", "gr\udcffeter"), r"'\udcff' is no character"),
        (("tasks", "watch", "t", "--after", str(2**63)), str(2**63)),
        (("tasks", "list", "--token", "é"), "token"),
    ],
    ids=["no end", "no duration", "integer", "no text", "sequence", "token"],
)
def test_what_the_client_does_not_take_is_a_usage_error(
    musterd: Musterd, arguments: tuple[str, ...], words: str
) -> None:
    result = musterd(*arguments)
    assert (result.exit_code, words in result.stderr) == (2, True)


def test_a_token_file_that_is_no_text_is_a_usage_error(musterd: Musterd, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff")
    result = musterd("run", "agent", "greeter", "--token", f"@{tmp_path / 'token'}")
    in_a_row = " ".join(result.stderr.replace("│", "").split())
    assert (result.exit_code, "it is no text" in in_a_row) == (2, True)


def test_a_token_may_be_in_a_file(musterd: Musterd, server_in_thread: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t\n")
    server_in_thread.will("RunAgent", run_message(completed(1), task=a_task()))

    assert musterd("run", "agent", "greeter", MUSTERD_TOKEN=f"@{tmp_path / 'token'}").exit_code == 0
    assert server_in_thread.tokens() == ["Bearer t"]


@pytest.mark.parametrize("option", ["--token=@/nowhere/token", "--tls=/nowhere/ca.pem"])
def test_a_file_that_is_not_there_is_a_usage_error(musterd: Musterd, option: str) -> None:
    result = musterd("run", "agent", "greeter", option)
    assert (result.exit_code, "/nowhere" in result.stderr) == (2, True)


async def test_an_interrupt_detaches_and_says_how_to_watch_again(server: ScriptedServer) -> None:
    """R3."""
    server.will("RunAgent", run_message(text(1, "Hello"), task=a_task()), Hang())
    command = (*PROGRAM, "run", "agent", "greeter", "--target", server.target)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    assert process.stdout is not None

    assert await process.stdout.readexactly(5) == b"Hello"
    process.send_signal(signal.SIGINT)
    _, stderr = await process.communicate()

    assert process.returncode == 130
    assert f"musterd tasks watch {TASK_ID} --after 1 --target {server.target}" in stderr.decode()
    assert "Traceback" not in stderr.decode()


async def test_an_interrupt_before_the_first_message_tells_the_request_id(server: ScriptedServer) -> None:
    """R8."""
    server.will("RunAgent", Hang())
    command = (*PROGRAM, "run", "agent", "greeter", "--target", server.target)
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    await server.hanging.wait()
    process.send_signal(signal.SIGINT)
    _, stderr = await process.communicate()

    assert process.returncode == 130
    assert f"--request-id {server.requests('RunAgent')[0].request_id}" in stderr.decode()
