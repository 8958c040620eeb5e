import json
from collections.abc import Callable

import pytest
from tests.unit.client.messages import (
    CHILD_ID,
    TASK_ID,
    a_task,
    approval_requested,
    approval_resolved,
    completed,
    event,
)
from tests.unit.client.scripted import ScriptedServer
from typer.testing import Result

from musterd_client.v1 import event_pb2
from musterd_client.v1.component_pb2 import Workflow, WorkflowStep
from musterd_client.v1.task_service_pb2 import ListTasksResponse, ResolveTaskResponse
from musterd_client.v1.workflow_service_pb2 import GetWorkflowResponse, ListWorkflowsResponse, RunWorkflowResponse

Musterd = Callable[..., Result]

DRAFT = event_pb2.StepPlace(name="draft", path=["writing", "draft"], iteration=2)
POEMS = Workflow(
    workflow_id="poems",
    description="writes poems",
    steps=[
        WorkflowStep(
            name="writing",
            kind="WORKFLOW_STEP_KIND_LOOP",
            max_iterations=3,
            steps=[WorkflowStep(name="draft", kind="WORKFLOW_STEP_KIND_AGENT", description="writes")],
        ),
        WorkflowStep(
            name="long",
            kind="WORKFLOW_STEP_KIND_CONDITION",
            steps=[WorkflowStep(name="cut", kind="WORKFLOW_STEP_KIND_FUNCTION")],
            else_steps=[WorkflowStep(name="keep", kind="WORKFLOW_STEP_KIND_FUNCTION")],
        ),
    ],
)


def test_workflows_are_listed_a_line_each(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """C8, W1."""
    found = [POEMS, Workflow(workflow_id="made", is_factory=True)]
    server_in_thread.will("ListWorkflows", ListWorkflowsResponse(workflows=found))
    server_in_thread.will("ListWorkflows", ListWorkflowsResponse(workflows=found))

    assert musterd("workflows", "list").stdout.splitlines() == [
        f"{'poems':<20}  writing, long",
        f"{'made':<20}  (factory)",
    ]
    lines = musterd("workflows", "list", "--json").stdout.splitlines()
    assert [json.loads(line)["is_factory"] for line in lines] == [False, True]


def test_a_workflow_is_shown_with_the_steps_inside_its_steps(
    musterd: Musterd, server_in_thread: ScriptedServer
) -> None:
    """C8, W1."""
    for workflow in (POEMS, POEMS, Workflow(workflow_id="made", is_factory=True)):
        server_in_thread.will("GetWorkflow", GetWorkflowResponse(workflow=workflow))

    assert musterd("workflows", "get", "poems").stdout.splitlines() == [
        "workflow poems: writes poems",
        "  writing  loop at most 3 times",
        "    draft  agent: writes",
        "  long  condition",
        "    cut  function",
        "  else",
        "    keep  function",
    ]
    assert json.loads(musterd("workflows", "get", "poems", "--json").stdout)["steps"][0]["kind"] == "LOOP"
    assert "factory" in musterd("workflows", "get", "made").stdout


def test_a_workflow_is_run_with_its_input_and_shows_its_steps(
    musterd: Musterd, server_in_thread: ScriptedServer
) -> None:
    """W1, W2."""
    failed = event_pb2.StepFailed(place=DRAFT, attempt=1, message="no idea", will_retry=True)
    server_in_thread.will(
        "RunWorkflow",
        RunWorkflowResponse(
            task=a_task(),
            events=[
                event(1, step_started=event_pb2.StepStarted(place=DRAFT, attempt=1, subtask_id=CHILD_ID)),
                event(2, step_failed=failed),
                event(3, step_started=event_pb2.StepStarted(place=DRAFT, attempt=2)),
                event(4, step_completed=event_pb2.StepCompleted(place=DRAFT, attempt=2, output="Rain,\nrain.")),
                completed(5, "Rain, rain."),
            ],
        ),
    )

    result = musterd("run", "workflow", "poems", "Go", "--input", '{"topic": "rain"}', "--session", "s")

    assert (result.exit_code, result.stdout) == (0, "Rain, rain.\n")
    assert result.stderr.splitlines()[:4] == [
        "▸ writing/draft in turn 2",
        "✗ writing/draft in turn 2: no idea, it is tried again",
        "▸ writing/draft in turn 2 (attempt 2)",
        "✓ writing/draft in turn 2: Rain, rain.",
    ]
    (request,) = server_in_thread.requests("RunWorkflow")
    assert (request.workflow_id, request.message, request.session_id) == ("poems", "Go", "s")
    assert request.factory_input["topic"] == "rain"


def test_without_a_terminal_a_run_says_how_to_decide(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """N2."""
    decided = approval_resolved(2, user_id="eve", reason="fine")
    server_in_thread.will(
        "RunWorkflow", RunWorkflowResponse(task=a_task(), events=[approval_requested(1), decided, completed(3)])
    )

    lines = musterd("run", "workflow", "poems").stderr.splitlines()

    command = f"musterd tasks resolve {TASK_ID} --approval a-1 --target {server_in_thread.target}"
    assert lines[:3] == [
        '? pay {"euros":3}',
        f"  approval a-1, decide with --approve or --deny: {command}",
        "! approval a-1 approved by eve: fine",
    ]


@pytest.mark.parametrize(
    ("options", "made"),
    [
        (["--approve"], ("", 1, "", "", "")),
        (["--approval", "a-1", "--approve", "--arguments", '{"n": 1}'], ("a-1", 1, "", '{"n": 1}', "")),
        (["--deny", "--reason", "too dear"], ("", 2, "too dear", "", "")),
        (["--result", "null"], ("", 3, "", "", "null")),
    ],
    ids=["approve", "other arguments", "deny", "result"],
)
def test_an_approval_is_decided(
    musterd: Musterd, server_in_thread: ScriptedServer, options: list[str], made: tuple[str, int, str, str, str]
) -> None:
    """N2."""
    server_in_thread.will("ResolveTask", ResolveTaskResponse(task=a_task()))

    result = musterd("tasks", "resolve", TASK_ID, *options, "--request-id", "r")

    assert (result.exit_code, result.stdout.split()[:2]) == (0, [TASK_ID, "WORKING"])
    (request,) = server_in_thread.requests("ResolveTask")
    (each,) = request.resolutions
    assert (request.task_id, request.request_id) == (TASK_ID, "r")
    assert (each.approval_id, each.verdict, each.reason, each.arguments_json, each.result_json) == made


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--approve", "--deny"],
        ["--approve", "--result", "1"],
        ["--deny", "--arguments", "{}"],
        ["--approve", "--arguments", "[]"],
        ["--result", "{"],
    ],
    ids=" ".join,
)
def test_a_decision_that_is_none_is_a_usage_error(musterd: Musterd, options: list[str]) -> None:
    """N2."""
    result = musterd("tasks", "resolve", TASK_ID, *options)
    assert (result.exit_code, "Invalid value" in result.stderr) == (2, True)


def test_a_decision_as_json_prints_the_task(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """N2."""
    server_in_thread.will("ResolveTask", ResolveTaskResponse(task=a_task()))

    assert json.loads(musterd("tasks", "resolve", TASK_ID, "--deny", "--json").stdout)["task_id"] == TASK_ID


def test_what_waits_for_a_decision_is_listed(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """N2, I5."""
    server_in_thread.will("ListTasks", ListTasksResponse(tasks=[a_task()]))

    assert musterd("tasks", "list", "--open-approvals", "--workflow", "poems").exit_code == 0
    (request,) = server_in_thread.requests("ListTasks")
    assert (request.has_open_approvals, request.component.id) == (True, "poems")
