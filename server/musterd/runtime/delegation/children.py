"""What runs need to have children, and to wait for them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.orders import CancelOrder, Steer
from musterd.domain.ports import Created, NewTask, RequestKey, Store, TaskQuery
from musterd.domain.principal import Viewer
from musterd.domain.task import TERMINAL_STATES, Task, TaskState
from musterd.runtime.admission import Slots
from musterd.runtime.components.nodes import Node
from musterd.runtime.feed.changes import TaskChanges
from musterd.runtime.limits import Limits
from musterd.runtime.patience import patiently

T = TypeVar("T")

LIVE_STATES = frozenset(TaskState) - TERMINAL_STATES
MAX_LISTED_CHILDREN = 1_000
FINISH_PATIENCE = 2.0
"""How many times the time to give up a task its parent waits for it at its own end."""


class Launcher(Protocol):
    """Who runs tasks in this process."""

    @property
    def is_draining(self) -> bool:
        """Whether the process goes down, and leaves what runs to the next one."""
        ...

    async def spawn(self, new: NewTask, prepare: Callable[[], Node] | None) -> Created:
        """Store a child and run it when there is room; with `prepare` None it is built from its spec."""
        ...

    def cancel(self, task_id: str, order: CancelOrder) -> bool:
        """Stop a task that runs here."""
        ...

    def steer(self, steer: Steer) -> bool:
        """Hand a message to a task that runs here."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Children:
    """Starts, finds, waits for and ends the children of runs."""

    store: Store
    launcher: Launcher
    changes: TaskChanges
    slots: Slots
    clock: Clock
    limits: Limits

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a store operation until the store is there: a run does not fail for its sake."""
        return await patiently(call, self.clock, self.limits)

    async def join(self, viewer: Viewer, task_id: str) -> Task:
        """Return a task once it has ended. Waits on when the server goes down: the caller's run is stopped then."""
        (task,) = await self.wait(viewer, [task_id], lambda tasks: tasks[0].state.is_terminal)
        return task

    async def wait(
        self, viewer: Viewer, task_ids: Sequence[str], is_over: Callable[[Sequence[Task]], bool]
    ) -> Sequence[Task]:
        """Return tasks as soon as `is_over` says so."""
        with self.changes.watch(task_ids) as waiter:
            while True:
                tasks = await self.patiently(lambda: self.store.get_tasks(viewer, task_ids))
                if is_over(tasks):
                    return tasks
                await waiter.wait()
                waiter.clear()

    async def cancel(
        self, viewer: Viewer, task_id: str, *, hard: bool, reason: str, request: RequestKey | None = None
    ) -> bool:
        """Cancel a task and what is below it. Returns False when it had ended before, but for the same request."""
        order = CancelOrder(
            hard=hard, grace_seconds=self.limits.cancel_grace_seconds, reason=reason, cascade=True, user_id=""
        )
        try:
            record = await self.patiently(lambda: self.store.request_cancel(viewer, task_id, order, request))
        except MusterdError as error:
            if error.reason is Reason.TASK_NOT_CANCELABLE:
                return False
            raise
        for interrupted in record.to_interrupt:
            self.launcher.cancel(interrupted, order)
        for steer in record.delivered:
            self.launcher.steer(steer)
        return not record.was_canceled_before

    async def live_of(self, parent: Task) -> Sequence[Task]:
        """Return the children of a task that have not ended, oldest first."""
        query = TaskQuery(
            viewer=owner_of(parent), limit=MAX_LISTED_CHILDREN, parent_task_id=parent.task_id, states=LIVE_STATES
        )
        return list(reversed(await self.patiently(lambda: self.store.list_tasks(query))))

    async def finish(self, parent: Task, reason: str, order: CancelOrder | None) -> None:
        """Cancel the children that do not outlive their parent, and return when they have ended.

        Those that were canceled with their parent, by `order`, have the grace that they were given.
        """
        viewer = owner_of(parent)
        grace_seconds = 0.0 if order is None else order.grace_seconds
        patience = grace_seconds + self.limits.cancel_abandon_seconds * FINISH_PATIENCE
        while attached := await self._attached_to(parent):
            for child in attached:
                if order is None or child.state is not TaskState.CANCELING:
                    await self.cancel(viewer, child.task_id, hard=True, reason=reason)
            ids = [child.task_id for child in attached]
            try:
                async with asyncio.timeout(patience):
                    await self.wait(viewer, ids, lambda tasks: all(task.state.is_terminal for task in tasks))
            except TimeoutError:
                return

    async def outlast(self, parent: Task) -> None:
        """Return when the children that a task was canceled without have ended, whenever that is."""
        while attached := await self._attached_to(parent):
            ids = [child.task_id for child in attached]
            await self.wait(owner_of(parent), ids, lambda tasks: all(task.state.is_terminal for task in tasks))

    async def _attached_to(self, parent: Task) -> Sequence[Task]:
        return [child for child in await self.live_of(parent) if not child.outlives_parent]


def owner_of(task: Task) -> Viewer:
    """Return the view of a task's owner."""
    return Viewer(tenant_id=task.tenant_id, user_id=task.user_id)
