"""The server's host of subagents: what one run delegates becomes child tasks."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any, cast

from pydantic_ai import RunContext
from pydantic_ai.models import Model

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import SubtaskStarted, TaskStarted
from musterd.domain.ids import derived_id, is_id
from musterd.domain.orders import Steer, SteerState
from musterd.domain.ports import NewTask, RequestKey, TaskQuery
from musterd.domain.task import (
    ComponentKind,
    ComponentRef,
    Delegate,
    Lineage,
    Part,
    Task,
    TaskSpec,
    UsageLimits,
)
from musterd.runtime.attempt.scope import RunScope
from musterd.runtime.attempt.tap import TapModel
from musterd.runtime.components.nodes import Node, TeamNode, WorkflowNode, member_of, node_of_prepared, step_of
from musterd.runtime.components.prompt import prompt_of
from musterd.runtime.delegation.children import LIVE_STATES, MAX_LISTED_CHILDREN, Children, owner_of
from musterd.runtime.delegation.parking import Parking
from musterd.runtime.delegation.views import PRIORITY_OF, view_of
from musterd.subagents.host import Delegation, DelegationRefused, TaskView
from musterd.teams.team import Team
from musterd.workflows.steps import StepKind

KIND_OF_STEP = {
    StepKind.AGENT: ComponentKind.STEP,
    StepKind.TEAM: ComponentKind.TEAM,
    StepKind.WORKFLOW: ComponentKind.WORKFLOW,
}

MAX_DESCRIPTION_CHARS = 10_000
"""How much of what a task is to do is told with it and listed. The task itself is given all of it."""

PARENT_ENDED = "the task that started it has ended"
BY_PARENT = "canceled by its parent"
CALL_ENDED = "the tool call that waited for it was canceled"


class EngineHost:
    """Runs what one attempt of a task delegates, as its children.

    A child's id follows from the task, the model step and the tool call: a call that is repeated after a crash finds
    the child that it started before. `node` is what runs.
    """

    def __init__(self, scope: RunScope, node: Node, children: Children, parking: Parking) -> None:
        self._scope = scope
        self.node = node
        self.parking = parking
        self._children = children
        self._viewer = owner_of(scope.task)
        # A task that was worked on before may have any.
        self._has_earlier = scope.task.attempt > 1
        self._open: set[str] = set()
        self._joined: set[str] = set()
        self._told: set[str] = set()

    @property
    def may_have_children(self) -> bool:
        """Whether there may be children that have not ended."""
        return self._has_earlier or bool(self._open)

    def model_of(self, ctx: RunContext[Any]) -> Model:
        """Return the model of the run without what records it."""
        model = ctx.model
        while isinstance(model, TapModel):
            model = model.wrapped
        return cast("Model", model)

    def nesting_left(self) -> int | None:
        """Return what the task was given when it was started; None for a root."""
        lineage = self._scope.spec.lineage
        return None if lineage is None or not lineage.path[-1].toolset_id else lineage.nesting_left

    def child_id(self, ctx: RunContext[Any], index: int = 0) -> str:
        """Return the id of what a tool call starts."""
        return derived_id(self._scope.task.task_id, self._scope.recorder.step, ctx.tool_call_id or "", index)

    async def start(self, ctx: RunContext[Any], delegation: Delegation) -> str:
        """Store a child, and run it when there is room. Raises DelegationRefused."""
        child_id = self.child_id(ctx, delegation.index)
        try:
            await self.start_child(child_id, delegation)
        except MusterdError as error:
            raise DelegationRefused(error.message) from error
        return child_id

    async def start_child(
        self,
        child_id: str,
        delegation: Delegation,
        parts: tuple[Part, ...] = (),
        *,
        timeout_seconds: float | None = None,
    ) -> None:
        """Start a child under an id of its own, or attach to the one that is there. Raises MusterdError as `spawn`.

        With `timeout_seconds` it may have less time than is left of this run.
        """
        new = self._new_child(child_id, delegation, parts)
        if timeout_seconds is not None and timeout_seconds < new.spec.run_timeout_seconds:
            new = replace(new, spec=replace(new.spec, run_timeout_seconds=timeout_seconds))
        # What outlives this run must not use what this run was built with, for that is taken down with it.
        prepare = None if delegation.outlives_run else lambda: self._node_of(delegation, new.spec)
        self._open.add(child_id)
        try:
            await self._children.patiently(lambda: self._children.launcher.spawn(new, prepare))
        except MusterdError:
            self._open.discard(child_id)
            raise

    def _node_of(self, delegation: Delegation, spec: TaskSpec) -> Node:
        if isinstance(self.node, WorkflowNode):
            return step_of(self.node, delegation.subagent, prompt_of(spec))
        if isinstance(self.node, TeamNode) and delegation.is_member and not delegation.toolset_id:
            return member_of(self.node, delegation.subagent, prompt_of(spec))
        return node_of_prepared(delegation.prepare())

    def _kind_of(self, delegation: Delegation) -> ComponentKind:
        if isinstance(self.node, WorkflowNode):
            return KIND_OF_STEP[self.node.workflow.find(delegation.subagent).kind]
        if not delegation.is_member:
            return ComponentKind.SUBAGENT
        if isinstance(self.node, TeamNode) and not delegation.toolset_id:
            is_team = isinstance(self.node.team.members[delegation.subagent], Team)
            return ComponentKind.TEAM if is_team else ComponentKind.MEMBER
        return ComponentKind.MEMBER

    def _new_child(self, child_id: str, delegation: Delegation, parts: tuple[Part, ...]) -> NewTask:
        task = self._scope.task
        spec = self._child_spec(delegation, parts)
        description = delegation.description[:MAX_DESCRIPTION_CHARS]
        started = SubtaskStarted(
            subtask_id=child_id,
            component=spec.component,
            description=description,
            in_background=delegation.in_background,
        )
        return NewTask(
            task_id=child_id,
            root_task_id=task.root_task_id,
            parent_task_id=task.task_id,
            parent_attempt=task.attempt,
            spec=spec,
            description=description,
            outlives_parent=delegation.outlives_run,
            team_task_id=task.task_id if delegation.is_member else "",
            priority=PRIORITY_OF[delegation.priority],
            payloads=(TaskStarted(session_id=task.session_id, parent_task_id=task.task_id),),
            parent_payloads=(started,),
        )

    def _child_spec(self, delegation: Delegation, parts: tuple[Part, ...]) -> TaskSpec:
        spec = self._scope.spec
        above = spec.lineage or Lineage(component=spec.component, path=())
        step = Delegate(
            name=delegation.subagent, toolset_id=delegation.toolset_id, definition_json=delegation.definition_json
        )
        return replace(
            spec,
            component=ComponentRef(kind=self._kind_of(delegation), id=delegation.subagent),
            lineage=Lineage(
                component=above.component,
                path=(*above.path, step),
                nesting_left=delegation.nesting_left,
                runs_in_background=delegation.in_background,
            ),
            message=delegation.description,
            parts=parts,
            run_timeout_seconds=(
                spec.run_timeout_seconds if delegation.outlives_run else self._scope.remaining_seconds
            ),
            usage_limits=UsageLimits(requests=spec.usage_limits.requests),
        )

    async def join(self, ctx: RunContext[Any], task_id: str) -> TaskView:
        """Return how a child ended; the run holds no slot while it waits."""
        self._joined.add(task_id)
        try:
            async with self.parking.waiting((task_id,)):
                task = await self._children.join(self._viewer, task_id)
        except asyncio.CancelledError:
            await self._let_go(task_id)
            raise
        self._open.discard(task_id)
        return await self._view(task)

    async def _let_go(self, task_id: str) -> None:
        """Cancel a child whose tool call was cut off alone; what ends the whole run cancels it anyway."""
        control = self._scope.control
        if self._children.launcher.is_draining or control.order is not None or control.is_lost:
            return
        with suppress(MusterdError):
            await self._children.cancel(self._viewer, task_id, hard=True, reason=CALL_ENDED)

    async def find(self, ctx: RunContext[Any], task_id: str) -> TaskView | None:
        """Return a child of this run, or one that its session left."""
        task = await self._find(task_id)
        return None if task is None else await self._view(task)

    async def _find(self, task_id: str) -> Task | None:
        if not is_id(task_id):
            # A model may make up anything, also what a store cannot look for.
            return None
        try:
            task = await self._children.patiently(lambda: self._children.store.get_task(self._viewer, task_id))
        except MusterdError as error:
            if error.reason is Reason.TASK_NOT_FOUND:
                return None
            raise
        is_mine = task.parent_task_id == self._scope.task.task_id or await self._left_in_session([task])
        return task if is_mine else None

    async def _left_in_session(self, tasks: Sequence[Task]) -> Sequence[Task]:
        """Return those of the tasks that a run of this session left. With another component it is another session."""
        mine = self._scope.task
        left = [
            task
            for task in tasks
            if task.outlives_parent
            and task.session_id == mine.session_id != ""
            and task.component.kind is ComponentKind.SUBAGENT
        ]
        if not left:
            return ()
        root_ids = list({mine.root_task_id, *(task.root_task_id for task in left)})
        roots = await self._children.patiently(lambda: self._children.store.get_tasks(self._viewer, root_ids))
        component_of = {root.task_id: root.component for root in roots}
        return [task for task in left if component_of[task.root_task_id] == component_of[mine.root_task_id]]

    async def _view(self, task: Task) -> TaskView:
        return view_of(task, await self._now())

    async def _now(self) -> datetime:
        return await self._children.patiently(self._children.store.now)

    async def list_active(self, ctx: RunContext[Any]) -> Sequence[TaskView]:
        """Return the live children of this run in the background, and those that earlier runs of its session left."""
        tasks = {task.task_id: task for task in await self._left_by_session()}
        tasks |= {task.task_id: task for task in await self._children.live_of(self._scope.task)}
        now = await self._now()
        in_background = [task for task in tasks.values() if task.task_id not in self._joined]
        return [view_of(task, now) for task in sorted(in_background, key=lambda task: task.create_time)]

    async def _left_by_session(self) -> Sequence[Task]:
        if not self._scope.task.session_id:
            return ()
        query = TaskQuery(
            viewer=self._viewer,
            limit=MAX_LISTED_CHILDREN,
            states=LIVE_STATES,
            component_kind=ComponentKind.SUBAGENT,
            session_id=self._scope.task.session_id,
        )
        found = await self._children.patiently(lambda: self._children.store.list_tasks(query))
        return await self._left_in_session(found)

    async def wait(
        self, ctx: RunContext[Any], task_ids: Sequence[str], *, seconds: float, wait_for_any: bool
    ) -> Sequence[TaskView | None]:
        """Return tasks once one or all ended, one asks something, or the time is over; holds no slot meanwhile."""
        found = await asyncio.gather(*map(self._find, dict.fromkeys(task_ids)))
        known = [task.task_id for task in found if task is not None]

        def is_over(tasks: Sequence[Task]) -> bool:
            ended = [task.state.is_terminal for task in tasks]
            asked = {each.question_id for task in tasks for each in task.questions}
            return (any(ended) if wait_for_any else all(ended)) or not asked <= self._told

        tasks: Sequence[Task] | None = None
        if known:
            async with self._children.slots.waiting(self._scope.slot):
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        tasks = await self._children.wait(self._viewer, known, is_over)
        if tasks is None:
            tasks = await self._children.patiently(lambda: self._children.store.get_tasks(self._viewer, known))
        self._told |= {each.question_id for task in tasks for each in task.questions}
        self._open -= {task.task_id for task in tasks if task.state.is_terminal}
        now = await self._now()
        views = {task.task_id: view_of(task, now) for task in tasks}
        return [views.get(task_id) for task_id in task_ids]

    async def answer(self, ctx: RunContext[Any], task_id: str, answer: str, question_id: str | None = None) -> bool:
        """Answer the oldest open question of a task, or the one named; a repeated call answers once."""
        key = self._key(ctx, "answer_subagent", task_id, answer)
        while (task := await self._find(task_id)) is not None:
            oldest = task.questions[0].question_id if task.questions else ""
            try:
                await self._children.patiently(
                    partial(
                        self._children.store.answer,
                        self._viewer,
                        task_id,
                        question_id or oldest,
                        answer=answer,
                        user_id="",
                        request=key,
                    )
                )
            except MusterdError as error:
                if error.reason is not Reason.TASK_NOT_WAITING:
                    raise
                # Another call of the same response may have answered the oldest meanwhile: then the next one is meant.
                if question_id or not oldest:
                    return False
            else:
                return True
        return False

    async def send(self, ctx: RunContext[Any], task_id: str, message: str) -> bool:
        """Put a message into a task's next request to its model; a repeated call puts it in once."""
        if await self._find(task_id) is None:
            return False
        key = self._key(ctx, "send_message_to_subagent", task_id, message)
        wished = Steer(steer_id=key.request_id, task_id=task_id, message=message, user_id="")
        try:
            steer, _ = await self._children.patiently(lambda: self._children.store.add_steer(self._viewer, wished, key))
        except MusterdError as error:
            if error.reason is Reason.TASK_NOT_STEERABLE:
                return False
            raise
        # A repeated call may find that the task has read it, in an earlier attempt that this one does not know of.
        if steer.state is SteerState.PENDING:
            self._children.launcher.steer(steer)
        return True

    def _key(self, ctx: RunContext[Any], method: str, *content: str) -> RequestKey:
        return RequestKey(
            tenant_id=self._scope.task.tenant_id,
            user_id=self._scope.task.user_id,
            method=method,
            request_id=self.child_id(ctx),
            body_sha256=sha256("\0".join(content).encode()).digest(),
        )

    async def cancel(self, ctx: RunContext[Any], task_id: str, *, hard: bool) -> bool:
        """Cancel a task; a hard one has ended when this returns, unless its code does not stop."""
        if await self._find(task_id) is None:
            return False
        key = self._key(ctx, "cancel_task", task_id, str(hard))
        is_canceled = await self._children.cancel(self._viewer, task_id, hard=hard, reason=BY_PARENT, request=key)
        if is_canceled and hard:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._children.limits.cancel_abandon_seconds):
                    await self._children.join(self._viewer, task_id)
        return is_canceled
