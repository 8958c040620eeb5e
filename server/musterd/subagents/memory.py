"""Runs delegated tasks in this process's memory."""

import asyncio
import contextvars
from collections import OrderedDict
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

from pydantic_ai import DeferredToolRequests, RunContext
from pydantic_ai.models import Model
from pydantic_ai.usage import RunUsage

from musterd.domain.ids import new_id
from musterd.subagents.asking import Ask, Asker, ask_user_only, asking_toolset, current_asker
from musterd.subagents.child import ChildCapability
from musterd.subagents.handle import TaskHandle
from musterd.subagents.host import Delegation, DelegationRefused, OpenQuestion, PreparedSubagent, TaskView
from musterd.subagents.manager import TaskManager
from musterd.subagents.message_bus import utcnow
from musterd.subagents.retrying import run_with_retry
from musterd.subagents.scope import registry_scope
from musterd.subagents.slots import QueueFullError, stepping_aside
from musterd.subagents.texts import result_text

MAX_PAST_TASKS = 500
"""How many tasks are kept of runs that have ended."""

_nesting_left: ContextVar[int | None] = ContextVar("musterd-subagent-nesting", default=None)


class ApprovalNeededError(Exception):
    """A subagent's tools need somebody's approval or result, which a task in memory cannot wait for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Who sees a task."""

    run_id: str | None
    conversation_id: str | None
    in_background: bool
    outlives_run: bool

    def is_visible_to(self, ctx: RunContext[Any]) -> bool:
        if self.run_id == ctx.run_id:
            return True
        return self.outlives_run and self.conversation_id is not None and self.conversation_id == ctx.conversation_id


class MemoryHost:
    """Implements SubagentHost on a TaskManager. It does not attach to earlier calls: in memory no call is repeated."""

    def __init__(self, manager: TaskManager, *, max_past_tasks: int = MAX_PAST_TASKS) -> None:
        self._manager = manager
        self._max_past_tasks = max_past_tasks
        self._places: dict[str, _Place] = {}
        self._past: OrderedDict[str, None] = OrderedDict()

    def model_of(self, ctx: RunContext[Any]) -> Model:
        """Return the model of the run that calls."""
        model: object = ctx.model
        if not isinstance(model, Model):
            raise DelegationRefused("subagents cannot use a realtime model, they need a model of their own")
        return cast("Model", model)

    def nesting_left(self) -> int | None:
        """Return to how many further levels the run in this context may delegate."""
        return _nesting_left.get()

    async def start(self, ctx: RunContext[Any], delegation: Delegation) -> str:
        """Start a task and return its id."""
        handle = TaskHandle(new_id(), delegation.subagent, delegation.description, priority=delegation.priority)
        try:
            self._manager.create_task(
                handle.task_id,
                self._run(handle, delegation),
                handle,
                context=_context_of(delegation),
            )
        except QueueFullError:
            raise DelegationRefused(
                "too many tasks wait for their turn already. Wait for some with wait_tasks, then try again"
            ) from None
        self._places[handle.task_id] = _Place(
            run_id=ctx.run_id,
            conversation_id=ctx.conversation_id,
            in_background=delegation.in_background,
            outlives_run=delegation.outlives_run,
        )
        return handle.task_id

    def adopt(self, ctx: RunContext[Any], task_id: str) -> None:
        """Let a run see a task of the same manager that another host started. Does nothing when there is none."""
        if self._manager.get_handle(task_id) is not None:
            self._places.setdefault(
                task_id,
                _Place(run_id=ctx.run_id, conversation_id=None, in_background=True, outlives_run=False),
            )

    async def _run(self, handle: TaskHandle, delegation: Delegation) -> str:
        prepared = delegation.prepare()
        handle.usage = RunUsage()
        toolsets = list(prepared.toolsets)
        if prepared.can_ask:
            ask = self._asker_of(handle, prepared) if delegation.in_background else ask_user_only(prepared.ask_user)
            toolsets.append(asking_toolset())
            current_asker.set(Asker(ask, prepared.max_questions))
        try:
            result = await run_with_retry(
                prepared.agent,
                prepared.prompt,
                run_kwargs={
                    "deps": prepared.deps,
                    "model": prepared.model,
                    "toolsets": toolsets,
                    "capabilities": (*prepared.capabilities, ChildCapability(self._manager, handle.task_id)),
                    "usage": handle.usage,
                    "usage_limits": prepared.usage_limits,
                },
                retry=prepared.retry,
                on_retry=lambda attempt, error, _: self._manager.retrying(handle, attempt, error),
                on_resume=lambda: self._manager.resumed(handle),
            )
        finally:
            prepared.report(handle.usage)
        if isinstance(result.output, DeferredToolRequests):
            raise ApprovalNeededError("its tools need an approval or an external result, which only a server waits for")
        return result_text(result.output)

    def _asker_of(self, handle: TaskHandle, prepared: PreparedSubagent) -> Ask:
        async def ask(_: RunContext[Any], question: str) -> str | None:
            return await self._manager.ask(handle.task_id, question, prepared.ask_timeout_seconds)

        return ask

    async def join(self, ctx: RunContext[Any], task_id: str) -> TaskView:
        """Return how a task ended, once it has. When the caller is canceled, so is a task not in the background."""
        handle = self._manager.handles[task_id]
        try:
            async with stepping_aside():
                await self._manager.wait_until(lambda: handle.is_finished)
        except asyncio.CancelledError:
            if not self._places[task_id].in_background:
                await self._manager.hard_cancel(task_id)
            raise
        return _view_of(handle)

    async def find(self, ctx: RunContext[Any], task_id: str) -> TaskView | None:
        """Return a task; None when this run may not see it, or there is none."""
        return _view_of(self._manager.handles[task_id]) if self._sees(ctx, task_id) else None

    async def list_active(self, ctx: RunContext[Any]) -> Sequence[TaskView]:
        """Return the background tasks that this run may see and that have not ended, oldest first."""
        return [
            _view_of(self._manager.handles[task_id])
            for task_id in self._manager.list_active_tasks()
            if self._sees(ctx, task_id) and self._places[task_id].in_background
        ]

    async def wait(
        self, ctx: RunContext[Any], task_ids: Sequence[str], *, seconds: float, wait_for_any: bool
    ) -> Sequence[TaskView | None]:
        """Return the tasks once one or all ended, one asks something, or the time is over. Never cancels one."""
        seen = [self._manager.handles[task_id] for task_id in task_ids if self._sees(ctx, task_id)]

        def is_over() -> bool:
            ended = [handle.is_finished for handle in seen]
            asks = any(not each.is_told for handle in seen for each in handle.questions.values())
            return all(ended) or (wait_for_any and any(ended)) or asks

        async with stepping_aside():
            await self._manager.wait_until(is_over, seconds)
        for handle in seen:
            for each in handle.questions.values():
                each.is_told = True
        return [await self.find(ctx, task_id) for task_id in task_ids]

    async def answer(self, ctx: RunContext[Any], task_id: str, answer: str, question_id: str | None = None) -> bool:
        """Answer the oldest open question of a task, or the one named. Returns False when it is not open."""
        return self._sees(ctx, task_id) and self._manager.answer(task_id, answer, question_id)

    async def send(self, ctx: RunContext[Any], task_id: str, message: str) -> bool:
        """Put a message into a task's next request to its model. Returns False when it can take none any more."""
        return self._sees(ctx, task_id) and await self._manager.send(task_id, message)

    async def cancel(self, ctx: RunContext[Any], task_id: str, *, hard: bool) -> bool:
        """Cancel a task between its steps, or at once. Returns False when it has ended already."""
        if not self._sees(ctx, task_id):
            return False
        return await (self._manager.hard_cancel if hard else self._manager.soft_cancel)(task_id)

    async def end_run(self, run_id: str | None) -> None:
        """End what a run started and does not outlive it, and keep only so much of what has ended."""
        own = [task_id for task_id, place in self._places.items() if place.run_id == run_id]
        await self._manager.cancel_all(task_id for task_id in own if not self._places[task_id].outlives_run)
        self._past.update(dict.fromkeys(own))
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        active = set(self._manager.list_active_tasks())
        ended = [task_id for task_id in self._past if task_id not in active]
        for task_id in ended[: max(0, len(self._past) - self._max_past_tasks)]:
            del self._past[task_id], self._places[task_id]
            self._manager.forget(task_id)

    def _sees(self, ctx: RunContext[Any], task_id: str) -> bool:
        place = self._places.get(task_id)
        # Another host of the same manager may have forgotten a task that both knew.
        return place is not None and place.is_visible_to(ctx) and task_id in self._manager.handles


def _context_of(delegation: Delegation) -> contextvars.Context:
    """Return a context that holds nothing of the caller's but what a child inherits."""
    scope = registry_scope.get()
    context = contextvars.Context()
    context.run(registry_scope.set, scope)
    context.run(_nesting_left.set, delegation.nesting_left)
    return context


def _view_of(handle: TaskHandle) -> TaskView:
    until = handle.completed_at or utcnow()
    return TaskView(
        task_id=handle.task_id,
        subagent=handle.subagent_name,
        description=handle.description,
        status=handle.status,
        result=handle.result,
        error=handle.error,
        questions=tuple(
            OpenQuestion(question_id=pending.question_id, text=pending.text) for pending in handle.questions.values()
        ),
        usage=handle.usage,
        running_seconds=None if handle.started_at is None else (until - handle.started_at).total_seconds(),
    )
