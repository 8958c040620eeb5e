"""Trees of tasks as a client sees them."""

from collections import Counter
from collections.abc import Sequence

from musterd_client import Event, MusterdClient, Task, TaskCanceled, TaskCompleted, TaskFailed, WatchUntil


async def children_of(client: MusterdClient, parent_task_id: str) -> dict[str, Task]:
    """Return a task's children by what they were asked to do, which must differ."""
    children = [task async for task in client.tasks.list(parent_task_id=parent_task_id)]
    by_description = {task.description: task for task in children}
    assert len(by_description) == len(children)
    return by_description


async def only_child_of(client: MusterdClient, parent_task_id: str) -> Task:
    """Return the one child of a task."""
    (child,) = (await children_of(client, parent_task_id)).values()
    return child


async def tree_of(client: MusterdClient, root_task_id: str) -> list[Task]:
    """Return all tasks of a tree."""
    return [task async for task in client.tasks.list(root_task_id=root_task_id)]


async def log_of(client: MusterdClient, task_id: str) -> list[Event]:
    """Return the events of a task and of all below it, once the last of them has ended."""
    async with client.tasks.watch(task_id, until=WatchUntil.TREE) as watch:
        return [event async for event in watch]


def endings_in(log: Sequence[Event]) -> Counter[str]:
    """Return how many terminal events each task has."""
    return Counter(event.task_id for event in log if isinstance(event, TaskCompleted | TaskFailed | TaskCanceled))
