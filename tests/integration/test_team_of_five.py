"""A team of five works off twelve todos that wait for each other, while one of the five breaks down again and again."""

from collections import Counter

from pydantic_ai import Agent
from tests.support.actors import add_todo, id_of_todo, list_todos, tell
from tests.support.boards import FoldedBoard
from tests.support.followers import Follower
from tests.support.team_requests import LEADER, calling, heard_in, said_in, todo_in, turn_of, who_asks

from musterd import Musterd, Team
from musterd.testing import serve
from musterd.testing.model import ChatRequest, FakeModel, Turn, error, gate, text
from musterd_client import TaskState, TodoStatus

NAMES = ("ann", "bea", "cid", "dan", "eve")
BROKEN = "cid"
STAGES = (
    {"dig": (), "order": (), "draw": (), "hire": (), "ask": ()},
    {"pour": ("dig", "order"), "frame": ("draw", "hire"), "wire": ("order", "ask"), "pipe": ("dig", "ask")},
    {"roof": ("frame", "pour"), "plaster": ("wire", "pipe", "frame")},
    {"paint": ("roof", "plaster")},
)
TODOS = {content: blockers for stage in STAGES for content, blockers in stage.items()}


def answer(request: ChatRequest) -> Turn:
    return lead(request) if who_asks(request) == LEADER else work(request)


def lead(request: ChatRequest) -> Turn:
    """Plan stage after stage, for a todo can only wait for those whose ids are known; then sum up."""
    turn = turn_of(request)
    if turn <= len(STAGES):
        contents = [content for stage in STAGES[: turn - 1] for content in stage]
        returned = [message.text for message in request.messages if message.role == "tool"]
        ids = dict(zip(contents, map(id_of_todo, returned), strict=True))
        stage = STAGES[turn - 1].items()
        return calling(*(add_todo(content, *(ids[each] for each in blockers)) for content, blockers in stage))
    return text("planned") if turn == len(STAGES) + 1 else text("the house is built")


def work(request: ChatRequest) -> Turn:
    """Talk to the neighbour, wait until all five have, then do the todo or break down."""
    name, content = who_asks(request), todo_in(request)
    match turn_of(request):
        case 1:
            return calling(tell(neighbour_of(name), f"{name} does {content}"))
        case 2:
            return gate("all have spoken") + calling(list_todos())
        case _ if name == BROKEN:
            return error(400, "out of order")
        case _:
            return text(f"{content}: done by {name}")


def neighbour_of(name: str) -> str:
    return NAMES[(NAMES.index(name) + 1) % len(NAMES)]


async def test_a_team_of_five_does_twelve_todos_once_each_and_in_order_though_one_breaks_down() -> None:
    """T1, T2, T6, T7: over HTTP to the model; the log alone gives the board."""
    async with FakeModel(answer) as model:
        members = [Agent(model.as_model(), name=name) for name in NAMES]
        house = Team("house", members, model=model.as_model(), mode="tasks")
        async with serve(Musterd(teams=[house])) as client, Follower(client.run_team("house", "a house")) as follower:
            await model.reached("all have spoken", times=len(NAMES))
            model.release("all have spoken")
            task_id = (await follower.ended())[0].task_id
            async with client.tasks.watch(task_id, after_sequence=0) as watch:
                log = [event async for event in watch]
            board = await client.teams.board(task_id)
            task = await client.tasks.status(task_id)
            children = [child async for child in client.tasks.list(parent_task_id=task_id)]
        model.assert_exhausted()
        requests = model.requests

    assert (task.state, task.output.text if task.output else "") == (TaskState.COMPLETED, "the house is built")
    # The rules of the list hold at each event, and the events make the board.
    folded = FoldedBoard.of(task_id, log)
    folded.assert_is(board)
    assert sorted(folded.completions) == sorted(TODOS)

    contents = {todo.todo_id: todo.content for todo in board.todos}
    assert {todo.content: tuple(contents[each] for each in todo.blocked_by) for todo in board.todos} == TODOS
    for todo in board.todos:
        assert todo.status is TodoStatus.COMPLETED
        assert todo.assigned_to != BROKEN
        assert todo.result == f"{todo.content}: done by {todo.assigned_to}"

    # As the model saw it: each todo was answered once, and knew what came of those before it.
    last = [request for request in requests if who_asks(request) not in (LEADER, BROKEN) and turn_of(request) == 3]
    assert Counter(map(todo_in, last)) == Counter(TODOS.keys())
    for request in last:
        for blocker in TODOS[todo_in(request)]:
            assert f"- {blocker}: {blocker}: done by " in said_in(request)[0]

    # The broken one broke down twice, and others did what it had in hand.
    turns = [child for child in children if child.component.id == BROKEN]
    assert [turn.state for turn in turns] == [TaskState.FAILED] * 2
    assert all(turn.error is not None and turn.error.reason == "MODEL_FAILED" for turn in turns)
    in_hand = {todo_in(request) for request in requests if who_asks(request) == BROKEN}
    assert in_hand
    assert max(todo.attempts for todo in board.todos if todo.content in in_hand) > 1

    # Each of the five heard its neighbour in the turn in which all had spoken.
    for name in NAMES:
        before = NAMES[NAMES.index(name) - 1]
        first = next(each for each in requests if who_asks(each) == name and turn_of(each) == 3)
        assert any(heard.startswith(f"[Message from {before}] {before} does ") for heard in heard_in(first))
    assert task.tree_usage is not None
    assert task.tree_usage.requests == task.usage.requests + sum(child.usage.requests for child in children)
