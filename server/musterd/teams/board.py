"""The board of a team, as a port: in memory, or stored by the server with the team's task."""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Protocol

from musterd.domain.board import BoardMember, TeamMessage, Todo
from musterd.domain.team_board import Board


class TeamBoard(Protocol):
    """A todo list and messages that the members of one team share.

    Actions that a model asks for take a `key`: the same key again changes nothing, so that a tool call that is repeated
    after a crash does its work once. In memory keys are of no use and are not kept.
    """

    async def open(self, team: str, members: Sequence[BoardMember]) -> None:
        """Begin the board, or give it to another team; without a team's name nobody has it. Its items stay."""
        ...

    async def read(self) -> Board:
        """Return the board as it stands; one that was never opened has no team, no members and no items."""
        ...

    async def add_todo(self, content: str, *, blocked_by: Sequence[str], created_by: str, key: str) -> Todo:
        """Add an item. Raises TodoRefused with what is wrong with it."""
        ...

    async def claim_todo(self, todo_id: str, member: str) -> bool:
        """Take an item on. Returns False when it is missing, blocked, not pending, or another member's."""
        ...

    async def complete_todo(self, todo_id: str, member: str | None, result: str) -> None:
        """Say that an item is done. Raises TodoRefused when it is missing, blocked or another member's."""
        ...

    async def release_todos(self, member: str, reason: str, todo_id: str | None = None) -> None:
        """Give up what a member has in hand, or one item of it."""
        ...

    async def remove_todo(self, todo_id: str, actor: str, *, key: str) -> bool:
        """Take an item off the list. Returns False when it is not there."""
        ...

    async def send(self, sender: str, receiver: str, content: str, *, key: str) -> TeamMessage:
        """Send a message to a member, to `leader`, or with an empty receiver to all but the sender.

        Raises UnknownMemberError or TodoRefused.
        """
        ...


current_board: ContextVar[TeamBoard | None] = ContextVar("musterd-team-board", default=None)
"""The board that the run in this context takes part in, as a leader or a member."""

own_board: ContextVar[TeamBoard | None] = ContextVar("musterd-own-board", default=None)
"""The board of the team that the run in this context may lead: a server gives one to every run."""

current_member: ContextVar[str] = ContextVar("musterd-team-member", default="")
"""The name under which the run in this context takes part: a member's, or `leader`."""
