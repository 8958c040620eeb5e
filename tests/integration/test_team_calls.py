"""TeamService: finding teams, running them, and taking part in their work from outside."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import grpc
import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from tests.support.gated_model import Delta, Gate, prompts_in, saying, stopping
from tests.support.scripted import tool_returns_in
from tests.support.tokens import AUTH, TASK_SCOPES, token
from tests.support.wire import METHODS, Wire, wire_to

from musterd import Musterd, RequestContext, Team, TeamFactory
from musterd.testing import serve
from musterd_client.v1.component_pb2 import TEAM_MODE_ROUTE, TEAM_MODE_UNSPECIFIED, TeamMember
from musterd_client.v1.task_pb2 import TaskState

SCOPES = f"teams:run {TASK_SCOPES}"
ADA, BOB = token("ada", scopes=SCOPES), token("bob", scopes=SCOPES)
BOSS = token("boss", scopes="musterd:admin")
ELSEWHERE = token("ada", tenant="initech", scopes=SCOPES)
NO_TASK = "01890000-0000-7000-8000-000000000000"
RUN: dict[str, Any] = {"team_id": "press", "message": "hi"}


class World:
    """A team whose leader gives work to one member, who waits at a gate, and then ends."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.prompts: list[str] = []

    async def lead(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Delta]:
        self.prompts = prompts_in(messages)
        if tool_returns_in(messages):
            yield "printed"
            return
        arguments = '{"member": "writer", "task": "write it"}'
        yield {0: DeltaToolCall(name="delegate_to_member", json_args=arguments, tool_call_id="call-1")}

    def app(self) -> Musterd:
        writer = Agent(stopping(self.gate, after=("written",)), name="writer", description="writes")
        editor = Agent(saying("edited"), name="editor")
        leader = FunctionModel(stream_function=self.lead)
        teams = [
            Team("press", [writer, editor], model=leader),
            Team("alpha", [editor], model=saying("a"), mode="route", description="the first"),
            Team("omega", [editor], model=saying("o")),
            TeamFactory("built", build),
        ]
        return Musterd(agents=[Agent(saying("hello"), name="greeter")], teams=teams)


def build(context: RequestContext) -> Team:
    return Team("any", [Agent(saying("x"), name="member")], model=saying("built"))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def wire(world: World) -> AsyncGenerator[Wire]:
    async with serve(world.app(), auth=AUTH) as client, wire_to(client.target) as wire:
        yield wire


async def start(wire: Wire, world: World, caller: str = ADA) -> str:
    """Run the team until its writer waits, and return the id of its task."""
    task_id = (await wire.call("RunTeam", token=caller, **RUN, background=True)).task.task_id
    await world.gate.reached.wait()
    return task_id


async def end(wire: Wire, world: World, task_id: str) -> Any:
    """Let the team end, and return its task."""
    world.gate.open()
    return (await wire.call("WaitTasks", token=ADA, task_ids=[task_id])).tasks[0]


async def board_of(wire: Wire, task_id: str, caller: str = ADA) -> Any:
    return (await wire.call("GetTeamBoard", token=caller, task_id=task_id)).board


async def events_of(wire: Wire, task_id: str) -> list[Any]:
    """Return the log of a task that has ended."""
    watched = await wire.ask("WatchTask", token=ADA, task_id=task_id)
    messages: list[Any] = [METHODS["WatchTask"].response.FromString(data) for data in watched.responses]
    return [event for message in messages for event in message.events]


async def test_teams_are_listed_by_id_page_after_page(wire: Wire) -> None:
    """C8: and no agent among them."""
    seen: list[str] = []
    page_token = ""
    for length in (3, 1):
        page = await wire.call("ListTeams", token=ADA, page_size=3, page_token=page_token)
        assert len(page.teams) == length
        seen += [team.team_id for team in page.teams]
        page_token = page.next_page_token
    assert (seen, page_token) == (["alpha", "built", "omega", "press"], "")
    agents = (await wire.call("ListAgents", token=BOSS)).agents
    assert [agent.agent_id for agent in agents] == ["greeter"]


async def test_a_page_token_of_agents_is_none_of_teams(wire: Wire) -> None:
    """C8 (refusal)."""
    page = await wire.call("ListTeams", token=BOSS, page_size=2)
    refusal = await wire.refusal("ListAgents", token=BOSS, page_token=page.next_page_token)
    assert (refusal.reason, refusal.paths) == ("PAGE_TOKEN_INVALID", ["page_token"])


@pytest.mark.parametrize(
    ("scopes", "listed"),
    [
        ("", []),
        ("agents:run", []),
        ("teams:read", []),
        ("teams:press:run teams:alpha:run teams:omega:read", ["alpha", "press"]),
        ("teams:*:run", ["alpha", "built", "omega", "press"]),
    ],
)
async def test_a_list_holds_the_teams_that_the_caller_may_run(wire: Wire, scopes: str, listed: list[str]) -> None:
    """C8, I4."""
    teams = (await wire.call("ListTeams", token=token(scopes=scopes))).teams
    assert [team.team_id for team in teams] == listed


async def test_a_team_is_described_without_being_run(wire: Wire) -> None:
    """C8: what a factory will make is not known in advance."""
    alpha, built = [(await wire.call("GetTeam", token=ADA, team_id=team_id)).team for team_id in ("alpha", "built")]
    assert (alpha.name, alpha.description, alpha.is_factory) == ("alpha", "the first", False)
    assert (alpha.mode, list(alpha.members)) == (TEAM_MODE_ROUTE, [TeamMember(name="editor")])
    assert (built.name, built.is_factory) == ("built", True)
    assert (built.mode, list(built.members)) == (TEAM_MODE_UNSPECIFIED, [])


@pytest.mark.parametrize("name", ["GetTeam", "RunTeam"])
@pytest.mark.parametrize("team_id", ["omega", "no-such-team"])
async def test_a_scope_for_one_team_does_not_open_another_nor_tell_whether_it_exists(
    wire: Wire, name: str, team_id: str
) -> None:
    """I4."""
    refusal = await wire.refusal(name, token=token(scopes="teams:alpha:run agents:run"), team_id=team_id)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert refusal.info.metadata["scope"].endswith(f"teams:{team_id}:run")


async def test_a_scope_to_read_a_team_is_none_to_run_it(wire: Wire) -> None:
    """I4."""
    reader = token(scopes="teams:alpha:read")
    assert (await wire.call("GetTeam", token=reader, team_id="alpha")).team.team_id == "alpha"
    refusal = await wire.refusal("RunTeam", token=reader, team_id="alpha", message="hi")
    assert refusal.reason == "SCOPE_MISSING"


async def test_a_stream_of_a_team_shows_its_members_and_ends_with_it(wire: Wire, world: World) -> None:
    """R1, T1: the task comes first, and each child is told of before its own events."""
    world.gate.open()
    answer = await wire.ask("RunTeam", token=ADA, **RUN)
    messages: list[Any] = [METHODS["RunTeam"].response.FromString(data) for data in answer.responses]
    assert messages[0].HasField("task")
    assert not any(message.HasField("task") for message in messages[1:])
    events = [event for message in messages for event in message.events]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert (events[-1].task_id, events[-1].WhichOneof("event")) == (messages[0].task.task_id, "task_completed")
    (started,) = [event.subtask_started for event in events if event.HasField("subtask_started")]
    assert (started.component.id, started.description) == ("writer", "write it")
    told = next(event.sequence for event in events if event.HasField("subtask_started"))
    own = [event for event in events if event.task_id == started.subtask_id]
    assert min(event.sequence for event in own) > told
    assert {event.component.id for event in own} == {"writer"}


async def test_a_watch_of_a_team_can_begin_before_its_members_do(wire: Wire, world: World) -> None:
    """R3, T1: the replay of the whole tree is what was streamed."""
    task_id = await start(wire, world)
    await end(wire, world, task_id)
    events = await events_of(wire, task_id)
    (child,) = [event.subtask_started.subtask_id for event in events if event.HasField("subtask_started")]
    own = await events_of(wire, child)
    assert own == [event for event in events if event.task_id == child]


async def test_a_dropped_stream_of_a_team_cancels_it_when_that_is_asked(wire: Wire, world: World) -> None:
    """R1, R5: with its members."""
    method = METHODS["RunTeam"]
    data = method.request(**RUN, on_disconnect="ON_DISCONNECT_CANCEL").SerializeToString()
    task_id = method.response.FromString(await wire.first(method.path, data, token=ADA)).task.task_id
    task = (await wire.call("WaitTasks", token=ADA, task_ids=[task_id])).tasks[0]
    assert task.state == TaskState.TASK_STATE_CANCELED
    turns = (await wire.call("ListTasks", token=ADA, root_task_id=task_id)).tasks
    assert {turn.state for turn in turns} == {TaskState.TASK_STATE_CANCELED}


async def test_a_dropped_stream_of_a_run_in_the_background_cancels_nothing(wire: Wire, world: World) -> None:
    """R1, R3: its caller wants no more of it than the task."""
    method = METHODS["RunTeam"]
    data = method.request(**RUN, background=True, on_disconnect="ON_DISCONNECT_CANCEL").SerializeToString()
    task_id = method.response.FromString(await wire.first(method.path, data, token=ADA)).task.task_id
    task = await end(wire, world, task_id)
    assert task.state == TaskState.TASK_STATE_COMPLETED


async def test_a_board_shows_who_works_on_what(wire: Wire, world: World) -> None:
    """T7: while the team runs, and when it has ended."""
    task_id = await start(wire, world)
    board = await board_of(wire, task_id)
    assert (board.task_id, board.team) == (task_id, "press")
    assert [(member.name, member.description) for member in board.members] == [("writer", "writes"), ("editor", "")]
    (turn,) = board.members[0].tasks
    assert (turn.parent_task_id, turn.description) == (task_id, "write it")
    assert turn.state == TaskState.TASK_STATE_WORKING
    assert not board.members[1].tasks
    await end(wire, world, task_id)
    (turn,) = (await board_of(wire, task_id)).members[0].tasks
    assert (turn.state, turn.output.text) == (TaskState.TASK_STATE_COMPLETED, "written")


async def test_a_todo_from_outside_is_on_the_list_and_in_the_log(wire: Wire, world: World) -> None:
    """T2, T7: in the name of the user who added it."""
    task_id = await start(wire, world)
    first = (await wire.call("AddTodo", token=ADA, task_id=task_id, content="first")).todo
    second = (
        await wire.call("AddTodo", token=BOSS, task_id=task_id, content="second", blocked_by=[first.todo_id])
    ).todo
    assert (first.created_by, second.created_by) == ("user:ada", "user:boss")
    assert list(second.blocked_by) == [first.todo_id]
    assert list((await board_of(wire, task_id)).todos) == [first, second]
    await end(wire, world, task_id)
    told = [event for event in await events_of(wire, task_id) if event.HasField("todo_changed")]
    assert [event.todo_changed.todo for event in told] == [first, second]
    assert [event.todo_changed.actor for event in told] == ["user:ada", "user:boss"]
    assert {event.task_id for event in told} == {task_id}


async def test_a_message_to_the_leader_is_in_its_next_request(wire: Wire, world: World) -> None:
    """T3, T7."""
    task_id = await start(wire, world)
    sent = await wire.call("SendTeamMessage", token=ADA, task_id=task_id, receiver="leader", content="make it short")
    assert (sent.message.sender, sent.message.receiver) == ("user:ada", "leader")
    assert sent.message.HasField("create_time")
    assert list((await board_of(wire, task_id)).messages) == [sent.message]
    assert (await end(wire, world, task_id)).output.text == "printed"
    assert any("make it short" in prompt for prompt in world.prompts)
    told = [event for event in await events_of(wire, task_id) if event.HasField("team_message_sent")]
    assert [event.team_message_sent.message for event in told] == [sent.message]


async def test_a_message_to_all_names_no_receiver(wire: Wire, world: World) -> None:
    """T3, T7."""
    task_id = await start(wire, world)
    sent = (await wire.call("SendTeamMessage", token=ADA, task_id=task_id, content="hurry")).message
    assert (sent.receiver, sent.content) == ("", "hurry")
    await end(wire, world, task_id)
    assert any("hurry" in prompt for prompt in world.prompts)


@pytest.mark.parametrize(("name", "items"), [("AddTodo", "todos"), ("SendTeamMessage", "messages")])
async def test_a_repeated_call_counts_once(wire: Wire, world: World, name: str, items: str) -> None:
    """R8, T7: also when the team has ended since."""
    task_id = await start(wire, world)
    order = {"task_id": task_id, "content": "once", "request_id": "r-1"}
    first = await wire.call(name, token=ADA, **order)
    assert await wire.call(name, token=ADA, **order) == first
    refusal = await wire.refusal(name, token=ADA, **{**order, "content": "twice"})
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "REQUEST_ID_REUSED")
    assert len(getattr(await board_of(wire, task_id), items)) == 1
    # Another user's request ids are others.
    assert await wire.call(name, token=BOSS, **order) != first
    assert len(getattr(await board_of(wire, task_id), items)) == 2
    await end(wire, world, task_id)
    assert await wire.call(name, token=ADA, **order) == first


@pytest.mark.parametrize(("name", "items"), [("AddTodo", "todos"), ("SendTeamMessage", "messages")])
async def test_calls_without_a_request_id_count_each(wire: Wire, world: World, name: str, items: str) -> None:
    """R8, T7."""
    task_id = await start(wire, world)
    for _ in range(2):
        await wire.call(name, token=ADA, task_id=task_id, content="again")
    assert len(getattr(await board_of(wire, task_id), items)) == 2


@pytest.mark.parametrize("caller", [BOB, ELSEWHERE], ids=["another user", "another tenant"])
@pytest.mark.parametrize(
    ("name", "fields"),
    [("GetTeamBoard", {}), ("AddTodo", {"content": "psst"}), ("SendTeamMessage", {"content": "psst"})],
)
async def test_the_board_of_another_users_team_is_not_there(
    wire: Wire, world: World, name: str, fields: dict[str, Any], caller: str
) -> None:
    """I5, T7 (refusal): and nothing is written on it."""
    task_id = await start(wire, world)
    hidden = await wire.refusal(name, token=caller, task_id=task_id, **fields)
    missing = await wire.refusal(name, token=caller, task_id=NO_TASK, **fields)
    assert (hidden.code, hidden.reason) == (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")
    assert hidden.text.replace(task_id, NO_TASK) == missing.text
    board = await board_of(wire, task_id)
    assert not board.todos
    assert not board.messages


async def test_an_administrator_reads_the_boards_of_its_tenant(wire: Wire, world: World) -> None:
    """I5, T7."""
    task_id = await start(wire, world)
    await end(wire, world, task_id)
    assert await board_of(wire, task_id, BOSS) == await board_of(wire, task_id)


@pytest.mark.parametrize(
    ("name", "scope"), [("GetTeamBoard", "tasks:read"), ("AddTodo", "tasks:write"), ("SendTeamMessage", "tasks:write")]
)
async def test_a_board_needs_the_scopes_of_tasks(wire: Wire, world: World, name: str, scope: str) -> None:
    """I4, T7: those of the team itself do not open it."""
    task_id = await start(wire, world)
    fields = {} if name == "GetTeamBoard" else {"content": "hi"}
    refusal = await wire.refusal(name, token=token(scopes="teams:run"), task_id=task_id, **fields)
    assert (refusal.reason, refusal.info.metadata["scope"]) == ("SCOPE_MISSING", scope)
    await wire.call(name, token=token(scopes=scope), task_id=task_id, **fields)
