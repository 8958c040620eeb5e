"""New tasks."""

from datetime import datetime

from musterd.domain.errors import MusterdError, Reason, task_not_found
from musterd.domain.ports import Created, NewTask
from musterd.domain.queueing import QUEUE_STEP_SECONDS
from musterd.domain.task import Task, TaskState
from musterd.store.encoding import LABELS, TEXT, USAGE_LIMITS
from musterd.store.new_tasks import capped_groups_of, left_to_queue, task_of
from musterd.store.sessions import BLOCKED_UNTIL, begins_session_run
from musterd.store.sqlite.claiming import count_queued, count_running
from musterd.store.sqlite.live import LiveTask, LiveTree
from musterd.store.sqlite.messages import hand_over
from musterd.store.sqlite.requests import Outcome, find_outcome, save_outcome
from musterd.store.sqlite.rows import NO_USAGE
from musterd.store.sqlite.sessions import is_taken, take_session
from musterd.store.sqlite.specs import save_spec
from musterd.store.sqlite.transaction import Transaction

RETRY_AFTER_SECONDS = 1.0

_MICROS_PER_DAY = 24 * 60 * 60 * 1_000_000
_QUEUE_STEP_MICROS = round(QUEUE_STEP_SECONDS * 1_000_000)

_INSERT_TREE = "INSERT INTO tree (root_task_id, tenant_id, last_sequence, create_day, limits) VALUES (?, ?, 0, ?, ?)"
_INSERT_TASK = """
INSERT INTO task (
    task_id, root_task_id, parent_task_id, tenant_id, user_id, session_id, component_kind, component_id, state,
    priority, queue_key, attempt, owner, create_time, start_time, update_time, labels, request_id, description,
    outlives_parent, wake_time
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_FIND_TENANT = "SELECT tenant_id FROM task WHERE task_id = ?"


def create_task(transaction: Transaction, new: NewTask) -> Created:
    """Store a task with its first events, unless its request was made before or a child with its id is there."""
    outcome = find_outcome(transaction.connection, new.request)
    if outcome is not None:
        return _find_earlier(transaction, outcome.task_id)
    is_child = new.task_id != new.root_task_id
    if is_child and transaction.find(new.task_id) is not None:
        return _find_earlier(transaction, new.task_id)
    parent = _find_parent(transaction, new) if is_child else None
    is_blocked = begins_session_run(new) and is_taken(transaction, new)
    if is_blocked or _is_too_many(transaction, new):
        new = left_to_queue(new)
    _check_queue(transaction, new)
    if begins_session_run(new):
        take_session(transaction, new)
    tree = _insert_tree(transaction, new) if parent is None else parent.tree
    task = _insert_task(transaction, new, tree, is_blocked=is_blocked)
    save_spec(transaction.connection, task.number, new.spec)
    save_outcome(transaction, new.request, Outcome(task_id=new.task_id))
    if parent is not None:
        transaction.append(parent, new.parent_payloads)
    transaction.append(task, new.payloads)
    team = transaction.find(new.team_task_id) if new.team_task_id else None
    if team is not None:
        hand_over(transaction, team.number, new.spec.component.id, new.task_id)
    return Created(task=_to_task(new, task, transaction.now), is_new=True, budget=tree.budget)


def _find_earlier(transaction: Transaction, task_id: str) -> Created:
    task = transaction.find(task_id)
    if task is None:
        raise task_not_found(task_id)
    return Created(task=transaction.read_task(task_id), is_new=False, budget=task.tree.budget)


def _find_parent(transaction: Transaction, new: NewTask) -> LiveTask:
    """Return the parent of a new child.

    Raises TASK_NOT_FOUND when it is not in the same tree and tenant, TASK_LOST when it is not the caller's to add to,
    USAGE_LIMIT_EXCEEDED when the tree has nothing left to spend.
    """
    parent = transaction.find(new.parent_task_id)
    if parent is None or parent.tree.root_task_id != new.root_task_id:
        raise task_not_found(new.parent_task_id)
    (tenant_id,) = transaction.connection.execute(_FIND_TENANT, (new.parent_task_id,)).fetchone()
    if tenant_id != new.spec.identity.tenant_id:
        raise task_not_found(new.parent_task_id)
    if not parent.is_held(new.parent_attempt) or parent.state is TaskState.CANCELING:
        raise MusterdError(
            reason=Reason.TASK_LOST,
            message="the parent task has ended or is being canceled",
            metadata={"task_id": parent.task_id, "state": parent.state.value},
        )
    exhausted = parent.tree.limits.exhausted_by(parent.tree.spent)
    if exhausted is not None:
        raise MusterdError(
            reason=Reason.USAGE_LIMIT_EXCEEDED,
            message=f"the run and all that it started have spent {exhausted}: nothing more can be started",
            metadata={"root_task_id": new.root_task_id},
        )
    return parent


def _is_too_many(transaction: Transaction, new: NewTask) -> bool:
    """Whether a new task that is to run at once must wait for a cap."""
    groups = capped_groups_of(new)
    return any(count_running(transaction.connection, group, new.owner) >= cap for group, cap in groups.items())


def _check_queue(transaction: Transaction, new: NewTask) -> None:
    if new.owner is not None or new.max_queued is None:
        return
    if count_queued(transaction.connection) >= new.max_queued:
        raise MusterdError(
            reason=Reason.CAPACITY_EXHAUSTED,
            message=f"{new.max_queued} tasks wait already, and no more may; try again",
            retry_after_seconds=RETRY_AFTER_SECONDS,
            quota="max_queued_tasks",
        )


def _insert_tree(transaction: Transaction, new: NewTask) -> LiveTree:
    spec, create_day = new.spec, transaction.now_micros // _MICROS_PER_DAY
    parameters = (new.root_task_id, spec.identity.tenant_id, create_day, USAGE_LIMITS.encode(spec.usage_limits))
    number = transaction.connection.execute(_INSERT_TREE, parameters).lastrowid or 0
    return LiveTree(
        number=number, root_task_id=new.root_task_id, last_sequence=0, limits=spec.usage_limits, spent=NO_USAGE
    )


def _insert_task(transaction: Transaction, new: NewTask, tree: LiveTree, *, is_blocked: bool) -> LiveTask:
    spec, now = new.spec, transaction.now_micros
    is_owned = new.owner is not None
    state = TaskState.WORKING if is_owned else TaskState.SUBMITTED
    attempt = 1 if is_owned else 0
    number = transaction.connection.execute(
        _INSERT_TASK,
        (
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
            now,
            LABELS.encode(dict(new.labels)) if new.labels else None,
            new.request.request_id if new.request is not None else None,
            TEXT.encode(new.description) if new.description else None,
            new.outlives_parent,
            BLOCKED_UNTIL if is_blocked else None,
        ),
    ).lastrowid
    return transaction.remember(
        LiveTask(
            number=number or 0,
            task_id=new.task_id,
            parent_task_id=new.parent_task_id or None,
            tree=tree,
            component=spec.component,
            state=state,
            attempt=attempt,
            last_write=0,
            owner=new.owner,
            usage=NO_USAGE,
        )
    )


def _to_task(new: NewTask, task: LiveTask, now: datetime) -> Task:
    return task_of(new, state=task.state, attempt=task.attempt, last_sequence=task.tree.last_sequence, now=now)
