"""Messages within teams, on their way into the inboxes of those who are to read them."""

from collections.abc import Sequence

from musterd.domain.board import LEADER, TeamMessage, message_text
from musterd.domain.ids import derived_id
from musterd.domain.orders import Steer, SteerState
from musterd.store.encoding import TEXT
from musterd.store.sqlite.live import LiveTask
from musterd.store.sqlite.transaction import Transaction

_INSERT = """
INSERT INTO inbox (entry_id, task_id, kind, state, body, create_time, team, member)
VALUES (?, ?, 'steer', ?, ?, ?, ?, ?)
"""
_WAITING = "waiting"
"""The state of a message for a member that has no task. No task has it, so that no reader sees it."""

# A task that is being canceled reads nothing any more.
_FIND_TURN = """
SELECT task_id FROM task INDEXED BY task_by_parent
WHERE parent_task_id = ? AND component_id = ? AND component_kind IN ('member', 'team')
  AND end_time IS NULL AND state <> 'canceling'
ORDER BY create_time, task_id
LIMIT 1
"""
_HAND_OVER = """
UPDATE inbox INDEXED BY inbox_for_member SET task_id = ?, state = 'pending'
WHERE team = ? AND member = ? AND member IS NOT NULL AND state IN ('waiting', 'refused')
RETURNING position, entry_id, body
"""


def deliver(
    transaction: Transaction, team: LiveTask, message: TeamMessage, receivers: Sequence[str]
) -> tuple[Steer, ...]:
    """Put a message into the inbox of each receiver, and return what went to tasks: for the others it waits."""
    text = message_text(message)
    delivered: list[Steer] = []
    for receiver in receivers:
        entry_id = derived_id(team.task_id, message.id, receiver)
        task_id = team.task_id if receiver == LEADER else find_turn(transaction, team.task_id, receiver)
        state = _WAITING if task_id is None else SteerState.PENDING.value
        member = None if receiver == LEADER else receiver
        transaction.connection.execute(
            _INSERT, (entry_id, task_id, state, TEXT.encode(text), transaction.now_micros, team.number, member)
        )
        if task_id is not None:
            delivered.append(Steer(steer_id=entry_id, task_id=task_id, message=text, user_id=""))
    return tuple(delivered)


def find_turn(transaction: Transaction, team_task_id: str, member: str) -> str | None:
    """Return the id of the oldest task of a member that can still read messages."""
    row = transaction.connection.execute(_FIND_TURN, (team_task_id, member)).fetchone()
    return None if row is None else row[0]


def hand_over(transaction: Transaction, team_number: int, member: str, task_id: str) -> tuple[Steer, ...]:
    """Give a task what its member has not read, and return it: what waits, and what an earlier task did not read."""
    rows = transaction.connection.execute(_HAND_OVER, (task_id, team_number, member)).fetchall()
    return tuple(
        Steer(steer_id=entry_id, task_id=task_id, message=TEXT.decode(body), user_id="")
        for _, entry_id, body in sorted(rows)
    )
