"""Boards of teams."""

import sqlite3
from dataclasses import replace

from musterd.domain.board import TeamMessage, TodoRefused
from musterd.domain.errors import MusterdError, Reason, task_not_found
from musterd.domain.event import TeamMessageSent
from musterd.domain.orders import Steer
from musterd.domain.ports import BoardRecord, RequestKey
from musterd.domain.principal import Viewer
from musterd.domain.team_board import (
    AddTodo,
    Board,
    BoardChange,
    BoardCommand,
    OpenBoard,
    SendMessage,
    UnknownMemberError,
    receivers_of,
)
from musterd.domain.team_board import change_board as apply_command
from musterd.store.encoding import from_micros
from musterd.store.sqlite.approvals import wake, wake_above
from musterd.store.sqlite.board_rows import (
    count_messages,
    find_message,
    insert_message,
    read_head,
    save_head,
    save_todos,
    with_messages,
    with_todos,
)
from musterd.store.sqlite.live import LiveTask
from musterd.store.sqlite.messages import deliver
from musterd.store.sqlite.requests import Outcome, find_outcome, save_outcome
from musterd.store.sqlite.rows import read_number, read_visible
from musterd.store.sqlite.transaction import Transaction

# Stands for a message that was not read: the rules of a board only count them.
_UNREAD = TeamMessage(id="", sender="", receiver="", content="", timestamp=from_micros(0))


def change_board(
    transaction: Transaction,
    team_task_id: str,
    command: BoardCommand,
    viewer: Viewer | None,
    request: RequestKey | None,
) -> BoardRecord:
    """Apply a command to a board, unless its request was made before.

    The board of the record has only what the command is about: all items, or the message.
    """
    connection = transaction.connection
    team = _find_team(transaction, viewer, team_task_id)
    is_repeated = find_outcome(connection, request) is not None
    stored = read_head(connection, team.number)
    head = stored or _begin(team_task_id, command)
    if team.state.is_terminal and not is_repeated:
        raise _team_ended(team)
    board = _load(connection, team.number, head, command)
    if is_repeated:
        return BoardRecord(board=board, is_done=True)
    change = _apply(transaction, team, board, command)
    if stored is None or isinstance(command, OpenBoard):
        save_head(connection, team.number, change.board)
    delivered = _save(transaction, team, board, change)
    if change.is_done:
        save_outcome(transaction, request, Outcome(task_id=team_task_id))
    transaction.append(team, change.changes)
    if isinstance(command, AddTodo) and team.owner is None:
        # A team that waits without a process may have a member who is free to do it.
        wake(transaction, team)
        wake_above(transaction, team)
    return BoardRecord(
        board=replace(change.board, messages=change.board.messages[-1:]), is_done=change.is_done, delivered=delivered
    )


def get_board(connection: sqlite3.Connection, viewer: Viewer | None, team_task_id: str) -> Board:
    """Return a team's whole board."""
    number = read_number(connection, viewer, team_task_id)
    head = read_head(connection, number)
    if head is None:
        raise _board_not_found(team_task_id)
    return with_messages(connection, number, with_todos(connection, number, head))


def _find_team(transaction: Transaction, viewer: Viewer | None, team_task_id: str) -> LiveTask:
    if viewer is not None:
        read_visible(transaction.connection, viewer, team_task_id)
    team = transaction.find(team_task_id)
    if team is None:
        raise task_not_found(team_task_id)
    return team


def _begin(team_task_id: str, command: BoardCommand) -> Board:
    """Return a new board. Raises BOARD_NOT_FOUND for a command that needs one."""
    if isinstance(command, OpenBoard):
        return Board(team=command.team, members=command.members)
    raise _board_not_found(team_task_id)


def _load(connection: sqlite3.Connection, team_number: int, head: Board, command: BoardCommand) -> Board:
    """Return as much of a board as the rules need for a command."""
    if not isinstance(command, SendMessage):
        return with_todos(connection, team_number, head)
    earlier = find_message(connection, team_number, command.message_id)
    if earlier is not None:
        return replace(head, messages=(earlier,))
    return replace(head, messages=(_UNREAD,) * count_messages(connection, team_number))


def _apply(transaction: Transaction, team: LiveTask, board: Board, command: BoardCommand) -> BoardChange:
    try:
        return apply_command(board, command, transaction.now)
    except UnknownMemberError as error:
        reason, problem = Reason.MEMBER_NOT_FOUND, error
    except TodoRefused as error:
        reason, problem = Reason.TODO_REFUSED, error
    raise MusterdError(reason=reason, message=str(problem), metadata={"task_id": team.task_id}) from problem


def _save(transaction: Transaction, team: LiveTask, former: Board, change: BoardChange) -> tuple[Steer, ...]:
    """Store what a command changed, and return what it put into the inboxes of tasks."""
    save_todos(transaction.connection, team.number, former.todos, change.board.todos)
    delivered: tuple[Steer, ...] = ()
    for one in change.changes:
        if isinstance(one, TeamMessageSent):
            insert_message(transaction.connection, team.number, one.message)
            delivered += deliver(transaction, team, one.message, receivers_of(former, one.message))
    return delivered


def _board_not_found(team_task_id: str) -> MusterdError:
    return MusterdError(
        reason=Reason.BOARD_NOT_FOUND,
        message=f"task {team_task_id!r} has no board: only a team that shares one does",
        metadata={"task_id": team_task_id},
    )


def _team_ended(team: LiveTask) -> MusterdError:
    return MusterdError(
        reason=Reason.TEAM_ENDED,
        message=f"the team's task has ended as {team.state.value}, and its board changes no more",
        metadata={"task_id": team.task_id, "state": team.state.value},
    )
