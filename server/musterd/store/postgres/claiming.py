"""Who runs a task: taking over, giving up, and going on under a new identity."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Payload, TaskFailed
from musterd.domain.ports import ClaimedTask, RequestKey
from musterd.domain.principal import Identity, Viewer
from musterd.domain.queueing import Caps, Group
from musterd.domain.task import Budget, Task, TaskError, TaskSpec, TaskState
from musterd.store.encoding import USAGE_LIMITS
from musterd.store.postgres.approvals import renew, try_park
from musterd.store.postgres.connection import Connection, Row
from musterd.store.postgres.endings import end_task
from musterd.store.postgres.requests import Outcome, find_outcome, save_outcome
from musterd.store.postgres.rows import find_live_descendants, read_visible, to_spent, to_task
from musterd.store.postgres.running import count_running, lock_groups, try_lock_groups
from musterd.store.postgres.specs import load_specs
from musterd.store.postgres.statements import load_statement
from musterd.store.postgres.transaction import Transaction

logger = structlog.get_logger(__name__)

WIDTH_MAX = 500
"""How many tasks a claim looks at in one round, unless it wants more."""

_FIND_DEAD_OWNERS = load_statement("find_dead_owners")
_FIND_CLAIMABLE = load_statement("find_claimable")
_HAS_CLAIMABLE = load_statement("has_claimable")
_WAKE = load_statement("wake_tasks")
_FIND_HELD = load_statement("find_held")
_TAKE = load_statement("take_tasks")
_READ_TASKS = load_statement("read_tasks")
_COUNT_QUEUED = load_statement("count_queued")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a claim got, and the ids of tasks whose input nobody can read: they are to be ended."""

    claimed: Sequence[ClaimedTask]
    unreadable: Sequence[str]


@dataclass(slots=True, kw_only=True)
class _Room:
    """How many tasks run in the groups that a claim has looked at, and which of them are full.

    They are locked from then on. Only the first look waits for that: whoever waited in a later one could keep those
    from going on who wait for what this one has locked. What is locked by others then counts as full.
    """

    connection: Connection
    owner: str
    caps: Caps
    running: Mapping[Group, int]
    full: set[Group]
    counts: Counter[Group] = field(default_factory=Counter[Group])

    def groups_of(self, row: Row) -> Sequence[tuple[Group, int]]:
        groups = self.caps.of(row["tenant_id"], row["user_id"], row["root_task_id"])
        # A root that nobody has begun is alone in its tree.
        is_alone = row["attempt"] == 0 and row["task_id"] == row["root_task_id"]
        return [(group, cap) for group, cap in groups if not (is_alone and group[0] == "tree")]

    async def look_at(self, rows: Sequence[Row]) -> None:
        """Count what runs in the groups of tasks, as far as that is not known."""
        found = {group for row in rows for group, _ in self.groups_of(row)} - self.counts.keys() - self.full
        if not found:
            return
        if self.counts:
            locked = await try_lock_groups(self.connection, found)
            self.full |= found.difference(locked)
        else:
            await lock_groups(self.connection, found)
            locked = found
        others = await count_running(self.connection, locked, not_of=self.owner)
        self.counts.update({group: self.running.get(group, 0) + others[group] for group in locked})

    def has_room(self, row: Row) -> bool:
        """Whether the groups of a task have room for it."""
        groups = self.groups_of(row)
        reached = [group for group, cap in groups if group in self.full or self.counts[group] >= cap]
        self.full.update(reached)
        return not reached

    def take(self, row: Row) -> bool:
        """Count one more task, if its groups have room."""
        if not self.has_room(row):
            return False
        self.counts.update(group for group, _ in self.groups_of(row))
        return True


async def find_held(connection: Connection, owner: str) -> Mapping[str, int]:
    """Return the attempts of the tasks that an owner holds."""
    return {row["task_id"]: row["attempt"] for row in await connection.fetch(_FIND_HELD, owner)}


async def claim(transaction: Transaction, owner: str, limit: int, caps: Caps, running: Mapping[Group, int]) -> Claim:
    """Take tasks that nobody holds who lives. A task that another transaction has locked is passed over."""
    connection = transaction.connection
    await connection.execute(_WAKE, transaction.now_micros, limit)
    room = _Room(connection=connection, owner=owner, caps=caps, running=running, full=_find_full(caps, running))
    dead = await _find_dead_owners(connection, owner)
    claimed: dict[str, TaskSpec] = {}
    unreadable: dict[int, str] = {}
    width = 0
    # Each round takes a task, finds one unreadable, or finds a group full, so that it ends.
    while (wanted := limit - len(claimed)) > 0:
        # The first ones of the queue may all be of full groups: each round looks further, so that it takes few.
        width = max(wanted, min(2 * width, WIDTH_MAX))
        found = await _find_claimable(connection, dead, width, room.full, unreadable)
        if not found:
            break
        await room.look_at(found)
        chosen: list[Row] = []
        eligible = [row for row in found if room.has_room(row)][:wanted]
        specs = await load_specs(connection, [row["number"] for row in eligible])
        for row in eligible:
            if not isinstance(spec := specs[row["number"]], TaskSpec):
                logger.error("spec_unreadable", task=row["task_id"], error=str(spec))
                unreadable[row["number"]] = row["task_id"]
            elif room.take(row):
                claimed[row["task_id"]] = spec
                chosen.append(row)
        if chosen:
            await connection.execute(_TAKE, [row["number"] for row in chosen], owner, transaction.now_micros)
    return Claim(claimed=await _read_claimed(connection, claimed), unreadable=list(unreadable.values()))


async def has_claimable(connection: Connection, owner: str, now_micros: int | None) -> bool:
    """Return whether there is a task that nobody holds who lives, and that need not wait. No time is the database's."""
    return await connection.fetchval(_HAS_CLAIMABLE, await _find_dead_owners(connection, owner), now_micros)


async def _find_dead_owners(connection: Connection, owner: str) -> Sequence[str]:
    return [row["owner"] for row in await connection.fetch(_FIND_DEAD_OWNERS, owner)]


async def _find_claimable(
    connection: Connection,
    dead_owners: Sequence[str],
    limit: int,
    full: Collection[Group],
    passed_over: Collection[int],
) -> Sequence[Row]:
    users = [group[1:] for group in full if group[0] == "user"]
    return await connection.fetch(
        _FIND_CLAIMABLE,
        dead_owners,
        limit,
        [group[1] for group in full if group[0] == "tenant"],
        [tenant_id for tenant_id, _ in users],
        [user_id for _, user_id in users],
        [group[1] for group in full if group[0] == "tree"],
        list(passed_over),
    )


async def _read_claimed(connection: Connection, specs: Mapping[str, TaskSpec]) -> Sequence[ClaimedTask]:
    if not specs:
        return ()
    rows = {row["task_id"]: row for row in await connection.fetch(_READ_TASKS, list(specs))}
    return [
        ClaimedTask(
            task=to_task(rows[task_id]),
            spec=spec,
            budget=Budget(limits=USAGE_LIMITS.decode(rows[task_id]["limits"]), spent=to_spent(rows[task_id])),
        )
        for task_id, spec in specs.items()
    ]


async def count_queued(connection: Connection) -> int:
    """Return how many tasks are SUBMITTED."""
    return await connection.fetchval(_COUNT_QUEUED)


def _find_full(caps: Caps, running: Mapping[Group, int]) -> set[Group]:
    cap_of = {"tenant": caps.per_tenant, "user": caps.per_user, "tree": caps.per_tree}
    return {group for group, count in running.items() if (cap := cap_of[group[0]]) is not None and count >= cap}


async def end_unreadable(transaction: Transaction, task_ids: Sequence[str]) -> None:
    """End tasks that nobody can run any more: left as they are, they would be looked at in every later claim."""
    for task_id in task_ids:
        task = await transaction.find(task_id)
        if task is None or task.state.is_terminal:
            continue
        specs = await load_specs(transaction.connection, [task.number])
        if isinstance(specs[task.number], TaskSpec):
            continue
        error = TaskError(
            reason=Reason.TASK_LOST,
            message="this version of the server cannot read the task's input",
            cause="UNREADABLE",
        )
        await end_task(transaction, task, TaskState.FAILED, (TaskFailed(error=error, usage=task.usage),), error=error)


async def release_task(transaction: Transaction, task_id: str, attempt: int, *, may_park: bool) -> None:
    """Make a task claimable, or park it when it may be and waits for approvals alone."""
    task = await transaction.find(task_id)
    if task is not None and task.is_held(attempt) and not (may_park and await try_park(transaction, task)):
        transaction.release(task)


async def renew_identity(
    transaction: Transaction,
    viewer: Viewer,
    task_id: str,
    *,
    identity: Identity,
    payload: Payload,
    request: RequestKey | None,
) -> Task:
    """Let a task that waits for it go on under a new identity, with all of its tree that nobody runs."""
    seen = await read_visible(transaction.connection, viewer, task_id)
    if await find_outcome(transaction.connection, request) is not None:
        return await transaction.read_task(task_id)
    task = await transaction.find(task_id)
    if task is None or task.state is not TaskState.AUTH_REQUIRED:
        raise MusterdError(
            reason=Reason.TASK_NOT_WAITING,
            message=f"the task is {seen.state.value} and waits for no new identity",
            metadata={"task_id": task_id, "state": seen.state.value},
        )
    root_task_id = task.tree.root_task_id
    waiting_ids = (root_task_id, *await find_live_descendants(transaction.connection, root_task_id))
    await transaction.find_all(waiting_ids)
    await renew(transaction, waiting_ids, identity, payload)
    await save_outcome(transaction, request, Outcome(task_id=task_id))
    return await transaction.read_task(task_id)
