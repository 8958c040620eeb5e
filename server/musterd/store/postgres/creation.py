"""New tasks."""

from datetime import datetime

from musterd.domain.errors import MusterdError, Reason, task_not_found
from musterd.domain.ports import Created, NewTask
from musterd.domain.queueing import QUEUE_STEP_SECONDS
from musterd.domain.task import Budget, Task, TaskState
from musterd.store.encoding import LABELS, TEXT, USAGE_LIMITS
from musterd.store.new_tasks import capped_groups_of, left_to_queue, task_of
from musterd.store.postgres.failures import RETRY_AFTER_SECONDS
from musterd.store.postgres.live import LiveTask, LiveTree
from musterd.store.postgres.messages import hand_over
from musterd.store.postgres.requests import Outcome, find_outcome, save_outcome
from musterd.store.postgres.rows import NO_USAGE, to_spent, to_task
from musterd.store.postgres.running import count_running, lock_groups
from musterd.store.postgres.sessions import take_session
from musterd.store.postgres.specs import save_spec
from musterd.store.postgres.statements import load_statement
from musterd.store.postgres.tenants import serve
from musterd.store.postgres.transaction import Transaction
from musterd.store.sessions import BLOCKED_UNTIL, begins_session_run

_MICROS_PER_DAY = 24 * 60 * 60 * 1_000_000
_QUEUE_STEP_MICROS = round(QUEUE_STEP_SECONDS * 1_000_000)

_INSERT_TREE = load_statement("insert_tree")
_INSERT_TASK = load_statement("insert_task")
_READ_TASK = load_statement("read_task")
_LOCK_QUEUE = load_statement("lock_queue")
_COUNT_QUEUED = load_statement("count_queued")


async def create_task(transaction: Transaction, new: NewTask) -> Created:
    """Store a task with its first events, unless its request was made before or a child with its id is there."""
    outcome = await find_outcome(transaction.connection, new.request)
    if outcome is not None:
        return await _find_earlier(transaction, outcome.task_id)
    is_child = new.task_id != new.root_task_id
    if is_child and await transaction.find(new.task_id) is not None:
        return await _find_earlier(transaction, new.task_id)
    parent = await _find_parent(transaction, new) if is_child else None
    # Before all that is locked here but the tree: runs of a session come one after the other.
    is_blocked = begins_session_run(new) and not await take_session(transaction, new)
    if is_blocked or await _is_too_many(transaction, new):
        new = left_to_queue(new)
    await _check_queue(transaction, new)
    tree = await _insert_tree(transaction, new) if parent is None else parent.tree
    task = await _insert_task(transaction, new, tree, is_blocked=is_blocked)
    await save_spec(transaction.connection, task.number, new.spec)
    await save_outcome(transaction, new.request, Outcome(task_id=new.task_id))
    if parent is not None:
        transaction.append(parent, new.parent_payloads)
    transaction.append(task, new.payloads)
    team = await transaction.find(new.team_task_id) if new.team_task_id else None
    if team is not None:
        await hand_over(transaction, team.number, new.spec.component.id, new.task_id)
    return Created(task=_to_task(new, task, transaction.now), is_new=True, budget=tree.budget)


async def _find_earlier(transaction: Transaction, task_id: str) -> Created:
    # The task of an earlier call is in another tree than the one that is locked.
    row = await transaction.connection.fetchrow(_READ_TASK, task_id)
    if row is None:
        raise task_not_found(task_id)
    budget = Budget(limits=USAGE_LIMITS.decode(row["limits"]), spent=to_spent(row))
    return Created(task=to_task(row), is_new=False, budget=budget)


async def _find_parent(transaction: Transaction, new: NewTask) -> LiveTask:
    """Return the parent of a new child.

    Raises TASK_NOT_FOUND when it is not in the same tree and tenant, TASK_LOST when it is not the caller's to add to,
    USAGE_LIMIT_EXCEEDED when the tree has nothing left to spend.
    """
    parent = await transaction.find(new.parent_task_id)
    if parent is None or parent.tree.tenant_id != new.spec.identity.tenant_id:
        raise task_not_found(new.parent_task_id)
    if not parent.is_held(new.parent_attempt) or parent.state is TaskState.CANCELING:
        raise MusterdError(
            reason=Reason.TASK_LOST,
            message="the parent task has ended or is being canceled",
            metadata={"task_id": parent.task_id, "state": parent.state.value},
        )
    budget = parent.tree.budget
    exhausted = budget.limits.exhausted_by(budget.spent)
    if exhausted is not None:
        raise MusterdError(
            reason=Reason.USAGE_LIMIT_EXCEEDED,
            message=f"the run and all that it started have spent {exhausted}: nothing more can be started",
            metadata={"root_task_id": new.root_task_id},
        )
    return parent


async def _is_too_many(transaction: Transaction, new: NewTask) -> bool:
    """Whether a new task that is to run at once must wait for a cap; if not, nobody else takes its place meanwhile."""
    groups = capped_groups_of(new)
    if not groups:
        return False
    await lock_groups(transaction.connection, groups)
    counts = await count_running(transaction.connection, groups, also_of=new.owner)
    return any(counts[group] >= cap for group, cap in groups.items())


async def _check_queue(transaction: Transaction, new: NewTask) -> None:
    if new.owner is not None or new.max_queued is None:
        return
    connection, tenant_id = transaction.connection, new.spec.identity.tenant_id
    await connection.execute(_LOCK_QUEUE)
    queued = await connection.fetchval(_COUNT_QUEUED)
    await serve(connection, tenant_id)
    if queued >= new.max_queued:
        raise MusterdError(
            reason=Reason.CAPACITY_EXHAUSTED,
            message=f"{new.max_queued} tasks wait already, and no more may; try again",
            retry_after_seconds=RETRY_AFTER_SECONDS,
            quota="max_queued_tasks",
        )


async def _insert_tree(transaction: Transaction, new: NewTask) -> LiveTree:
    tenant_id, create_day = new.spec.identity.tenant_id, transaction.now_micros // _MICROS_PER_DAY
    limits = USAGE_LIMITS.encode(new.spec.usage_limits)
    return LiveTree(
        number=await transaction.connection.fetchval(_INSERT_TREE, new.root_task_id, tenant_id, create_day, limits),
        root_task_id=new.root_task_id,
        tenant_id=tenant_id,
        create_day=create_day,
        last_sequence=0,
        limits_json=limits,
        spent=NO_USAGE,
    )


async def _insert_task(transaction: Transaction, new: NewTask, tree: LiveTree, *, is_blocked: bool) -> LiveTask:
    spec, now = new.spec, transaction.now_micros
    is_owned = new.owner is not None
    state = TaskState.WORKING if is_owned else TaskState.SUBMITTED
    attempt = 1 if is_owned else 0
    number = await transaction.connection.fetchval(
        _INSERT_TASK,
        new.task_id,
        new.root_task_id,
        new.parent_task_id or None,
        spec.identity.tenant_id,
        spec.identity.user_id,
        spec.session_id or None,
        spec.component.kind.value,
        spec.component.id,
        state.value,
        new.priority.value,
        now - new.priority.value * _QUEUE_STEP_MICROS,
        attempt,
        new.owner,
        now,
        now if is_owned else None,
        LABELS.encode(dict(new.labels)) if new.labels else None,
        new.request.request_id if new.request is not None else None,
        TEXT.encode(new.description) if new.description else None,
        new.outlives_parent,
        BLOCKED_UNTIL if is_blocked else None,
    )
    return transaction.remember(
        LiveTask(
            number=number,
            task_id=new.task_id,
            parent_task_id=new.parent_task_id or None,
            tree=tree,
            component=spec.component,
            state=state,
            attempt=attempt,
            last_write=0,
            owner=new.owner,
            is_waiting=False,
            usage=NO_USAGE,
        )
    )


def _to_task(new: NewTask, task: LiveTask, now: datetime) -> Task:
    return task_of(new, state=task.state, attempt=task.attempt, last_sequence=task.tree.last_sequence, now=now)
