"""How a task stands when it was stored a moment ago, the same in every adapter."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from musterd.domain.ports import NewTask
from musterd.domain.queueing import Group
from musterd.domain.task import Task, TaskState, Usage


def capped_groups_of(new: NewTask) -> Mapping[Group, int]:
    """Return the groups, with their caps, that may be too full for a new task to run at once."""
    if new.owner is None or new.caps is None:
        return {}
    identity = new.spec.identity
    groups = new.caps.of(identity.tenant_id, identity.user_id, new.root_task_id)
    # In a tree of its own it is the first.
    return {group: cap for group, cap in groups if new.parent_task_id or group[0] != "tree"}


def left_to_queue(new: NewTask) -> NewTask:
    """Return a new task as it is stored when it has to wait: who takes it from the queue tells its first events."""
    return replace(new, owner=None, payloads=())


def task_of(new: NewTask, *, state: TaskState, attempt: int, last_sequence: int, now: datetime) -> Task:
    """Return the row of a new task, without reading it back."""
    spec = new.spec
    return Task(
        task_id=new.task_id,
        root_task_id=new.root_task_id,
        parent_task_id=new.parent_task_id,
        component=spec.component,
        state=state,
        tenant_id=spec.identity.tenant_id,
        user_id=spec.identity.user_id,
        session_id=spec.session_id,
        priority=new.priority,
        attempt=attempt,
        create_time=now,
        start_time=now if new.owner is not None else None,
        update_time=now,
        last_sequence=last_sequence,
        request_id=new.request.request_id if new.request is not None else "",
        labels=dict(new.labels),
        description=new.description,
        outlives_parent=new.outlives_parent,
        tree_usage=None if new.parent_task_id else Usage(),
    )
