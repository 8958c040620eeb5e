"""Ordinary values for tests of boards: a team of Bob and Eve, and what they do."""

from collections.abc import Iterable
from dataclasses import replace

from tests.contract.values import OWNER, make_child, start

from musterd.domain.board import BoardMember, Todo, Todos, without
from musterd.domain.event import Payload, TeamMessageSent, TodoChange, TodoChanged
from musterd.domain.ids import derived_id, new_id
from musterd.domain.ports import BoardRecord, Store
from musterd.domain.task import ComponentKind, ComponentRef, Task
from musterd.domain.team_board import Board, OpenBoard, SendMessage

MEMBERS = (BoardMember(name="bob", role="finder", description="finds"), BoardMember(name="eve", leader_json="{}"))
BOB = ComponentRef(kind=ComponentKind.MEMBER, id="bob")
EVE = ComponentRef(kind=ComponentKind.TEAM, id="eve")
OPEN = OpenBoard(team="blue", members=MEMBERS)


async def start_team(store: Store) -> Task:
    """Start a task with a board."""
    team = await start(store)
    await store.change_board(team.task_id, OPEN)
    return team


async def start_turn(store: Store, team: Task, member: ComponentRef = BOB, *, owner: str | None = OWNER) -> Task:
    """Let a member of a team begin with something."""
    return await start(store, replace(make_child(team, component=member, owner=owner), team_task_id=team.task_id))


async def send(
    store: Store, team: Task, content: str = "hello", *, sender: str = "leader", receiver: str = ""
) -> BoardRecord:
    """Send a message within a team."""
    message = SendMessage(message_id=new_id(), sender=sender, receiver=receiver, content=content)
    return await store.change_board(team.task_id, message)


def entry_of(team: Task, record: BoardRecord, receiver: str) -> str:
    """Return the id under which a message that was just sent is in the inbox of a receiver."""
    return derived_id(team.task_id, record.board.messages[-1].id, receiver)


def fold(payloads: Iterable[Payload]) -> Board:
    """Return the board that somebody has who only reads the events of a team."""
    board = Board(team=OPEN.team, members=MEMBERS)
    for payload in payloads:
        match payload:
            case TodoChanged():
                board = replace(board, todos=_fold_todo(board.todos, payload.change, payload.todo))
            case TeamMessageSent():
                board = replace(board, messages=(*board.messages, payload.message))
            case _:
                pass
    return board


def _fold_todo(todos: Todos, change: TodoChange, todo: Todo) -> Todos:
    return without(todos, todo.id) if change is TodoChange.REMOVED else {**todos, todo.id: todo}
