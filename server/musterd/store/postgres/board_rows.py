"""Rows of boards and the boards that they stand for."""

from dataclasses import replace

from musterd.domain.board import TeamMessage, Todos
from musterd.domain.team_board import Board
from musterd.store.encoding import BOARD_MEMBERS, TEAM_MESSAGE, TEXT, TODO
from musterd.store.postgres.connection import Connection
from musterd.store.postgres.live import LiveTask
from musterd.store.postgres.statements import load_statement

_SAVE_HEAD = load_statement("save_board")
_READ_HEAD = load_statement("read_board")
_READ_TODOS = load_statement("read_todos")
_SAVE_TODOS = load_statement("save_todos")
_DELETE_TODOS = load_statement("delete_todos")
_READ_MESSAGES = load_statement("read_messages")
_READ_MESSAGE = load_statement("read_message")
_COUNT_MESSAGES = load_statement("count_messages")
_INSERT_MESSAGE = load_statement("insert_message")


async def save_head(connection: Connection, team: LiveTask, board: Board) -> None:
    """Store whose board it is, in place of what was stored of that before."""
    name, members = TEXT.encode(board.team), BOARD_MEMBERS.encode(board.members)
    await connection.execute(_SAVE_HEAD, team.number, team.tree.tenant_id, name, members)


async def read_head(connection: Connection, team_number: int) -> Board | None:
    """Return a board without its items and messages; None when the team has none."""
    row = await connection.fetchrow(_READ_HEAD, team_number)
    return None if row is None else Board(team=TEXT.decode(row["name"]), members=BOARD_MEMBERS.decode(row["members"]))


async def with_todos(connection: Connection, team_number: int, board: Board) -> Board:
    """Return a board with its stored items."""
    todos = [TODO.decode(row["todo"]) for row in await connection.fetch(_READ_TODOS, team_number)]
    return replace(board, todos={todo.id: todo for todo in todos})


async def save_todos(connection: Connection, team: LiveTask, former: Todos, todos: Todos) -> None:
    """Store what is not as it was."""
    if removed := former.keys() - todos.keys():
        await connection.execute(_DELETE_TODOS, team.number, [todo_id.encode() for todo_id in removed])
    if changed := [todo for todo in todos.values() if former.get(todo.id) != todo]:
        ids, values = [todo.id.encode() for todo in changed], [TODO.encode(todo) for todo in changed]
        await connection.execute(_SAVE_TODOS, team.number, team.tree.tenant_id, ids, values)


async def with_messages(connection: Connection, team_number: int, board: Board) -> Board:
    """Return a board with its stored messages."""
    messages = await connection.fetch(_READ_MESSAGES, team_number)
    return replace(board, messages=tuple(TEAM_MESSAGE.decode(row["message"]) for row in messages))


async def find_message(connection: Connection, team_number: int, message_id: str) -> TeamMessage | None:
    """Return a message; None when there is none with this id."""
    message = await connection.fetchval(_READ_MESSAGE, team_number, message_id.encode())
    return None if message is None else TEAM_MESSAGE.decode(message)


async def count_messages(connection: Connection, team_number: int) -> int:
    """Return how many messages were sent."""
    return await connection.fetchval(_COUNT_MESSAGES, team_number)


async def insert_message(connection: Connection, team: LiveTask, message: TeamMessage) -> None:
    """Store a message."""
    values = (message.id.encode(), TEAM_MESSAGE.encode(message))
    await connection.execute(_INSERT_MESSAGE, team.number, team.tree.tenant_id, *values)
