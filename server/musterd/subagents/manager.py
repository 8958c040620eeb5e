"""Tasks in this process's memory: runs them, a few at a time, and lets others follow, ask, answer and stop them."""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from musterd.subagents.handle import PendingQuestion, TaskHandle
from musterd.subagents.host import ASK_TIMEOUT_SECONDS
from musterd.subagents.message_bus import AgentMessage, InMemoryMessageBus, MessageType, utcnow
from musterd.subagents.slots import (
    MAX_QUEUED_TASKS,
    MAX_RUNNING_TASKS,
    QueueFullError,
    Slot,
    Slots,
    current_slot,
    stepping_aside,
)
from musterd.subagents.status import TaskStatus

logger = logging.getLogger(__name__)

SOFT_CANCEL_GRACE_SECONDS = 30.0
"""How long a task that is to end between its steps may stay in one."""

CANCEL_ABANDON_SECONDS = 10.0
"""How long a canceled task may take to end before it counts as ended."""

CANCELLED_TEXT = "Task was cancelled"


def address_of(task_id: str) -> str:
    """Return the name under which a task gets messages."""
    return f"subagent-{task_id}"


@dataclass(slots=True, kw_only=True)
class _Running:
    task: "asyncio.Task[None]"
    slot: Slot
    cancel_event: asyncio.Event
    grace: asyncio.TimerHandle | None = None


class TaskManager:
    """Owns the tasks of one toolset. All its methods are for the event loop on which its tasks run.

    At most `max_running` tasks run at a time; a task that waits for another one, or for an answer, does not count.
    """

    def __init__(
        self,
        message_bus: InMemoryMessageBus | None = None,
        *,
        max_running: int = MAX_RUNNING_TASKS,
        max_queued: int = MAX_QUEUED_TASKS,
        soft_cancel_grace_seconds: float = SOFT_CANCEL_GRACE_SECONDS,
        cancel_abandon_seconds: float = CANCEL_ABANDON_SECONDS,
    ) -> None:
        self.message_bus = message_bus or InMemoryMessageBus()
        self.handles: dict[str, TaskHandle] = {}
        self._running: dict[str, _Running] = {}
        self._slots = Slots(max_running, max_queued)
        self._grace_seconds = soft_cancel_grace_seconds
        self._abandon_seconds = cancel_abandon_seconds
        self._waiters: set[asyncio.Future[None]] = set()

    def create_task(
        self,
        task_id: str,
        coro: Coroutine[Any, Any, str | None],
        handle: TaskHandle,
        *,
        context: contextvars.Context | None = None,
    ) -> "asyncio.Task[None]":
        """Run a coroutine when its turn comes. What it returns or raises ends the handle, if nothing did before.

        Raises ValueError for an id that is there, and QueueFullError; the coroutine is closed then.
        """
        if task_id in self.handles:
            coro.close()
            raise ValueError(f"Task '{task_id}' already exists")
        try:
            slot = self._slots.reserve(handle.priority)
        except QueueFullError:
            coro.close()
            raise
        context = context or contextvars.copy_context()
        context.run(current_slot.set, slot)
        self.handles[task_id] = handle
        self.message_bus.register_agent(address_of(task_id))
        task = asyncio.get_running_loop().create_task(
            self._run(coro, handle, slot), name=address_of(task_id), context=context
        )
        self._running[task_id] = _Running(task=task, slot=slot, cancel_event=asyncio.Event())
        task.add_done_callback(lambda _: self._settle(task_id, coro))
        return task

    async def _run(self, coro: Coroutine[Any, Any, str | None], handle: TaskHandle, slot: Slot) -> None:
        await slot.take()
        handle.started_at = utcnow()
        self._move(handle, TaskStatus.RUNNING)
        try:
            handle.finish(TaskStatus.COMPLETED, result=await coro)
        except Exception as error:
            logger.warning("subagent %r failed in task %s", handle.subagent_name, handle.task_id, exc_info=error)
            handle.finish(TaskStatus.FAILED, error=f"{type(error).__name__}: {error}")

    def _settle(self, task_id: str, coro: Coroutine[Any, Any, str | None]) -> None:
        # A task that is canceled before its first step never runs what it was given.
        coro.close()
        running = self._running.pop(task_id)
        running.slot.give_back()
        if running.grace is not None:
            running.grace.cancel()
        self.message_bus.unregister_agent(address_of(task_id))
        self.handles[task_id].finish(TaskStatus.CANCELLED, error=CANCELLED_TEXT)
        self._tell()

    def get_handle(self, task_id: str) -> TaskHandle | None:
        """Return a task; None when there is none."""
        return self.handles.get(task_id)

    def get_cancel_event(self, task_id: str) -> asyncio.Event | None:
        """Return what is set when a task is to end between its steps; None when it does not run."""
        running = self._running.get(task_id)
        return None if running is None else running.cancel_event

    def list_active_tasks(self) -> list[str]:
        """Return the ids of the tasks that have not ended, oldest first."""
        return [task_id for task_id, handle in self.handles.items() if not handle.is_finished]

    def list_handles(self) -> list[TaskHandle]:
        """Return all tasks, oldest first."""
        return list(self.handles.values())

    def forget(self, task_id: str) -> None:
        """Drop a task that has ended. Does nothing when it is not there."""
        if task_id not in self._running:
            self.handles.pop(task_id, None)

    def retrying(self, handle: TaskHandle, attempt: int, error: BaseException) -> None:
        """Note that a task waits before it tries again."""
        handle.retry_count += 1
        handle.error = f"Transient error (retry {attempt}): {error}"
        self._move(handle, TaskStatus.RETRYING)

    def resumed(self, handle: TaskHandle) -> None:
        """Note that a task tries again."""
        handle.error = None
        self._move(handle, TaskStatus.WAITING_FOR_ANSWER if handle.questions else TaskStatus.RUNNING)

    async def ask(self, task_id: str, question: str, seconds: float = ASK_TIMEOUT_SECONDS) -> str | None:
        """Return the answer to a task's question; None when the time is over, or when the task is to end."""
        handle = self.handles[task_id]
        if self._running[task_id].cancel_event.is_set():
            return None
        pending = PendingQuestion(text=question, answered=asyncio.get_running_loop().create_future())
        handle.questions[pending.question_id] = pending
        self._move(handle, TaskStatus.WAITING_FOR_ANSWER)
        try:
            async with stepping_aside():
                await asyncio.wait({pending.answered}, timeout=seconds)
        finally:
            self._close_question(handle, pending)
        return pending.answered.result() if pending.answered.done() else None

    def answer(self, task_id: str, answer: str, question_id: str | None = None) -> bool:
        """Answer a task's oldest open question, or the one named. Returns False when it is not open."""
        handle = self.handles.get(task_id)
        if handle is None:
            return False
        pending = handle.questions.get(question_id or next(iter(handle.questions), ""))
        if pending is None:
            return False
        pending.answered.set_result(answer)
        self._close_question(handle, pending)
        return True

    def _close_question(self, handle: TaskHandle, pending: PendingQuestion) -> None:
        if handle.questions.pop(pending.question_id, None) is not None and not handle.questions:
            self._move(handle, TaskStatus.RUNNING)

    async def send(self, task_id: str, text: str) -> bool:
        """Put a message into a task's next model request. Returns False when it takes none (any more)."""
        message = AgentMessage(MessageType.TASK_UPDATE, "parent", address_of(task_id), {"message": text}, task_id)
        try:
            await self.message_bus.send(message)
        except (KeyError, asyncio.QueueFull):
            return False
        return True

    async def soft_cancel(self, task_id: str) -> bool:
        """End a task between two steps, or when the grace is over. Returns False when it does not run."""
        running = self._running.get(task_id)
        if running is None or self.handles[task_id].is_finished:
            return False
        if running.cancel_event.is_set():
            return True
        running.cancel_event.set()
        handle = self.handles[task_id]
        for pending in tuple(handle.questions.values()):
            pending.answered.set_result(None)
            self._close_question(handle, pending)
        if handle.status in (TaskStatus.PENDING, TaskStatus.RETRYING):
            running.task.cancel()
        else:
            running.grace = asyncio.get_running_loop().call_later(self._grace_seconds, running.task.cancel)
        return True

    async def boundary(self, task_id: str) -> None:
        """Pass, or never return when the task is to end between its steps: its cancellation arrives here."""
        running = self._running[task_id]
        if running.cancel_event.is_set():
            running.task.cancel()
            await asyncio.get_running_loop().create_future()

    async def hard_cancel(self, task_id: str) -> bool:
        """End a task at once, and return when it has. Returns False when it ended otherwise."""
        running = self._running.get(task_id)
        if running is None:
            return False
        await self.cancel_all((task_id,))
        return self.handles[task_id].status is TaskStatus.CANCELLED

    async def cancel_all(self, task_ids: Iterable[str] | None = None) -> None:
        """End these tasks at once, all without an argument, and return when they have."""
        wanted = self._running.keys() if task_ids is None else self._running.keys() & set(task_ids)
        tasks = {self._running[task_id].task: task_id for task_id in wanted}
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        _, stuck = await asyncio.wait(tasks, timeout=self._abandon_seconds)
        for task in stuck:
            logger.error("task %s does not end although it was canceled", tasks[task])
            self.handles[tasks[task]].finish(TaskStatus.CANCELLED, error=CANCELLED_TEXT)

    async def wait_until(self, is_over: Callable[[], bool], seconds: float | None = None) -> None:
        """Return when `is_over` says so, which is asked at once and after each change, or when the time is over."""
        try:
            async with asyncio.timeout(seconds):
                while not is_over():
                    await self._next_change()
        except TimeoutError:
            return

    async def _next_change(self) -> None:
        changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(changed)
        try:
            await changed
        finally:
            self._waiters.discard(changed)

    def _move(self, handle: TaskHandle, status: TaskStatus) -> None:
        if not handle.is_finished:
            handle.status = status
            self._tell()

    def _tell(self) -> None:
        for changed in self._waiters:
            if not changed.done():
                changed.set_result(None)
