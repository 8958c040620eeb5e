import json
from collections.abc import Callable

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tests.unit.client.messages import CHILD_ID, TASK_ID, a_task, completed, event, failed, team_message, text
from tests.unit.client.scripted import Refusal, ScriptedServer
from typer.testing import Result

from musterd_client.v1 import event_pb2
from musterd_client.v1.board_pb2 import BoardMember, TeamBoard, TeamMessage, Todo
from musterd_client.v1.component_pb2 import ComponentRef, Team, TeamMember
from musterd_client.v1.team_service_pb2 import (
    AddTodoResponse,
    GetTeamBoardResponse,
    ListTeamsResponse,
    SendTeamMessageResponse,
)

Musterd = Callable[..., Result]

SCOUT = ComponentRef(kind="COMPONENT_KIND_MEMBER", id="scout")
TODO = Todo(
    todo_id="2", content="write", status="TODO_STATUS_COMPLETED", assigned_to="scout", blocked_by=["1"], result="done"
)
MESSAGE = TeamMessage(
    message_id="m", sender="user:ann", content="hurry\nup", create_time=Timestamp(seconds=1_800_000_000)
)


def of_scout(sequence: int, **kind: event_pb2.TaskStarted | event_pb2.QuestionAsked) -> event_pb2.RunEvent:
    happened = event(sequence, CHILD_ID, **kind)
    happened.component.CopyFrom(SCOUT)
    return happened


def test_teams_are_listed_a_line_each(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """C8."""
    members = [TeamMember(name="scout"), TeamMember(name="writer")]
    teams = [Team(team_id="advisers", mode="TEAM_MODE_ROUTE", members=members), Team(team_id="b", is_factory=True)]
    server_in_thread.will("ListTeams", ListTeamsResponse(teams=teams))
    server_in_thread.will("ListTeams", ListTeamsResponse(teams=teams))

    assert musterd("teams", "list").stdout.splitlines() == [
        "advisers              ROUTE       scout, writer",
        "b                     (factory)",
    ]
    first, _ = musterd("teams", "list", "--json").stdout.splitlines()
    assert json.loads(first)["members"][1]["name"] == "writer"


def test_a_team_is_run_with_a_line_for_each_thing_that_matters(
    musterd: Musterd, server_in_thread: ScriptedServer
) -> None:
    """T1, T2, T3."""
    todo = Todo(todo_id="1", content="look", status="TODO_STATUS_PENDING")
    server_in_thread.will(
        "RunTeam",
        team_message(
            event(1, todo_changed=event_pb2.TodoChanged(change="TODO_CHANGE_ADDED", todo=todo, actor="leader")),
            event(2, subtask_started=event_pb2.SubtaskStarted(subtask_id=CHILD_ID, component=SCOUT, description="go")),
            of_scout(3, task_started=event_pb2.TaskStarted(parent_task_id=TASK_ID)),
            event(4, team_message_sent=event_pb2.TeamMessageSent(message=MESSAGE)),
            of_scout(5, question_asked=event_pb2.QuestionAsked(question_id="q", text="Which way?")),
            task=a_task(),
        ),
        team_message(
            event(6, CHILD_ID, question_answered=event_pb2.QuestionAnswered(question_id="q", answer="left")),
            event(7, CHILD_ID, question_expired=event_pb2.QuestionExpired(question_id="r")),
            text(8, "hidden", task_id=CHILD_ID),
            event(9, CHILD_ID, task_failed=failed(9).task_failed),
            event(10, subtask_ended=event_pb2.SubtaskEnded(subtask_id=CHILD_ID, component=SCOUT)),
            text(11, "Take an umbrella."),
            completed(12, "Take an umbrella."),
        ),
    )

    result = musterd("run", "team", "advisers", "What now?", "--user", "u", "--timeout-seconds", "9")

    answering = f'musterd tasks answer {CHILD_ID} "…" --question q'
    assert (result.exit_code, result.stdout) == (0, "Take an umbrella.\n")
    assert result.stderr.splitlines() == [
        "☐ 1 added by leader: look",
        "⇢ scout: go",
        "scout: task started",
        "✉ user:ann to all: hurry up",
        "scout: ? Which way?",
        f"  question q, answer with: {answering} --target {server_in_thread.target}",
        "scout: ! left",
        "scout: ! nobody answered question r in time",
        "scout: task failed: MODEL_FAILED: the model refused",
        "2 requests, 1 tool call, 30 tokens in, 12 out",
    ]
    (request,) = server_in_thread.requests("RunTeam")
    assert (request.team_id, request.message, request.user_id) == ("advisers", "What now?", "u")
    assert request.run_timeout.seconds == 9


def test_a_background_run_of_a_team_prints_its_id(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """R2."""
    server_in_thread.will("RunTeam", team_message(task=a_task(state="TASK_STATE_SUBMITTED")))

    result = musterd("run", "team", "advisers", "--background")

    assert (result.exit_code, result.stdout) == (0, f"{TASK_ID}\n")
    assert f"musterd tasks watch {TASK_ID}" in result.stderr


def test_a_board_shows_members_todos_and_messages(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """T7."""
    member = BoardMember(name="scout", role="eyes", tasks=[a_task(CHILD_ID, description="go")])
    board = TeamBoard(task_id=TASK_ID, team="advisers", members=[member], todos=[TODO], messages=[MESSAGE])
    server_in_thread.will("GetTeamBoard", GetTeamBoardResponse(board=board))
    server_in_thread.will("GetTeamBoard", GetTeamBoardResponse(board=board))

    assert musterd("teams", "board", TASK_ID).stdout.splitlines() == [
        f"team advisers, task {TASK_ID}",
        "",
        "members:",
        "  scout (eyes)",
        f"    {CHILD_ID}  WORKING         go",
        "",
        "todos:",
        "  2  COMPLETED    write  (by scout; after 1; done)",
        "",
        "messages:",
        "  2027-01-15T08:00:00+00:00  user:ann to all: hurry up",
    ]
    assert json.loads(musterd("teams", "board", TASK_ID, "--json").stdout)["todos"][0]["status"] == "COMPLETED"


def test_a_board_with_nothing_on_it_says_so(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """T7."""
    board = TeamBoard(task_id=TASK_ID, team="advisers", members=[BoardMember(name="scout")])
    server_in_thread.will("GetTeamBoard", GetTeamBoardResponse(board=board))

    lines = musterd("teams", "board", TASK_ID).stdout.splitlines()
    assert [line for line in lines[1:] if line] == ["members:", "  scout", "todos: none", "messages: none"]


def test_a_task_without_a_board_is_one_line_with_what_to_do(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """T7."""
    refusal = Refusal(code=grpc.StatusCode.NOT_FOUND, reason="BOARD_NOT_FOUND", message="it is no team's task")
    server_in_thread.will("GetTeamBoard", refusal)

    result = musterd("teams", "board", TASK_ID)

    assert result.exit_code == 1
    assert result.stderr == "error: BOARD_NOT_FOUND: it is no team's task. Give the id of a team's task.\n"


def test_a_todo_is_added_behind_others(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """T7."""
    server_in_thread.will("AddTodo", AddTodoResponse(todo=TODO))
    server_in_thread.will("AddTodo", AddTodoResponse(todo=TODO))

    assert musterd("teams", "add-todo", TASK_ID, "write", "--blocked-by", "1", "--blocked-by", "0").stdout == "2\n"
    assert json.loads(musterd("teams", "add-todo", TASK_ID, "write", "--json").stdout)["content"] == "write"
    first, second = server_in_thread.requests("AddTodo")
    assert (first.task_id, first.content, list(first.blocked_by)) == (TASK_ID, "write", ["1", "0"])
    assert list(second.blocked_by) == []


@pytest.mark.parametrize(("options", "receiver"), [([], ""), (["--to", "scout"], "scout")], ids=["to all", "to one"])
def test_a_message_goes_to_one_or_to_all(
    musterd: Musterd, server_in_thread: ScriptedServer, options: list[str], receiver: str
) -> None:
    """T7."""
    server_in_thread.will("SendTeamMessage", SendTeamMessageResponse(message=MESSAGE))

    assert musterd("teams", "message", TASK_ID, "hurry", "--request-id", "r", *options).stdout == "m\n"
    (request,) = server_in_thread.requests("SendTeamMessage")
    assert (request.content, request.receiver, request.request_id) == ("hurry", receiver, "r")
