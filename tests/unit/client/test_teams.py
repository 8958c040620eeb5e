import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tests.unit.client.messages import (
    CHILD_ID,
    TASK_ID,
    a_task,
    completed,
    event,
    run_message,
    team_message,
    text,
    watch_message,
)
from tests.unit.client.scripted import Refusal, ScriptedServer

from musterd_client import (
    CallError,
    ComponentKind,
    MusterdClient,
    NotFoundError,
    OnDisconnect,
    PreconditionFailedError,
    Priority,
    QuestionAsked,
    RunOptions,
    SubtaskStarted,
    TaskState,
    TeamMember,
    TeamMessageSent,
    TeamMode,
    TextPart,
    TodoChange,
    TodoChanged,
    TodoStatus,
    UsageLimits,
)
from musterd_client.team_codec import todo_from
from musterd_client.v1 import board_pb2, component_pb2, event_pb2, task_pb2
from musterd_client.v1.task_service_pb2 import AnswerTaskResponse, ListTasksResponse, TaskStatusResponse
from musterd_client.v1.team_service_pb2 import (
    AddTodoResponse,
    GetTeamBoardResponse,
    GetTeamResponse,
    ListTeamsResponse,
    SendTeamMessageResponse,
)

TODO = board_pb2.Todo(todo_id="2", content="write", status="TODO_STATUS_PENDING", blocked_by=["1"], created_by="leader")
MESSAGE = board_pb2.TeamMessage(
    message_id="m", sender="user:ann", content="hurry", create_time=Timestamp(seconds=1_800_000_000)
)
MEMBER = component_pb2.ComponentRef(kind="COMPONENT_KIND_MEMBER", id="writer")


async def test_teams_are_listed_over_all_pages(server: ScriptedServer, client: MusterdClient) -> None:
    """C8."""
    writer = component_pb2.TeamMember(name="writer", role="author")
    first = component_pb2.Team(team_id="a", mode="TEAM_MODE_TASKS", members=[writer])
    server.will("ListTeams", ListTeamsResponse(teams=[first], next_page_token="more"))
    server.will("ListTeams", ListTeamsResponse(teams=[component_pb2.Team(team_id="b", is_factory=True)]))

    teams = [team async for team in client.teams.list(page_size=1)]

    assert [(team.team_id, team.is_factory, team.mode) for team in teams] == [
        ("a", False, TeamMode.TASKS),
        ("b", True, TeamMode.UNKNOWN),
    ]
    assert teams[0].members == (TeamMember(name="writer", role="author"),)
    assert [request.page_token for request in server.requests("ListTeams")] == ["", "more"]


async def test_one_team_is_described(server: ScriptedServer, client: MusterdClient) -> None:
    """C8."""
    server.will("GetTeam", GetTeamResponse(team=component_pb2.Team(team_id="a", description="writes")))

    assert (await client.teams.get("a")).description == "writes"


async def test_a_team_runs_as_an_agent_does(server: ScriptedServer, client: MusterdClient) -> None:
    """T1."""
    began = event_pb2.SubtaskStarted(subtask_id=CHILD_ID, component=MEMBER, description="write it", in_background=True)
    server.will(
        "RunTeam",
        team_message(event(1, subtask_started=began), task=a_task()),
        team_message(text(2, "draft", task_id=CHILD_ID), text(3, "Done."), completed(4, "Done.")),
    )

    async with client.run_team("writers", "Write.") as run:
        events = [each async for each in run]

    assert isinstance(events[0], SubtaskStarted)
    assert (events[0].subtask_id, events[0].subtask.kind) == (CHILD_ID, ComponentKind.MEMBER)
    assert (events[0].description, events[0].in_background) == ("write it", True)
    assert [each.task_id for each in events] == [TASK_ID, CHILD_ID, TASK_ID, TASK_ID]
    assert (run.text, (await run.result()).text) == ("Done.", "Done.")


async def test_a_team_is_given_the_same_as_an_agent(server: ScriptedServer, client: MusterdClient) -> None:
    """T1."""
    server.will("RunAgent", run_message(completed(1), task=a_task()))
    server.will("RunTeam", team_message(completed(1), task=a_task()))
    options = RunOptions(
        parts=[TextPart(text="a note")],
        session_id="s",
        user_id="u",
        factory_input={"tier": "gold"},
        request_id="r",
        run_timeout_seconds=1.5,
        usage_limits=UsageLimits(requests=4),
        priority=Priority.HIGH,
        on_disconnect=OnDisconnect.CANCEL,
        metadata={"team": "blue"},
    )

    await client.run_agent("a", "Hi", **options).result()
    await client.run_team("t", "Hi", **options).result()

    (to_agent,), (to_team,) = server.requests("RunAgent"), server.requests("RunTeam")
    assert (to_agent.agent_id, to_team.team_id) == ("a", "t")
    to_agent.ClearField("agent_id")
    to_team.ClearField("team_id")
    assert to_agent.SerializeToString(deterministic=True) == to_team.SerializeToString(deterministic=True)


async def test_an_option_that_runs_do_not_have_is_refused(client: MusterdClient) -> None:
    with pytest.raises(TypeError, match=r"no option sesion_id; it has parts, session_id"):
        client.run_team("t", sesion_id="s")  # pyright: ignore[reportCallIssue] - that is the mistake


async def test_a_run_of_a_team_that_breaks_is_followed_again(server: ScriptedServer, client: MusterdClient) -> None:
    """R3."""
    server.will("RunTeam", team_message(text(1, "Do"), task=a_task()), Refusal())
    server.will("WatchTask", watch_message(text(2, "ne."), completed(3, "Done."), task=a_task()))

    assert (await client.run_team("writers").result()).text == "Done."
    assert server.requests("WatchTask")[0].after_sequence == 1


async def test_a_board_shows_members_todos_and_messages(server: ScriptedServer, client: MusterdClient) -> None:
    """T7."""
    member = board_pb2.BoardMember(name="writer", role="author", tasks=[a_task(CHILD_ID)])
    board = board_pb2.TeamBoard(task_id=TASK_ID, team="writers", members=[member], todos=[TODO], messages=[MESSAGE])
    server.will("GetTeamBoard", GetTeamBoardResponse(board=board))

    found = await client.teams.board(TASK_ID)

    assert (found.task_id, found.team) == (TASK_ID, "writers")
    assert [(each.name, each.tasks[0].task_id) for each in found.members] == [("writer", CHILD_ID)]
    assert [(each.status, each.blocked_by) for each in found.todos] == [(TodoStatus.PENDING, ("1",))]
    assert found.messages[0].create_time is not None
    assert (found.messages[0].sender, found.messages[0].create_time.year) == ("user:ann", 2027)


async def test_a_task_without_a_board_raises(server: ScriptedServer, client: MusterdClient) -> None:
    """T7."""
    server.will("GetTeamBoard", Refusal(code=grpc.StatusCode.NOT_FOUND, reason="BOARD_NOT_FOUND"))

    with pytest.raises(NotFoundError, match="BOARD_NOT_FOUND"):
        await client.teams.board(TASK_ID)


async def test_an_item_is_added_once_however_often_the_call_is_repeated(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """T7, R8."""
    server.will("AddTodo", Refusal())
    server.will("AddTodo", AddTodoResponse(todo=TODO))

    todo = await client.teams.add_todo(TASK_ID, "write", blocked_by=["1"])

    assert (todo.todo_id, todo.content, todo.created_by) == ("2", "write", "leader")
    first, second = server.requests("AddTodo")
    assert first == second
    assert first.request_id
    assert (first.task_id, first.content, list(first.blocked_by)) == (TASK_ID, "write", ["1"])


@pytest.mark.parametrize(("receiver", "request_id"), [("", "r"), ("writer", "s")], ids=["to all", "to one"])
async def test_a_message_is_sent_to_one_or_to_all(
    server: ScriptedServer, client: MusterdClient, receiver: str, request_id: str
) -> None:
    """T7."""
    server.will("SendTeamMessage", SendTeamMessageResponse(message=MESSAGE))

    sent = await client.teams.send_message(TASK_ID, "hurry", receiver=receiver, request_id=request_id)

    assert (sent.message_id, sent.content) == ("m", "hurry")
    (request,) = server.requests("SendTeamMessage")
    assert (request.task_id, request.content, request.receiver) == (TASK_ID, "hurry", receiver)
    assert request.request_id == request_id


@pytest.mark.parametrize("reason", ["TEAM_ENDED", "TODO_REFUSED", "A_REASON_OF_A_NEWER_SERVER"])
async def test_a_refused_item_tells_its_reason_even_an_unknown_one(
    server: ScriptedServer, client: MusterdClient, reason: str
) -> None:
    """T7."""
    server.will("AddTodo", Refusal(code=grpc.StatusCode.FAILED_PRECONDITION, reason=reason))

    with pytest.raises(CallError) as caught:
        await client.teams.add_todo(TASK_ID, "write")
    assert isinstance(caught.value, PreconditionFailedError)
    assert caught.value.reason == reason


async def test_changes_of_the_board_are_events(server: ScriptedServer, client: MusterdClient) -> None:
    """T2, T3."""
    changed = event_pb2.TodoChanged(change="TODO_CHANGE_ADDED", todo=TODO, actor="leader")
    sent = event_pb2.TeamMessageSent(message=MESSAGE)
    server.will(
        "RunTeam",
        team_message(event(1, todo_changed=changed), event(2, team_message_sent=sent), completed(3), task=a_task()),
    )

    async with client.run_team("writers") as run:
        first, second, _ = [each async for each in run]

    assert isinstance(first, TodoChanged)
    assert (first.change, first.todo.content, first.actor) == (TodoChange.ADDED, "write", "leader")
    assert isinstance(second, TeamMessageSent)
    assert second.message.content == "hurry"


async def test_a_task_tells_what_it_asks_and_is_answered(server: ScriptedServer, client: MusterdClient) -> None:
    """R7."""
    question = task_pb2.Question(question_id="q", text="Which?", expire_time=Timestamp(seconds=1_800_000_300))
    waiting = a_task(state="TASK_STATE_INPUT_REQUIRED", questions=[question], tree_usage=task_pb2.Usage(requests=3))
    server.will("TaskStatus", TaskStatusResponse(task=waiting))
    server.will("AnswerTask", AnswerTaskResponse(task=a_task()))

    task = await client.tasks.status(TASK_ID)
    (asked,) = task.questions
    answered = await client.tasks.answer(TASK_ID, "the blue one", asked.question_id)

    assert (task.state, asked.text, asked.create_time) == (TaskState.INPUT_REQUIRED, "Which?", None)
    assert task.tree_usage is not None
    assert task.tree_usage.requests == 3
    assert answered.questions == ()
    (request,) = server.requests("AnswerTask")
    assert (request.answer, request.question_id) == ("the blue one", "q")


async def test_a_child_tells_what_it_was_asked_to_do(server: ScriptedServer, client: MusterdClient) -> None:
    """S13."""
    server.will("TaskStatus", TaskStatusResponse(task=a_task(CHILD_ID, description="dig", outlives_parent=True)))

    task = await client.tasks.status(CHILD_ID)

    assert (task.description, task.outlives_parent, task.tree_usage) == ("dig", True, None)


async def test_a_question_is_an_event(server: ScriptedServer, client: MusterdClient) -> None:
    """S7."""
    asked = event_pb2.QuestionAsked(question_id="q", text="Which?", expire_time=Timestamp(seconds=1_800_000_300))
    server.will("RunAgent", run_message(event(1, question_asked=asked), completed(2), task=a_task()))

    async with client.run_agent("greeter") as run:
        first, _ = [each async for each in run]

    assert isinstance(first, QuestionAsked)
    assert first.expire_time is not None
    assert (first.question_id, first.text, first.expire_time.minute) == ("q", "Which?", 5)


async def test_tasks_of_one_team_are_listed(server: ScriptedServer, client: MusterdClient) -> None:
    """R4."""
    server.will("ListTasks", ListTasksResponse(tasks=[a_task()]))

    assert [task.task_id async for task in client.tasks.list(team_id="writers")] == [TASK_ID]
    (request,) = server.requests("ListTasks")
    assert (request.component.id, request.component.kind) == ("writers", 2)


async def test_tasks_of_an_agent_and_a_team_at_once_are_refused(client: MusterdClient) -> None:
    """R4."""
    with pytest.raises(ValueError, match="not more"):
        _ = [task async for task in client.tasks.list(agent_id="a", team_id="t")]


def test_a_status_of_a_newer_server_is_unknown() -> None:
    assert todo_from(board_pb2.Todo.FromString(b"\x18\x63")).status is TodoStatus.UNKNOWN
