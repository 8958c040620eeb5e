"""What the codec makes of tasks, boards and components, and of the bad fields of requests."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from musterd.domain.board import (
    MAX_MESSAGE_CHARS,
    MAX_TODO_CHARS,
    MAX_TODOS,
    BoardMember,
    TeamMessage,
    Todo,
    TodoStatus,
)
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.task import ComponentKind, ComponentRef, Question, Task, TaskState, Usage
from musterd.domain.team_board import Board
from musterd.runtime.components.registry import ComponentInfo, MemberInfo
from musterd.transport.codec import requests
from musterd.transport.codec.boards import encode_board
from musterd.transport.codec.components import encode_team
from musterd.transport.codec.tasks import KIND_FROM_WIRE, encode_task
from musterd_client.v1 import board_pb2, component_pb2, task_pb2

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
WIRE_MOMENT = Timestamp(seconds=1_767_323_045, nanos=678_901_000)
TEAM = ComponentRef(kind=ComponentKind.TEAM, id="press")


def turn(task_id: str, member: str, **fields: Any) -> Task:
    standing: dict[str, Any] = {
        "root_task_id": "team",
        "parent_task_id": "team",
        "component": ComponentRef(kind=ComponentKind.MEMBER, id=member),
        "state": TaskState.WORKING,
        "tenant_id": "acme",
        "user_id": "ada",
        "create_time": MOMENT,
        "update_time": MOMENT,
    }
    return Task(task_id=task_id, **{**standing, **fields})


def test_a_child_is_sent_with_what_it_was_asked_to_do() -> None:
    """T1, S3."""
    sent = encode_task(turn("child", "writer", description="write it", outlives_parent=True))
    assert (sent.description, sent.outlives_parent, sent.HasField("tree_usage")) == ("write it", True, False)
    assert sent.component == component_pb2.ComponentRef(kind=component_pb2.COMPONENT_KIND_MEMBER, id="writer")


def test_a_root_is_sent_with_what_its_tree_spent() -> None:
    """T1: zero is something else than nothing known."""
    assert encode_task(turn("team", "press", tree_usage=Usage(requests=3))).tree_usage.requests == 3
    assert encode_task(turn("team", "press", tree_usage=Usage())).HasField("tree_usage")


def test_open_questions_are_sent_in_their_order() -> None:
    """S7."""
    asked = [
        Question(question_id=each, task_id="child", text=f"{each}?", create_time=MOMENT, expire_time=MOMENT)
        for each in ("q-1", "q-2")
    ]
    sent = encode_task(turn("child", "writer", state=TaskState.INPUT_REQUIRED, questions=tuple(asked)))
    assert list(sent.questions) == [
        task_pb2.Question(question_id=each, text=f"{each}?", create_time=WIRE_MOMENT, expire_time=WIRE_MOMENT)
        for each in ("q-1", "q-2")
    ]


def test_every_kind_of_component_has_its_place_on_the_wire() -> None:
    """T1: and the contract names no other."""
    assert set(KIND_FROM_WIRE.values()) == set(ComponentKind)
    assert KIND_FROM_WIRE.keys() | {0} == set(component_pb2.ComponentKind.values())


def test_a_board_is_sent_with_the_turns_of_each_member() -> None:
    """T7."""
    todo = Todo(
        id="t-2",
        content="write",
        status=TodoStatus.FAILED,
        blocked_by=("t-1",),
        created_by="user:ada",
        attempts=3,
        result="no",
    )
    message = TeamMessage(id="m-1", sender="leader", receiver="", content="go", timestamp=MOMENT)
    members = (BoardMember(name="writer", role="author", description="writes"), BoardMember(name="editor"))
    board = Board(team="press", members=members, todos={"t-2": todo}, messages=(message,))
    turns = [turn("one", "writer"), turn("two", "editor"), turn("three", "writer")]
    sent = encode_board("team", board, turns)
    assert (sent.task_id, sent.team) == ("team", "press")
    assert [(each.name, each.role, each.description) for each in sent.members] == [
        ("writer", "author", "writes"),
        ("editor", "", ""),
    ]
    assert [[task.task_id for task in each.tasks] for each in sent.members] == [["one", "three"], ["two"]]
    assert list(sent.todos) == [
        board_pb2.Todo(
            todo_id="t-2",
            content="write",
            status=board_pb2.TODO_STATUS_FAILED,
            blocked_by=["t-1"],
            created_by="user:ada",
            attempts=3,
            result="no",
        )
    ]
    assert list(sent.messages) == [
        board_pb2.TeamMessage(message_id="m-1", sender="leader", content="go", create_time=WIRE_MOMENT)
    ]


@pytest.mark.parametrize(
    ("mode", "number"),
    [
        ("coordinate", component_pb2.TEAM_MODE_COORDINATE),
        ("route", component_pb2.TEAM_MODE_ROUTE),
        ("broadcast", component_pb2.TEAM_MODE_BROADCAST),
        ("tasks", component_pb2.TEAM_MODE_TASKS),
        ("", component_pb2.TEAM_MODE_UNSPECIFIED),
    ],
)
def test_a_team_is_described_with_its_mode_and_members(mode: str, number: int) -> None:
    """C8, T1: a factory's mode is not known in advance."""
    info = ComponentInfo(
        ref=TEAM,
        name="The press",
        description="prints",
        is_factory=not mode,
        input_schema_json="{}",
        tools=(),
        mode=mode,
        members=(MemberInfo(name="writer", role="author", description="writes"),),
    )
    sent = encode_team(info)
    assert (sent.team_id, sent.name, sent.description) == ("press", "The press", "prints")
    assert (sent.is_factory, sent.input_schema_json, sent.mode) == (not mode, "{}", number)
    assert list(sent.members) == [component_pb2.TeamMember(name="writer", role="author", description="writes")]


@pytest.mark.parametrize(
    ("decode", "most"), [(requests.todo_content, MAX_TODO_CHARS), (requests.team_message, MAX_MESSAGE_CHARS)]
)
def test_a_text_for_a_board_says_something_within_its_limit(decode: Callable[[str], str], most: int) -> None:
    """T7."""
    assert decode("ß" * most) == "ß" * most
    for bad in ("", " \n", "ß" * (most + 1)):
        with pytest.raises(MusterdError) as refused:
            decode(bad)
        assert refused.value.reason is Reason.INVALID_ARGUMENT
        assert [each.path for each in refused.value.violations] == ["content"]


@pytest.mark.parametrize(
    ("bad", "path"),
    [(["t-1", ""], "blocked_by[1]"), (["x" * 129], "blocked_by[0]"), (["t-1"] * (MAX_TODOS + 1), "blocked_by")],
)
def test_what_a_todo_waits_for_is_named_by_ids(bad: list[str], path: str) -> None:
    """T7."""
    assert requests.blocked_by(["t-1", "x" * 128]) == ("t-1", "x" * 128)
    assert len(requests.blocked_by(["t-1"] * MAX_TODOS)) == MAX_TODOS
    with pytest.raises(MusterdError) as refused:
        requests.blocked_by(bad)
    assert [each.path for each in refused.value.violations] == [path]
