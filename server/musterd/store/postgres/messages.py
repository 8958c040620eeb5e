"""Messages within teams, on their way into the inboxes of those who are to read them."""

from collections.abc import Sequence

from musterd.domain.board import LEADER, TeamMessage
from musterd.domain.ids import derived_id
from musterd.domain.orders import Steer, SteerState
from musterd.store.encoding import TEXT
from musterd.store.postgres.inbox import insert_steer
from musterd.store.postgres.live import LiveTask
from musterd.store.postgres.statements import load_statement
from musterd.store.postgres.transaction import Transaction

_FIND_TURN = load_statement("find_turn")
_HAND_OVER = load_statement("hand_over")

_WAITING = "waiting"
"""The state of a message for a member that has no task. No task has it, so that no reader sees it."""


async def deliver(
    transaction: Transaction, team: LiveTask, message: TeamMessage, receivers: Sequence[str]
) -> tuple[Steer, ...]:
    """Put a message into the inbox of each receiver, and return what went to tasks: for the others it waits."""
    text = f"[Message from {message.sender}] {message.content}"
    delivered: list[Steer] = []
    for receiver in receivers:
        is_leader = receiver == LEADER
        task_id = team.task_id if is_leader else await find_turn(transaction, team.task_id, receiver)
        entry_id = derived_id(team.task_id, message.id, receiver)
        steer = Steer(steer_id=entry_id, task_id=task_id or "", message=text, user_id="")
        await insert_steer(
            transaction,
            team.tree.tenant_id,
            steer,
            state=_WAITING if task_id is None else SteerState.PENDING.value,
            team=team.number,
            member=None if is_leader else receiver,
        )
        if task_id is not None:
            delivered.append(steer)
    return tuple(delivered)


async def find_turn(transaction: Transaction, team_task_id: str, member: str) -> str | None:
    """Return the id of the oldest task of a member that can still read messages."""
    await transaction.flush()
    return await transaction.connection.fetchval(_FIND_TURN, team_task_id, member)


async def hand_over(transaction: Transaction, team_number: int, member: str, task_id: str) -> tuple[Steer, ...]:
    """Give a task what its member has not read, and return it: what waits, and what an earlier task did not read."""
    rows = await transaction.connection.fetch(_HAND_OVER, team_number, member, task_id)
    return tuple(
        Steer(steer_id=row["entry_id"], task_id=task_id, message=TEXT.decode(row["body"]), user_id="")
        for row in sorted(rows, key=lambda row: row["position"])
    )
