import pytest
from tests.unit.client.messages import CHILD_ID, TASK_ID, a_task, completed, event, text, watch_message
from tests.unit.client.scripted import Refusal, ScriptedServer

from musterd_client import (
    BranchChosen,
    LoopTurned,
    MusterdClient,
    StepCompleted,
    StepFailed,
    StepPlace,
    StepSkipped,
    StepStarted,
    WorkflowStep,
    WorkflowStepKind,
)
from musterd_client.v1 import component_pb2, event_pb2
from musterd_client.v1.task_service_pb2 import ListTasksResponse
from musterd_client.v1.workflow_service_pb2 import GetWorkflowResponse, ListWorkflowsResponse, RunWorkflowResponse

PLACE = event_pb2.StepPlace(name="draft", path=["writing", "draft"], index=1, iteration=2)


async def test_workflows_are_listed_over_all_pages(server: ScriptedServer, client: MusterdClient) -> None:
    """C8, W1."""
    server.will(
        "ListWorkflows",
        ListWorkflowsResponse(workflows=[component_pb2.Workflow(workflow_id="a")], next_page_token="more"),
    )
    server.will(
        "ListWorkflows", ListWorkflowsResponse(workflows=[component_pb2.Workflow(workflow_id="b", is_factory=True)])
    )

    workflows = [each async for each in client.workflows.list(page_size=1)]

    assert [(each.workflow_id, each.is_factory) for each in workflows] == [("a", False), ("b", True)]
    assert [request.page_token for request in server.requests("ListWorkflows")] == ["", "more"]


async def test_a_workflow_is_described_with_the_steps_inside_its_steps(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """C8, W1."""
    draft = component_pb2.WorkflowStep(name="draft", kind="WORKFLOW_STEP_KIND_AGENT", description="writes")
    stop = component_pb2.WorkflowStep(name="stop", kind="WORKFLOW_STEP_KIND_FUNCTION")
    check = component_pb2.WorkflowStep(name="check", kind="WORKFLOW_STEP_KIND_CONDITION", else_steps=[stop])
    loop = component_pb2.WorkflowStep(
        name="writing", kind="WORKFLOW_STEP_KIND_LOOP", steps=[draft, check], max_iterations=3
    )
    server.will("GetWorkflow", GetWorkflowResponse(workflow=component_pb2.Workflow(workflow_id="a", steps=[loop])))

    (step,) = (await client.workflows.get("a")).steps

    assert (step.name, step.kind, step.max_iterations) == ("writing", WorkflowStepKind.LOOP, 3)
    assert step.steps[0] == WorkflowStep(name="draft", kind=WorkflowStepKind.AGENT, description="writes")
    assert [each.name for each in step.steps[1].else_steps] == ["stop"]


async def test_a_workflow_runs_as_an_agent_does_and_is_followed_when_its_stream_breaks(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """W1, W2, R3."""
    began = event_pb2.StepStarted(place=PLACE, kind="WORKFLOW_STEP_KIND_AGENT", attempt=1, subtask_id=CHILD_ID)
    done = event_pb2.StepCompleted(place=PLACE, attempt=1, output="a poem")
    server.will("RunWorkflow", RunWorkflowResponse(task=a_task(), events=[event(1, step_started=began)]), Refusal())
    server.will(
        "WatchTask",
        watch_message(text(2, "a poem", task_id=CHILD_ID), event(3, step_completed=done), completed(4), task=a_task()),
    )

    async with client.run_workflow("poems", "Go", factory_input={"topic": "rain"}, request_id="r") as run:
        first, _, third, _ = [each async for each in run]

    assert isinstance(first, StepStarted)
    assert (first.place, first.step_kind, first.subtask_id) == (
        StepPlace(name="draft", path=("writing", "draft"), index=1, iteration=2),
        WorkflowStepKind.AGENT,
        CHILD_ID,
    )
    assert isinstance(third, StepCompleted)
    assert third.output == "a poem"
    (request,) = server.requests("RunWorkflow")
    assert (request.workflow_id, request.message, request.request_id) == ("poems", "Go", "r")
    assert request.factory_input["topic"] == "rain"
    assert server.requests("WatchTask")[0].after_sequence == 1


async def test_a_workflow_that_is_not_reached_is_run_again_with_the_same_request_id(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """R8, W1."""
    server.will("RunWorkflow", Refusal())
    server.will("RunWorkflow", RunWorkflowResponse(task=a_task(), events=[completed(1)]))

    assert (await client.run_workflow("poems").result()).text == "Hello"
    first, second = server.requests("RunWorkflow")
    assert first == second
    assert first.request_id


async def test_a_workflow_in_the_background_is_followed_for_its_result(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """R2, W1."""
    server.will("RunWorkflow", RunWorkflowResponse(task=a_task(state="TASK_STATE_SUBMITTED")))
    server.will("WatchTask", watch_message(completed(1), task=a_task()))

    assert (await client.run_workflow("poems", background=True).result()).text == "Hello"
    assert server.requests("RunWorkflow")[0].background


async def test_failures_choices_and_turns_are_events(server: ScriptedServer, client: MusterdClient) -> None:
    """W2."""
    failed = event_pb2.StepFailed(place=PLACE, attempt=2, message="no", will_retry=True)
    skipped = event_pb2.StepSkipped(place=PLACE, reason="not needed")
    chosen = event_pb2.BranchChosen(place=PLACE, choices=["a", "b"])
    turned = event_pb2.LoopTurned(place=PLACE, turn=2, will_continue=True)
    happened = [
        event(1, step_failed=failed),
        event(2, step_skipped=skipped),
        event(3, branch_chosen=chosen),
        event(4, loop_turned=turned),
    ]
    server.will("RunWorkflow", RunWorkflowResponse(task=a_task(), events=[*happened, completed(5)]))

    async with client.run_workflow("poems") as run:
        first, second, third, fourth, _ = [each async for each in run]

    assert isinstance(first, StepFailed)
    assert (first.attempt, first.message, first.will_retry, first.is_skipped) == (2, "no", True, False)
    assert isinstance(second, StepSkipped)
    assert second.reason == "not needed"
    assert isinstance(third, BranchChosen)
    assert third.choices == ("a", "b")
    assert isinstance(fourth, LoopTurned)
    assert (fourth.turn, fourth.will_continue) == (2, True)


async def test_tasks_of_one_workflow_are_listed(server: ScriptedServer, client: MusterdClient) -> None:
    """R4."""
    server.will("ListTasks", ListTasksResponse(tasks=[a_task()]))

    assert [task.task_id async for task in client.tasks.list(workflow_id="poems")] == [TASK_ID]
    (request,) = server.requests("ListTasks")
    assert (request.component.id, request.component.kind) == ("poems", component_pb2.COMPONENT_KIND_WORKFLOW)


async def test_tasks_of_several_components_at_once_are_refused(client: MusterdClient) -> None:
    """R4."""
    with pytest.raises(ValueError, match="about one component"):
        _ = [task async for task in client.tasks.list(agent_id="a", workflow_id="w")]
