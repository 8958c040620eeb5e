import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse
from tests.unit.client.messages import CHILD_ID, TASK_ID, a_task
from tests.unit.client.scripted import Refusal, ScriptedServer

from musterd_client import (
    CancelMode,
    CancelOutcome,
    HealthStatus,
    MusterdClient,
    NotFoundError,
    PreconditionFailedError,
    SteerOutcome,
    TaskState,
    WaitMode,
)
from musterd_client.v1.agent_service_pb2 import GetAgentResponse, ListAgentsResponse
from musterd_client.v1.component_pb2 import Agent, Tool
from musterd_client.v1.task_service_pb2 import (
    AnswerTaskResponse,
    CancelTaskResponse,
    ListTasksResponse,
    SteerTaskResponse,
    TaskStatusResponse,
    WaitTasksResponse,
)


async def test_agents_are_listed_over_all_pages(server: ScriptedServer, client: MusterdClient) -> None:
    """C8."""
    first = Agent(agent_id="a", name="A", tools=[Tool(name="dig", parameters_schema_json="{}")])
    server.will("ListAgents", ListAgentsResponse(agents=[first], next_page_token="more"))
    server.will("ListAgents", ListAgentsResponse(agents=[Agent(agent_id="b", is_factory=True)]))

    agents = [agent async for agent in client.agents.list(page_size=1)]

    assert [(agent.agent_id, agent.is_factory) for agent in agents] == [("a", False), ("b", True)]
    assert agents[0].tools[0].name == "dig"
    assert [request.page_token for request in server.requests("ListAgents")] == ["", "more"]


async def test_one_agent_is_described(server: ScriptedServer, client: MusterdClient) -> None:
    """C8."""
    server.will("GetAgent", GetAgentResponse(agent=Agent(agent_id="a", input_schema_json='{"type":"object"}')))

    assert (await client.agents.get("a")).input_schema_json == '{"type":"object"}'


async def test_tasks_are_listed_with_the_same_filters_over_all_pages(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """R4."""
    server.will("ListTasks", ListTasksResponse(tasks=[a_task()], next_page_token="more"))
    server.will("ListTasks", ListTasksResponse(tasks=[a_task(CHILD_ID)]))

    listed = client.tasks.list(states=[TaskState.WORKING, TaskState.AUTH_REQUIRED], agent_id="a", session_id="s")

    assert [task.task_id async for task in listed] == [TASK_ID, CHILD_ID]
    requests = server.requests("ListTasks")
    assert [(request.page_token, list(request.states)) for request in requests] == [("", [2, 8]), ("more", [2, 8])]
    assert {(request.component.id, request.session_id) for request in requests} == {("a", "s")}


async def test_a_task_is_shown_as_it_stands(server: ScriptedServer, client: MusterdClient) -> None:
    """R4."""
    server.will("TaskStatus", TaskStatusResponse(task=a_task(CHILD_ID, metadata={"team": "blue"})))

    task = await client.tasks.status(CHILD_ID)

    assert (task.state, task.is_root, task.metadata) == (TaskState.WORKING, False, {"team": "blue"})
    assert task.create_time is not None
    assert (task.create_time.isoformat(), task.start_time) == ("2027-01-15T08:00:00+00:00", None)


async def test_a_state_of_a_newer_server_is_unknown(server: ScriptedServer, client: MusterdClient) -> None:
    task = a_task()
    task.state = 99  # pyright: ignore[reportAttributeAccessIssue] - not known here
    server.will("TaskStatus", TaskStatusResponse(task=task))

    assert (await client.tasks.status(TASK_ID)).state is TaskState.UNKNOWN


async def test_waiting_says_what_is_still_pending(server: ScriptedServer, client: MusterdClient) -> None:
    """R4."""
    response = WaitTasksResponse(tasks=[a_task()], pending_task_ids=[TASK_ID], timed_out=True)
    server.will("WaitTasks", response)

    waited = await client.tasks.wait([TASK_ID], mode=WaitMode.ANY, timeout_seconds=0)

    assert (waited.pending_task_ids, waited.input_required_task_ids, waited.timed_out) == ((TASK_ID,), (), True)
    (request,) = server.requests("WaitTasks")
    assert (list(request.task_ids), request.mode) == ([TASK_ID], 2)
    assert (request.HasField("timeout"), request.timeout.seconds) == (True, 0)


async def test_a_repeated_wait_asks_for_the_time_that_is_left(server: ScriptedServer, client: MusterdClient) -> None:
    """R4: whoever waits hears that the time is over in time, and not from a limit of the call."""
    server.will("WaitTasks", Refusal())
    server.will("WaitTasks", WaitTasksResponse(tasks=[a_task()], timed_out=True))

    assert (await client.tasks.wait([TASK_ID], timeout_seconds=300)).timed_out
    first, second = server.requests("WaitTasks")
    assert first.timeout.ToSeconds() == 300
    assert 0 < second.timeout.ToNanoseconds() < first.timeout.ToNanoseconds()


async def test_a_wait_whose_time_is_over_when_the_server_is_back_looks_once(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """R4."""
    server.will("WaitTasks", Refusal())
    server.will("WaitTasks", WaitTasksResponse(tasks=[a_task()], timed_out=True))

    assert (await client.tasks.wait([TASK_ID], timeout_seconds=0.000_001)).timed_out
    assert [request.timeout.ToNanoseconds() for request in server.requests("WaitTasks")] == [1_000, 0]


async def test_canceling_says_what_really_happened(server: ScriptedServer, client: MusterdClient) -> None:
    """R5."""
    response = CancelTaskResponse(task=a_task(state="TASK_STATE_CANCELING"), outcome="CANCEL_OUTCOME_CANCELING")
    server.will("CancelTask", Refusal())
    server.will("CancelTask", response)

    result = await client.tasks.cancel(TASK_ID, mode=CancelMode.HARD, grace_seconds=2, reason="enough", cascade=False)

    assert (result.outcome, result.task.state) == (CancelOutcome.CANCELING, TaskState.CANCELING)
    first, second = server.requests("CancelTask")
    assert first == second
    assert first.request_id
    assert (first.mode, first.grace.seconds, first.reason, first.cascade) == (2, 2, "enough", False)


async def test_a_task_that_cannot_be_canceled_raises(server: ScriptedServer, client: MusterdClient) -> None:
    """R5 (refusal)."""
    server.will("CancelTask", Refusal(code=grpc.StatusCode.FAILED_PRECONDITION, reason="TASK_NOT_CANCELABLE"))

    with pytest.raises(PreconditionFailedError, match="TASK_NOT_CANCELABLE"):
        await client.tasks.cancel(TASK_ID)


async def test_steering_says_whether_the_message_was_applied(server: ScriptedServer, client: MusterdClient) -> None:
    """R6."""
    server.will("SteerTask", SteerTaskResponse(steer_id="s", outcome="STEER_OUTCOME_APPLIED", task=a_task()))

    result = await client.tasks.steer(TASK_ID, "go left", request_id="r")

    assert (result.steer_id, result.outcome, result.task.task_id) == ("s", SteerOutcome.APPLIED, TASK_ID)
    (request,) = server.requests("SteerTask")
    assert (request.message, request.request_id, request.HasField("wait_timeout")) == ("go left", "r", False)


async def test_answering_returns_the_task_after_it(server: ScriptedServer, client: MusterdClient) -> None:
    """I7."""
    server.will("AnswerTask", AnswerTaskResponse(task=a_task(state="TASK_STATE_SUBMITTED")))

    assert (await client.tasks.answer(TASK_ID)).state is TaskState.SUBMITTED
    assert server.requests("AnswerTask")[0].request_id


async def test_health_is_what_the_server_says(server: ScriptedServer, client: MusterdClient) -> None:
    server.will("Check", HealthCheckResponse(status=HealthCheckResponse.SERVING))
    server.will("Check", HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING))
    server.will("Check", Refusal(code=grpc.StatusCode.NOT_FOUND))

    assert await client.health() is HealthStatus.SERVING
    assert await client.health("musterd.v1.AgentService") is HealthStatus.NOT_SERVING
    with pytest.raises(NotFoundError):
        await client.health("no.such.Service")
    assert [request.service for request in server.requests("Check")][1] == "musterd.v1.AgentService"
