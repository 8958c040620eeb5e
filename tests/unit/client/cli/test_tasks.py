import json
from collections.abc import Callable

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse
from tests.unit.client.messages import (
    CHILD_ID,
    TASK_ID,
    USAGE,
    a_task,
    an_approval,
    completed,
    event,
    failed,
    text,
    watch_message,
)
from tests.unit.client.scripted import Refusal, ScriptedServer
from typer.testing import Result

from musterd_client.v1 import event_pb2
from musterd_client.v1.component_pb2 import ComponentRef
from musterd_client.v1.event_pb2 import TaskStarted
from musterd_client.v1.task_pb2 import Output, Question, TaskError
from musterd_client.v1.task_service_pb2 import (
    AnswerTaskResponse,
    CancelTaskResponse,
    ListTasksResponse,
    SteerTaskResponse,
    TaskStatusResponse,
    WaitTasksResponse,
)

Musterd = Callable[..., Result]


def test_tasks_are_listed_a_line_each_up_to_the_limit(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """R4."""
    page = ListTasksResponse(tasks=[a_task(), a_task(CHILD_ID)], next_page_token="more")
    server_in_thread.will("ListTasks", page)

    result = musterd("tasks", "list", "--state", "working", "--agent", "greeter", "--limit", "2")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{TASK_ID}  WORKING         greeter               2027-01-15T08:00:00+00:00",
        f"{CHILD_ID}  WORKING         greeter               2027-01-15T08:00:00+00:00",
    ]
    (request,) = server_in_thread.requests("ListTasks")
    assert (request.page_size, list(request.states), request.component.id) == (2, [2], "greeter")


def test_tasks_as_json_are_an_object_a_line(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """R4."""
    server_in_thread.will("ListTasks", ListTasksResponse(tasks=[a_task(), a_task(CHILD_ID)]))

    tasks = [json.loads(line) for line in musterd("tasks", "list", "--json").stdout.splitlines()]
    assert [task["task_id"] for task in tasks] == [TASK_ID, CHILD_ID]


def test_the_status_shows_all_that_is_set(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """R4."""
    error = TaskError(reason="ERROR_REASON_RUN_TIMEOUT", message="took too long")
    output = Output(text="Hel", partial=True)
    task = a_task(state="TASK_STATE_FAILED", error=error, output=output, usage=USAGE, metadata={"team": "blue"})
    server_in_thread.will("TaskStatus", TaskStatusResponse(task=task))
    server_in_thread.will("TaskStatus", TaskStatusResponse(task=task))

    assert musterd("tasks", "status", TASK_ID).stdout.splitlines() == [
        f"task:          {TASK_ID}",
        "state:         FAILED",
        "component:     greeter",
        "created:       2027-01-15 08:00:00+00:00",
        "usage:         2 requests, 1 tool call, 30 tokens in, 12 out",
        "labels:        team=blue",
        "error:         RUN_TIMEOUT: took too long",
        "output:        Hel",
    ]
    assert json.loads(musterd("tasks", "status", TASK_ID, "--json").stdout)["error"]["reason"] == "RUN_TIMEOUT"


def test_a_task_that_is_not_there_is_one_line_with_what_to_do(
    musterd: Musterd, server_in_thread: ScriptedServer
) -> None:
    """I5."""
    server_in_thread.will(
        "TaskStatus", Refusal(code=grpc.StatusCode.NOT_FOUND, reason="TASK_NOT_FOUND", message="there is no such task.")
    )

    result = musterd("tasks", "status", TASK_ID)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: TASK_NOT_FOUND: there is no such task. List yours with: musterd tasks list\n"


@pytest.mark.parametrize(("end", "code"), [(completed(4), 0), (failed(4), 1)], ids=["completed", "failed"])
def test_a_watch_goes_on_after_a_sequence_and_exits_as_a_run_does(
    musterd: Musterd, server_in_thread: ScriptedServer, end: event_pb2.RunEvent, code: int
) -> None:
    """R3."""
    server_in_thread.will("WatchTask", watch_message(text(3, "lo"), end, task=a_task()))

    result = musterd("tasks", "watch", TASK_ID, "--after", "2", "--until", "tree", "--json")

    assert [json.loads(line)["sequence"] for line in result.stdout.splitlines()] == [3, 4]
    assert result.exit_code == code
    (request,) = server_in_thread.requests("WatchTask")
    assert (request.after_sequence, request.until) == (2, 2)


def test_a_watch_shows_the_start_of_other_tasks(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    began = event(1, CHILD_ID, task_started=TaskStarted())
    server_in_thread.will("WatchTask", watch_message(began, completed(2), task=a_task()))

    assert "greeter: task started" in musterd("tasks", "watch", TASK_ID).stderr


@pytest.mark.parametrize(
    ("pending", "options", "code"),
    [
        ([], [], 0),
        ([CHILD_ID], [], 1),
        ([CHILD_ID], ["--any"], 0),
        ([TASK_ID, CHILD_ID], ["--any"], 1),
    ],
    ids=["all ended", "one is left", "any ended", "none ended"],
)
def test_waiting_exits_with_0_when_what_was_waited_for_happened(
    musterd: Musterd, server_in_thread: ScriptedServer, pending: list[str], options: list[str], code: int
) -> None:
    """R4."""
    tasks = [a_task(), a_task(CHILD_ID)]
    server_in_thread.will("WaitTasks", WaitTasksResponse(tasks=tasks, pending_task_ids=pending))

    result = musterd("tasks", "wait", TASK_ID, CHILD_ID, "--timeout-seconds", "0", *options)

    assert (result.exit_code, len(result.stdout.splitlines())) == (code, 2)


def test_canceling_says_what_really_happened(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """R5."""
    server_in_thread.will("CancelTask", CancelTaskResponse(task=a_task(), outcome="CANCEL_OUTCOME_CANCELING"))

    result = musterd("tasks", "cancel", TASK_ID, "--hard", "--reason", "enough", "--no-cascade")

    assert (result.exit_code, result.stdout) == (0, "CANCELING\n")
    (request,) = server_in_thread.requests("CancelTask")
    assert (request.mode, request.reason, request.cascade) == (2, "enough", False)


def test_steering_says_what_became_of_the_message(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """R6."""
    steered = SteerTaskResponse(steer_id="s", outcome="STEER_OUTCOME_PENDING", task=a_task())
    server_in_thread.will("SteerTask", steered)
    server_in_thread.will("SteerTask", steered)

    assert musterd("tasks", "steer", TASK_ID, "go left", "--wait-seconds", "0").stdout == "PENDING\n"
    assert json.loads(musterd("tasks", "steer", TASK_ID, "go left", "--json").stdout)["steer_id"] == "s"


def test_answering_shows_the_task(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """I7."""
    server_in_thread.will("AnswerTask", AnswerTaskResponse(task=a_task()))

    assert "WORKING" in musterd("tasks", "answer", TASK_ID, "blue", "--question", "q").stdout
    (request,) = server_in_thread.requests("AnswerTask")
    assert (request.answer, request.question_id) == ("blue", "q")


@pytest.mark.parametrize(("status", "code"), [("SERVING", 0), ("NOT_SERVING", 1)])
def test_health_exits_with_0_only_when_the_server_serves(
    musterd: Musterd, server_in_thread: ScriptedServer, status: str, code: int
) -> None:
    server_in_thread.will("Check", HealthCheckResponse(status=status))

    result = musterd("health", "--service", "musterd.v1.AgentService")

    assert (result.exit_code, result.stdout) == (code, f"{status}\n")
    assert server_in_thread.requests("Check")[0].service == "musterd.v1.AgentService"


def test_health_without_a_server_says_what_to_do(musterd: Musterd) -> None:
    result = musterd("health", "--target", "unix:/nowhere/grpc.sock")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "Is a server running at unix:/nowhere/grpc.sock?" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_tree_shows_a_task_and_all_below_it(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """R4."""
    top = a_task(usage=USAGE)
    child = a_task(CHILD_ID, component=ComponentRef(kind="COMPONENT_KIND_MEMBER", id="scout"), description="look\nup")
    for _ in range(2):
        server_in_thread.will("TaskStatus", TaskStatusResponse(task=top))
        server_in_thread.will("ListTasks", ListTasksResponse(tasks=[child, top]))

    result = musterd("tasks", "tree", TASK_ID)

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"greeter  WORKING  2 requests, 1 tool call, 30 tokens in, 12 out  {TASK_ID}",
        f"  scout  WORKING  0 requests, 0 tool calls, 0 tokens in, 0 out  {CHILD_ID}  look up",
    ]
    assert server_in_thread.requests("ListTasks")[0].root_task_id == TASK_ID
    as_json = musterd("tasks", "tree", TASK_ID, "--json").stdout.splitlines()
    assert [json.loads(line)["task_id"] for line in as_json] == [TASK_ID, CHILD_ID]


def test_the_status_shows_open_questions_and_what_the_tree_spent(
    musterd: Musterd, server_in_thread: ScriptedServer
) -> None:
    """R7, R10, N2."""
    questions = [Question(question_id="q", text="Which?"), Question(question_id="r", text="When?")]
    task = a_task(
        state="TASK_STATE_INPUT_REQUIRED",
        questions=questions,
        tree_usage=USAGE,
        description="dig",
        approvals=[an_approval(text="really")],
    )
    server_in_thread.will("TaskStatus", TaskStatusResponse(task=task))

    lines = musterd("tasks", "status", TASK_ID).stdout.splitlines()

    assert "questions:     q: Which?; r: When?" in lines
    assert "tree usage:    2 requests, 1 tool call, 30 tokens in, 12 out" in lines
    assert "description:   dig" in lines
    assert 'approvals:     a-1: pay {"euros":3}: really' in lines


def test_tasks_of_a_team_are_listed(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """R4."""
    server_in_thread.will("ListTasks", ListTasksResponse())

    assert musterd("tasks", "list", "--team", "advisers").exit_code == 0
    (request,) = server_in_thread.requests("ListTasks")
    assert (request.component.id, request.component.kind) == ("advisers", 2)


def test_tasks_of_an_agent_and_a_team_at_once_are_a_usage_error(musterd: Musterd) -> None:
    result = musterd("tasks", "list", "--team", "advisers", "--agent", "greeter")
    assert (result.exit_code, "give one of" in result.stderr) == (2, True)


def test_an_answer_that_nobody_waits_for_says_what_to_do(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """R7."""
    code = grpc.StatusCode.FAILED_PRECONDITION
    server_in_thread.will("AnswerTask", Refusal(code=code, reason="TASK_NOT_WAITING", message="it runs"))

    result = musterd("tasks", "answer", TASK_ID, "blue")

    assert result.exit_code == 1
    assert result.stderr == ("error: TASK_NOT_WAITING: it runs. See what it waits for with: musterd tasks status\n")
