"""Events as the client gives them, for folds and displays, and the tasks that they are of."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from musterd_client import ComponentKind, ComponentRef, SubtaskStarted, Task, TaskState, Usage

ROOT_ID = "root"
USAGE = Usage(requests=1, input_tokens=30, output_tokens=12)
LEADER = ComponentRef(kind=ComponentKind.TEAM, id="advisers")


def member(name: str) -> ComponentRef:
    return ComponentRef(kind=ComponentKind.MEMBER, id=name)


def happened(kind: Callable[..., Any], task_id: str = ROOT_ID, **fields: Any) -> Any:
    component = LEADER if task_id == ROOT_ID else member(task_id.split("-", maxsplit=1)[0])
    time = datetime(2027, 1, 15, tzinfo=UTC)
    return kind(task_id=task_id, sequence=1, create_time=time, component=component, **fields)


def began(task_id: str, parent_id: str = ROOT_ID, description: str = "dig") -> SubtaskStarted:
    subtask = member(task_id.split("-", maxsplit=1)[0])
    return happened(SubtaskStarted, parent_id, subtask_id=task_id, subtask=subtask, description=description)


def some_task(
    task_id: str = ROOT_ID,
    parent_id: str = "",
    second: int = 0,
    state: TaskState = TaskState.WORKING,
    **fields: Any,
) -> Task:
    return Task(
        task_id=task_id,
        root_task_id=ROOT_ID,
        parent_task_id=parent_id,
        component=LEADER if task_id == ROOT_ID else member(task_id.split("-", maxsplit=1)[0]),
        create_time=datetime(2027, 1, 15, second=second, tzinfo=UTC),
        state=state,
        **fields,
    )
