"""Looks at tasks and controls them, whoever started them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from musterd.domain.approval_store import Renewal, Resolution
from musterd.domain.errors import MusterdError, Reason, invalid_argument
from musterd.domain.event import AuthRenewed
from musterd.domain.full_store import FullStore
from musterd.domain.ids import new_id
from musterd.domain.orders import CancelOrder, Steer, SteerState
from musterd.domain.ports import RequestKey, TaskQuery
from musterd.domain.principal import Identity, Viewer
from musterd.domain.task import ComponentKind, Task, TaskState
from musterd.runtime.feed.changes import TaskChanges
from musterd.runtime.feed.hub import Follower, Hub
from musterd.runtime.supervisor import Supervisor

HARD_CANCEL_WAIT_SECONDS = 5.0


class CancelOutcome(StrEnum):
    """What a cancel request led to."""

    CANCELED = "canceled"
    CANCELING = "canceling"
    ALREADY_CANCELED = "already_canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """How tasks stand after a wait."""

    tasks: Sequence[Task]
    timed_out: bool

    @property
    def pending_ids(self) -> Sequence[str]:
        """Ids of the tasks that have not ended."""
        return [task.task_id for task in self.tasks if not task.state.is_terminal]

    @property
    def input_required_ids(self) -> Sequence[str]:
        """Ids of the tasks that wait for somebody outside."""
        return [task.task_id for task in self.tasks if task.needs_input]


class Tasks:
    """What callers may do with tasks that exist. A task that the viewer may not see is TASK_NOT_FOUND everywhere."""

    def __init__(self, *, store: FullStore, supervisor: Supervisor, hub: Hub, changes: TaskChanges) -> None:
        self._store = store
        self._supervisor = supervisor
        self._hub = hub
        self._changes = changes

    async def get(self, viewer: Viewer, task_id: str) -> Task:
        """Return a task as it stands."""
        return await self._store.get_task(viewer, task_id)

    async def list(self, query: TaskQuery) -> Sequence[Task]:
        """Return a page of tasks, newest first."""
        return await self._store.list_tasks(query)

    async def watch(self, viewer: Viewer, task_id: str, after_sequence: int) -> tuple[Task, Sequence[Task], Follower]:
        """Return a task, what is below it, and a follower of its tree's log. Hand the follower back to the hub."""
        task = await self._store.get_task(viewer, task_id)
        if after_sequence > task.last_sequence:
            message = f"is {after_sequence}, but the log ends at {task.last_sequence}"
            raise invalid_argument("after_sequence", "range", message)
        return task, await self._store.get_descendants(task_id), self._hub.follow(task.root_task_id, after_sequence)

    async def wait(self, viewer: Viewer, task_ids: Sequence[str], *, wait_for_any: bool, seconds: float) -> Waited:
        """Return when one or all of the tasks ended, when one needs input, or when the time runs out.

        Raises SHUTTING_DOWN when the server goes down first.
        """
        with self._changes.watch(task_ids) as waiter:
            loop = asyncio.get_running_loop()
            end = loop.time() + seconds
            while True:
                tasks = await self._store.get_tasks(viewer, task_ids)
                ended = [task.state.is_terminal for task in tasks]
                if any(ended) if wait_for_any else all(ended):
                    return Waited(tasks=tasks, timed_out=False)
                if any(task.needs_input for task in tasks):
                    return Waited(tasks=tasks, timed_out=False)
                if not await self._changes.happens(waiter, end - loop.time()):
                    return Waited(tasks=await self._store.get_tasks(viewer, task_ids), timed_out=True)

    async def cancel(
        self, viewer: Viewer, task_id: str, order: CancelOrder, request: RequestKey | None
    ) -> tuple[Task, CancelOutcome]:
        """Cancel a task. A hard cancel waits a moment for the task to end. Raises TASK_NOT_CANCELABLE."""
        record = await self._store.request_cancel(viewer, task_id, order, request)
        for interrupted in record.to_interrupt:
            self._supervisor.cancel(interrupted, order)
        for steer in record.delivered:
            self._supervisor.steer(steer)
        if record.task.state.is_terminal:
            # It may have had its session without running, or those above it may have waited without a process.
            self._supervisor.tell_freed()
        if record.was_canceled_before:
            return record.task, CancelOutcome.ALREADY_CANCELED
        task = record.task
        if order.hard and not task.state.is_terminal:
            waited = await self.wait(viewer, [task_id], wait_for_any=False, seconds=HARD_CANCEL_WAIT_SECONDS)
            task = waited.tasks[0]
            if task.state.is_terminal and task.state is not TaskState.CANCELED:
                raise MusterdError(
                    reason=Reason.TASK_NOT_CANCELABLE,
                    message=f"the task ended as {task.state.value} before it could be canceled",
                    metadata={"task_id": task_id, "state": task.state.value},
                )
        return task, CancelOutcome.CANCELED if task.state is TaskState.CANCELED else CancelOutcome.CANCELING

    async def steer(
        self,
        viewer: Viewer,
        *,
        task_id: str,
        message: str,
        user_id: str,
        seconds: float,
        request: RequestKey | None,
    ) -> tuple[Steer, Task]:
        """Put a message into a running task, and wait until it is applied. Raises TASK_NOT_STEERABLE."""
        await self._check_steerable(viewer, task_id)
        with self._changes.watch([task_id]) as waiter:
            wished = Steer(steer_id=new_id(), task_id=task_id, message=message, user_id=user_id)
            steer, task = await self._store.add_steer(viewer, wished, request)
            if steer.steer_id == wished.steer_id:
                self._supervisor.steer(steer)
            loop = asyncio.get_running_loop()
            end = loop.time() + seconds
            while steer.state is SteerState.PENDING and await self._changes.happens(waiter, end - loop.time()):
                steer = await self._store.get_steer(steer.steer_id)
        if steer.state is SteerState.REFUSED:
            raise MusterdError(
                reason=Reason.TASK_NOT_STEERABLE,
                message="the task ended before the message could be applied",
                metadata={"task_id": task_id, "steer_id": steer.steer_id},
            )
        return steer, await self._store.get_task(viewer, task.task_id)

    async def _check_steerable(self, viewer: Viewer, task_id: str) -> None:
        """Raise TASK_NOT_STEERABLE for a workflow, which itself asks no model."""
        task = await self._store.get_task(viewer, task_id)
        if task.component.kind is ComponentKind.WORKFLOW:
            raise MusterdError(
                reason=Reason.TASK_NOT_STEERABLE,
                message="a workflow takes no messages: steer the task of one of its steps",
                metadata={"task_id": task_id},
            )

    async def renew_identity(
        self, viewer: Viewer, *, task_id: str, identity: Identity, user_id: str, request: RequestKey | None
    ) -> Task:
        """Give a task in AUTH_REQUIRED the fresh identity of the user who calls, and let it go on.

        Raises TASK_NOT_WAITING.
        """
        payload = AuthRenewed(user_id=user_id)
        task = await self._store.renew_identity(viewer, task_id, identity, payload, request)
        self._supervisor.look_for_work()
        return task

    async def resolve(
        self,
        viewer: Viewer,
        *,
        task_id: str,
        resolutions: Sequence[Resolution],
        user_id: str,
        renewal: Renewal | None = None,
        request: RequestKey | None,
    ) -> Task:
        """Decide about approvals of a task, or of tasks below it; one that waits for nothing more goes on.

        With a `renewal` tasks that nobody runs go on under it, where their own identity is too old.

        Raises APPROVAL_NOT_FOUND, APPROVAL_CONFLICT, INVALID_ARGUMENT.
        """
        resolved = await self._store.resolve(
            viewer, task_id, resolutions, user_id=user_id, renewal=renewal, request=request
        )
        # One that nobody ran meanwhile is taken up again.
        self._supervisor.look_for_work()
        return resolved.task

    async def answer(
        self,
        viewer: Viewer,
        *,
        task_id: str,
        question_id: str,
        answer: str,
        user_id: str,
        request: RequestKey | None,
    ) -> Task:
        """Answer a question that a task asks; an empty `question_id` means the only one that is open.

        Raises TASK_NOT_WAITING.
        """
        return await self._store.answer(viewer, task_id, question_id, answer=answer, user_id=user_id, request=request)
