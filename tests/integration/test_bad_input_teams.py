"""Bad requests to TeamService: each is refused by name, with what to change, and changes nothing."""

from collections.abc import AsyncGenerator
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from pydantic_ai import Agent
from tests.support.gated_model import Gate, saying, stopping
from tests.support.wire import Wire, wire_to

from musterd import Musterd, Team
from musterd.testing import serve

INVALID, PRECONDITION = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
NO_TASK = "01890000-0000-7000-8000-000000000000"
TASK = {"task_id": NO_TASK}
RUN = {"team_id": "press", "message": "hi"}
LONG_ID = "x" * 129

BAD_FIELDS: dict[str, tuple[str, dict[str, Any], str]] = {
    "ListTeams with a negative page": ("ListTeams", {"page_size": -1}, "page_size"),
    "ListTeams with a page that is too large": ("ListTeams", {"page_size": 1_001}, "page_size"),
    "GetTeam without an id": ("GetTeam", {}, "team_id"),
    "GetTeam of an id that is too long": ("GetTeam", {"team_id": LONG_ID}, "team_id"),
    "RunTeam without an id": ("RunTeam", {"message": "hi"}, "team_id"),
    "RunTeam of an id that is too long": ("RunTeam", {**RUN, "team_id": LONG_ID}, "team_id"),
    "RunTeam without input": ("RunTeam", {"team_id": "press"}, "message"),
    "RunTeam in an unknown way to end": ("RunTeam", {**RUN, "on_disconnect": 99}, "on_disconnect"),
    "RunTeam of an unknown priority": ("RunTeam", {**RUN, "priority": 99}, "priority"),
    "RunTeam for no time": ("RunTeam", {**RUN, "run_timeout": Duration()}, "run_timeout"),
    "RunTeam for a user id that is too long": ("RunTeam", {**RUN, "user_id": LONG_ID}, "user_id"),
    "RunTeam in a session whose id is too long": ("RunTeam", {**RUN, "session_id": LONG_ID}, "session_id"),
    "RunTeam by a request id that is too long": ("RunTeam", {**RUN, "request_id": LONG_ID}, "request_id"),
    "GetTeamBoard without an id": ("GetTeamBoard", {}, "task_id"),
    "GetTeamBoard of an id that is too long": ("GetTeamBoard", {"task_id": LONG_ID}, "task_id"),
    "AddTodo without an id": ("AddTodo", {"content": "c"}, "task_id"),
    "AddTodo to an id that is too long": ("AddTodo", {"task_id": LONG_ID, "content": "c"}, "task_id"),
    "AddTodo without a text": ("AddTodo", TASK, "content"),
    "AddTodo with a text of spaces": ("AddTodo", {**TASK, "content": " \t\n"}, "content"),
    "AddTodo with a text that is too long": ("AddTodo", {**TASK, "content": "c" * 20_001}, "content"),
    "AddTodo that waits for nobody": ("AddTodo", {**TASK, "content": "c", "blocked_by": ["t", ""]}, "blocked_by[1]"),
    "AddTodo that waits for an id that is too long": (
        "AddTodo",
        {**TASK, "content": "c", "blocked_by": [LONG_ID]},
        "blocked_by[0]",
    ),
    "AddTodo that waits for too many": (
        "AddTodo",
        {**TASK, "content": "c", "blocked_by": ["t"] * 1_001},
        "blocked_by",
    ),
    "AddTodo by a request id that is too long": (
        "AddTodo",
        {**TASK, "content": "c", "request_id": LONG_ID},
        "request_id",
    ),
    "SendTeamMessage without an id": ("SendTeamMessage", {"content": "c"}, "task_id"),
    "SendTeamMessage without a text": ("SendTeamMessage", TASK, "content"),
    "SendTeamMessage with a text of spaces": ("SendTeamMessage", {**TASK, "content": "  "}, "content"),
    "SendTeamMessage with a text that is too long": ("SendTeamMessage", {**TASK, "content": "c" * 20_001}, "content"),
    "SendTeamMessage to a name that is too long": (
        "SendTeamMessage",
        {**TASK, "content": "c", "receiver": LONG_ID},
        "receiver",
    ),
    "SendTeamMessage by a request id that is too long": (
        "SendTeamMessage",
        {**TASK, "content": "c", "request_id": LONG_ID},
        "request_id",
    ),
}


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def wire(gate: Gate) -> AsyncGenerator[Wire]:
    press = Team("press", [Agent(saying("written"), name="writer")], model=stopping(gate))
    app = Musterd(agents=[Agent(saying("hello"), name="greeter")], teams=[press])
    async with serve(app) as client, wire_to(client.target) as wire:
        yield wire


async def running_team(wire: Wire, gate: Gate) -> str:
    """Start a team whose leader waits in its model request."""
    task_id = (await wire.call("RunTeam", **RUN, background=True)).task.task_id
    await gate.reached.wait()
    return task_id


@pytest.mark.parametrize("case", BAD_FIELDS)
async def test_a_bad_field_is_refused_by_its_path(wire: Wire, case: str) -> None:
    """T1, T7, C8 (refusal)."""
    name, fields, path = BAD_FIELDS[case]
    refusal = await wire.refusal(name, **fields)
    assert (refusal.code, refusal.reason, refusal.paths) == (INVALID, "INVALID_ARGUMENT", [path])
    assert refusal.text.startswith(f"{path}: ")
    assert len(refusal.text) > len(path) + 10


async def test_after_the_whole_table_the_server_runs_teams_as_before(wire: Wire, gate: Gate) -> None:
    """T1: and no refused call left a task."""
    gate.open()
    for name, fields, _ in BAD_FIELDS.values():
        await wire.refusal(name, **fields)
    assert not (await wire.call("ListTasks")).tasks
    assert (await wire.call("RunTeam", **RUN)).task.task_id


@pytest.mark.parametrize("name", ["GetTeam", "RunTeam"])
@pytest.mark.parametrize("team_id", ["no-such-team", "greeter", "writer", "PRESS", "press "])
async def test_what_is_no_team_is_not_found_as_one(wire: Wire, name: str, team_id: str) -> None:
    """C8 (refusal): an agent and a member are none."""
    fields = {"message": "hi"} if name == "RunTeam" else {}
    refusal = await wire.refusal(name, team_id=team_id, **fields)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "COMPONENT_NOT_FOUND")
    assert refusal.info.metadata["component_id"] == team_id


@pytest.mark.parametrize(
    ("name", "fields"),
    [("GetTeamBoard", {}), ("AddTodo", {"content": "c"}), ("SendTeamMessage", {"content": "c"})],
)
async def test_the_task_of_an_agent_has_no_board(wire: Wire, name: str, fields: dict[str, Any]) -> None:
    """T7 (refusal)."""
    task_id = (await wire.call("RunAgent", agent_id="greeter", message="hi")).task.task_id
    refusal = await wire.refusal(name, task_id=task_id, **fields)
    assert (refusal.code, refusal.reason) == (PRECONDITION, "BOARD_NOT_FOUND")
    assert refusal.info.metadata["task_id"] == task_id
    assert refusal.kinds == ["ErrorInfo", "PreconditionFailure"]


async def test_a_todo_cannot_wait_for_what_is_not_on_the_list(wire: Wire, gate: Gate) -> None:
    """T2, T7 (refusal): the refusal names each id that is not there, and nothing is added."""
    task_id = await running_team(wire, gate)
    first = (await wire.call("AddTodo", task_id=task_id, content="first")).todo.todo_id
    refusal = await wire.refusal("AddTodo", task_id=task_id, content="c", blocked_by=["x", first, "y"])
    assert (refusal.code, refusal.reason) == (PRECONDITION, "TODO_REFUSED")
    assert refusal.paths == ["blocked_by[0]", "blocked_by[2]"]
    board = (await wire.call("GetTeamBoard", task_id=task_id)).board
    assert [todo.content for todo in board.todos] == ["first"]


async def test_a_message_needs_somebody_of_the_team_to_read_it(wire: Wire, gate: Gate) -> None:
    """T3, T7 (refusal): the refusal says who there is, and nothing is sent."""
    task_id = await running_team(wire, gate)
    for receiver in ("editor", "WRITER", "press", "user:anonymous"):
        refusal = await wire.refusal("SendTeamMessage", task_id=task_id, content="hi", receiver=receiver)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "MEMBER_NOT_FOUND")
        assert dict(refusal.info.metadata) == {"task_id": task_id, "member": receiver}
        assert refusal.details[1].resource_name == receiver
        assert "leader" in refusal.text
        assert "writer" in refusal.text
    assert not (await wire.call("GetTeamBoard", task_id=task_id)).board.messages


@pytest.mark.parametrize("name", ["AddTodo", "SendTeamMessage"])
async def test_the_board_of_a_team_that_has_ended_is_read_and_not_changed(wire: Wire, gate: Gate, name: str) -> None:
    """T7 (refusal)."""
    gate.open()
    task_id = (await wire.call("RunTeam", **RUN)).task.task_id
    await wire.call("WaitTasks", task_ids=[task_id])
    before = (await wire.call("GetTeamBoard", task_id=task_id)).board
    refusal = await wire.refusal(name, task_id=task_id, content="too late")
    assert (refusal.code, refusal.reason) == (PRECONDITION, "TEAM_ENDED")
    assert refusal.info.metadata["task_id"] == task_id
    assert (await wire.call("GetTeamBoard", task_id=task_id)).board == before
