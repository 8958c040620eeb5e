"""Rows of boards and the boards that they stand for."""

import sqlite3
from dataclasses import replace

from musterd.domain.board import TeamMessage, Todos
from musterd.domain.team_board import Board
from musterd.store.encoding import BOARD_MEMBERS, TEAM_MESSAGE, TEXT, TODO

_SAVE_HEAD = """
INSERT INTO board (team, name, members) VALUES (?, ?, ?)
ON CONFLICT (team) DO UPDATE SET name = excluded.name, members = excluded.members
"""
_READ = "SELECT name, members FROM board WHERE team = ?"
_READ_TODOS = "SELECT todo FROM todo WHERE team = ? ORDER BY position"
_SAVE_TODO = """
INSERT INTO todo (team, todo_id, todo) VALUES (?, ?, ?) ON CONFLICT (team, todo_id) DO UPDATE SET todo = excluded.todo
"""
_DELETE_TODO = "DELETE FROM todo WHERE team = ? AND todo_id = ?"
_READ_MESSAGES = "SELECT message FROM team_message WHERE team = ? ORDER BY position"
_READ_MESSAGE = "SELECT message FROM team_message WHERE team = ? AND message_id = ?"
_COUNT_MESSAGES = "SELECT count(*) FROM team_message WHERE team = ?"
_INSERT_MESSAGE = "INSERT INTO team_message (team, message_id, message) VALUES (?, ?, ?)"


def save_head(connection: sqlite3.Connection, team_number: int, board: Board) -> None:
    """Store whose board it is, in place of what was stored of that before."""
    connection.execute(_SAVE_HEAD, (team_number, TEXT.encode(board.team), BOARD_MEMBERS.encode(board.members)))


def read_head(connection: sqlite3.Connection, team_number: int) -> Board | None:
    """Return a board without its items and messages; None when the team has none."""
    row = connection.execute(_READ, (team_number,)).fetchone()
    return None if row is None else Board(team=TEXT.decode(row[0]), members=BOARD_MEMBERS.decode(row[1]))


def with_todos(connection: sqlite3.Connection, team_number: int, board: Board) -> Board:
    """Return a board with its stored items."""
    todos = [TODO.decode(data) for (data,) in connection.execute(_READ_TODOS, (team_number,)).fetchall()]
    return replace(board, todos={todo.id: todo for todo in todos})


def save_todos(connection: sqlite3.Connection, team_number: int, former: Todos, todos: Todos) -> None:
    """Store what is not as it was."""
    for todo_id in former.keys() - todos.keys():
        connection.execute(_DELETE_TODO, (team_number, todo_id))
    for todo in todos.values():
        if former.get(todo.id) != todo:
            connection.execute(_SAVE_TODO, (team_number, todo.id, TODO.encode(todo)))


def with_messages(connection: sqlite3.Connection, team_number: int, board: Board) -> Board:
    """Return a board with its stored messages."""
    messages = connection.execute(_READ_MESSAGES, (team_number,)).fetchall()
    return replace(board, messages=tuple(TEAM_MESSAGE.decode(data) for (data,) in messages))


def find_message(connection: sqlite3.Connection, team_number: int, message_id: str) -> TeamMessage | None:
    """Return a message; None when there is none with this id."""
    row = connection.execute(_READ_MESSAGE, (team_number, message_id)).fetchone()
    return None if row is None else TEAM_MESSAGE.decode(row[0])


def count_messages(connection: sqlite3.Connection, team_number: int) -> int:
    """Return how many messages were sent."""
    return connection.execute(_COUNT_MESSAGES, (team_number,)).fetchone()[0]


def insert_message(connection: sqlite3.Connection, team_number: int, message: TeamMessage) -> None:
    """Store a new message."""
    connection.execute(_INSERT_MESSAGE, (team_number, message.id, TEAM_MESSAGE.encode(message)))
