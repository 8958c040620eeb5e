"""New tasks."""

from musterd.domain.errors import task_not_found
from musterd.domain.ports import Created, NewTask
from musterd.domain.task import Task, TaskState
from musterd.store.encoding import LABELS
from musterd.store.sqlite.live import LiveTask, LiveTree
from musterd.store.sqlite.requests import Outcome, find_outcome, save_outcome
from musterd.store.sqlite.specs import save_spec
from musterd.store.sqlite.transaction import Transaction

_MICROS_PER_DAY = 24 * 60 * 60 * 1_000_000

_INSERT_TREE = "INSERT INTO tree (root_task_id, tenant_id, last_sequence, create_day) VALUES (?, ?, 0, ?)"
_INSERT_TASK = """
INSERT INTO task (
    task_id, root_task_id, parent_task_id, tenant_id, user_id, session_id, component_kind, component_id, state,
    priority, attempt, owner, create_time, start_time, update_time, labels, request_id
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_FIND_TENANT = "SELECT tenant_id FROM task WHERE task_id = ?"


def create_task(transaction: Transaction, new: NewTask) -> Created:
    """Store a task with its first events, unless its request was made before."""
    outcome = find_outcome(transaction.connection, new.request)
    if outcome is not None:
        return Created(task=transaction.read_task(outcome.task_id), is_new=False)
    parent = None if new.task_id == new.root_task_id else _find_parent(transaction, new)
    tree = _insert_tree(transaction, new) if parent is None else parent.tree
    task = _insert_task(transaction, new, tree)
    save_spec(transaction.connection, task.number, new.spec)
    save_outcome(transaction, new.request, Outcome(task_id=new.task_id))
    transaction.append(task, new.payloads)
    return Created(task=_to_task(transaction, new, task), is_new=True)


def _find_parent(transaction: Transaction, new: NewTask) -> LiveTask:
    """Return the parent of a new child. Raises TASK_NOT_FOUND when it is not in the same tree and tenant."""
    parent = transaction.find(new.parent_task_id)
    if parent is None or parent.tree.root_task_id != new.root_task_id:
        raise task_not_found(new.parent_task_id)
    (tenant_id,) = transaction.connection.execute(_FIND_TENANT, (new.parent_task_id,)).fetchone()
    if tenant_id != new.spec.identity.tenant_id:
        raise task_not_found(new.parent_task_id)
    return parent


def _insert_tree(transaction: Transaction, new: NewTask) -> LiveTree:
    parameters = (new.root_task_id, new.spec.identity.tenant_id, transaction.now_micros // _MICROS_PER_DAY)
    number = transaction.connection.execute(_INSERT_TREE, parameters).lastrowid or 0
    return LiveTree(number=number, root_task_id=new.root_task_id, last_sequence=0)


def _insert_task(transaction: Transaction, new: NewTask, tree: LiveTree) -> LiveTask:
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
            attempt,
            new.owner,
            now,
            now if is_owned else None,
            now,
            LABELS.encode(dict(new.labels)) if new.labels else None,
            new.request.request_id if new.request is not None else None,
        ),
    ).lastrowid
    return transaction.remember(
        LiveTask(
            number=number or 0,
            task_id=new.task_id,
            tree=tree,
            component=spec.component,
            state=state,
            attempt=attempt,
            owner=new.owner,
        )
    )


def _to_task(transaction: Transaction, new: NewTask, task: LiveTask) -> Task:
    spec, now = new.spec, transaction.now
    return Task(
        task_id=new.task_id,
        root_task_id=new.root_task_id,
        parent_task_id=new.parent_task_id,
        component=spec.component,
        state=task.state,
        tenant_id=spec.identity.tenant_id,
        user_id=spec.identity.user_id,
        session_id=spec.session_id,
        priority=new.priority,
        attempt=task.attempt,
        create_time=now,
        start_time=now if task.owner is not None else None,
        update_time=now,
        last_sequence=task.tree.last_sequence,
        request_id=new.request.request_id if new.request is not None else "",
        labels=dict(new.labels),
    )
