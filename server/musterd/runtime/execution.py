"""Executes tasks: from a claimed row to its terminal event."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import structlog
from pydantic_ai.toolsets import AbstractToolset

from musterd.domain.board import LEADER
from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import AuthRequired, TaskStarted
from musterd.domain.ports import ClaimedTask, Inbox, SteerState, Store
from musterd.domain.step import Journal
from musterd.domain.task import ComponentKind, Output, Task, TaskSpec, TaskState
from musterd.runtime.admission import Slot
from musterd.runtime.attempt.control import RunControl
from musterd.runtime.attempt.endings import Ending, ending_of, output_of, unresumed
from musterd.runtime.attempt.recorder import StepRecorder, cut_off_tool
from musterd.runtime.attempt.retry import retry_config_of
from musterd.runtime.attempt.running import run_agent
from musterd.runtime.attempt.scope import RunScope
from musterd.runtime.budgets import Budgets, TaskBudget, TreeBudget
from musterd.runtime.components.building import Builder
from musterd.runtime.components.nodes import AgentNode, Node, TeamNode, descend
from musterd.runtime.components.prompt import prompt_of
from musterd.runtime.delegation.board import EngineBoard
from musterd.runtime.delegation.children import Children
from musterd.runtime.delegation.host import PARENT_ENDED, EngineHost
from musterd.runtime.delegation.questions import Questions
from musterd.runtime.delegation.views import run_usage_of
from musterd.runtime.failures import unforeseen
from musterd.runtime.feed.log import AttemptLost, LogWriter, RunLog
from musterd.runtime.limits import Limits
from musterd.runtime.patience import patiently
from musterd.runtime.teams.leading import TeamRun
from musterd.runtime.teams.modes import run_team
from musterd.subagents.asking import Asker, asking_toolset, current_asker
from musterd.subagents.host import current_host
from musterd.subagents.scope import end_scope, registry_scope
from musterd.teams.board import current_board, current_member, own_board

logger = structlog.get_logger(__name__)

T = TypeVar("T")

NO_JOURNAL = Journal(model_steps={}, tool_steps={})
NO_INBOX = Inbox(steers=(), cancel=None)
TEAM_KINDS = (ComponentKind.MEMBER, ComponentKind.TEAM)


@dataclass(slots=True)
class Run:
    """A task that runs here. `has_stopped` is true once its own code has ended, and only its children may still run."""

    task_id: str
    control: RunControl
    slot: Slot
    log: RunLog | None = None
    recorder: StepRecorder | None = None
    task: asyncio.Task[None] | None = None
    has_stopped: bool = False
    helpers: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Executes one attempt at a time of any task, in the asyncio task that calls it."""

    store: Store
    builder: Builder
    writer: LogWriter
    clock: Clock
    limits: Limits
    budgets: Budgets
    children: Children

    async def begin_child(self, run: Run, claimed: ClaimedTask, prepare: Callable[[], Node] | None) -> None:
        """Execute a child that was stored a moment ago, as running here."""
        async with self._in_charge(run, claimed):
            inbox = NO_INBOX
            if claimed.task.component.kind in TEAM_KINDS:
                inbox = await self._patiently(lambda: self.store.read_inbox(claimed.task.task_id))
            await self._execute_prepared(run, claimed, prepare, NO_JOURNAL, inbox)

    async def take_up(self, run: Run, claimed: ClaimedTask, prepare: Callable[[], Node] | None) -> None:
        """Execute a task that was claimed. With `prepare` its component is there already, else it is built."""
        task = claimed.task
        async with self._in_charge(run, claimed) as log:
            self._check_attempts(task)
            # One that is being canceled does nothing any more under its identity.
            if task.state is not TaskState.CANCELING and await self._park_if_too_old(task, claimed.spec):
                return
            journal = await self._patiently(lambda: self.store.load_journal(task.task_id))
            inbox = await self._patiently(lambda: self.store.read_inbox(task.task_id))
            if not await self._has_started(task, journal):
                log.say(TaskStarted(session_id=task.session_id, parent_task_id=task.parent_task_id))
            if (tool := cut_off_tool(journal)) is not None:
                raise MusterdError(
                    reason=Reason.TASK_LOST,
                    message=f"the server stopped while the tool {tool.tool_name!r} ran, "
                    "and it is not marked as repeatable",
                    cause="TOOL_NOT_REPEATABLE",
                )
            await self._execute_prepared(run, claimed, prepare, journal, inbox)

    @asynccontextmanager
    async def _in_charge(self, run: Run, claimed: ClaimedTask) -> AsyncGenerator[RunLog]:
        """Open the task's log, and end the task with the reason when it cannot be executed."""
        task = claimed.task
        log = run.log = self.writer.open_log(task.task_id, task.attempt, run.control.lose)
        try:
            # Held before the component is built: `claimed` would miss what others of the tree spend meanwhile.
            with self._holding_budget(claimed):
                yield log
        except MusterdError as error:
            await self._give_up(run, task, log, error)
        except AttemptLost:
            logger.info("attempt_lost", task=task.task_id, attempt=task.attempt)
        except Exception as error:  # noqa: BLE001 - nobody would ever end a task that is left as it is
            text = "the task could not be taken up"
            await self._give_up(run, task, log, unforeseen(Reason.INTERNAL, text, error, task=task.task_id))

    async def _execute_prepared(
        self,
        run: Run,
        claimed: ClaimedTask,
        prepare: Callable[[], Node] | None,
        journal: Journal,
        inbox: Inbox,
    ) -> None:
        task, spec = claimed.task, claimed.spec
        if prepare is not None:
            await self.execute(run, claimed, prepare(), journal, inbox)
            return
        deadline = self._deadline(task, spec)
        path = spec.lineage.path if spec.lineage is not None else ()
        async with self.builder.build(spec, task.task_id, deadline) as component:
            node = descend(component, path, spec.message, prompt_of(spec))
            await self.execute(run, claimed, node, journal, inbox)

    def _check_attempts(self, task: Task) -> None:
        if task.attempt > self.limits.max_attempts:
            raise MusterdError(
                reason=Reason.TASK_LOST,
                message=f"the task was begun {self.limits.max_attempts} times, and each time the server stopped "
                "before it had ended",
                cause="ATTEMPTS_EXHAUSTED",
            )

    async def _has_started(self, task: Task, journal: Journal) -> bool:
        """Whether the log says so: a process may have died after it claimed the task, and before it told of it."""
        if task.attempt == 1 or journal.model_steps:
            return task.attempt > 1
        after_sequence = 0
        while True:
            page = await self._patiently(
                partial(self.store.read_events, task.root_task_id, after_sequence, self.limits.event_page_size)
            )
            if not page.events:
                return False
            for event in page.events:
                if event.task_id == task.task_id and isinstance(event.payload, TaskStarted):
                    return True
            after_sequence = page.events[-1].sequence

    async def _give_up(self, run: Run, task: Task, log: RunLog, error: MusterdError) -> None:
        """Store why a task does not go on. What it started in this attempt or an earlier one ends first."""
        run.has_stopped = True
        order = run.control.order
        is_canceled = order is not None or task.state is TaskState.CANCELING
        is_new = task.attempt == 1 and run.recorder is None
        # Whether an order of an earlier process holds for the children too, is not known here.
        if not is_new and (order.cascade if order is not None else not is_canceled):
            self.children.slots.release(run.slot)
            await self.children.finish(task, PARENT_ENDED, order)
        ending = unresumed(task, error, TaskState.REJECTED if is_new and not is_canceled else TaskState.FAILED)
        try:
            await end(log, ending)
        except AttemptLost:
            logger.info("attempt_lost", task=task.task_id, attempt=task.attempt)

    async def _park_if_too_old(self, task: Task, spec: TaskSpec) -> bool:
        if self.limits.snapshot_max_age_seconds is None:
            return False
        expired_at = spec.identity.captured_at + timedelta(seconds=self.limits.snapshot_max_age_seconds)
        if await self._patiently(self.store.now) < expired_at:
            return False
        payload = AuthRequired(expired_at=expired_at)
        await self._patiently(lambda: self.store.park_for_identity(task.task_id, task.attempt, payload))
        return True

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        return await patiently(call, self.clock, self.limits)

    async def execute(self, run: Run, claimed: ClaimedTask, node: Node, journal: Journal, inbox: Inbox) -> None:
        """Execute a component that is ready, and store how it ended; or leave the task resumable when canceled."""
        task = claimed.task
        log = run.log = run.log or self.writer.open_log(task.task_id, task.attempt, run.control.lose)
        with self._holding_budget(claimed) as budget:
            try:
                recorder = self._recorder_of(run, task, log, journal, inbox, node=node, budget=budget)
                scope = self._scope_of(run, claimed, recorder, inbox)
                await self._run(run, scope, node)
            except AttemptLost:
                logger.info("attempt_lost", task=task.task_id, attempt=task.attempt)
            except Exception as error:  # noqa: BLE001 - above all an ending that the store cannot hold
                unstored = unforeseen(Reason.INTERNAL, "the run failed unexpectedly", error, task=task.task_id)
                await self._give_up(run, task, log, unstored)

    @contextmanager
    def _holding_budget(self, claimed: ClaimedTask) -> Generator[TreeBudget]:
        task = claimed.task
        budget = self.budgets.open(task.root_task_id, claimed.budget)
        try:
            yield budget
        finally:
            if self.budgets.close(task.root_task_id):
                end_scope(_scope_name(task))

    def _recorder_of(
        self, run: Run, task: Task, log: RunLog, journal: Journal, inbox: Inbox, *, node: Node, budget: TreeBudget
    ) -> StepRecorder:
        run.recorder = StepRecorder(
            log,
            journal,
            {steer.steer_id: steer for steer in inbox.steers},
            budget=TaskBudget(budget, task.usage),
            spent=task.usage,
            clock=self.clock,
            limits=self.limits,
            retry=(node.retry if isinstance(node, AgentNode) else None) or retry_config_of(self.limits),
        )
        return run.recorder

    def _scope_of(self, run: Run, claimed: ClaimedTask, recorder: StepRecorder, inbox: Inbox) -> RunScope:
        task, spec = claimed.task, claimed.spec
        for steer in inbox.steers:
            if steer.state is SteerState.PENDING:
                run.control.steer(steer)
        if inbox.cancel is not None:
            run.control.cancel(inbox.cancel)
        return RunScope(
            task=task,
            spec=spec,
            log=recorder.log,
            recorder=recorder,
            control=run.control,
            slot=run.slot,
            clock=self.clock,
            deadline=self._deadline(task, spec),
        )

    async def _run(self, run: Run, scope: RunScope, node: Node) -> None:
        host = EngineHost(scope, node, self.children)
        try:
            ending = await ending_of(self._work(scope, node, host), scope)
            run.has_stopped = True
            scope.recorder.charge_all(ending.usage)
            if isinstance(node, AgentNode) and node.report is not None:
                node.report(run_usage_of(ending.usage))
            order = run.control.order
            is_left_alone = order is not None and not order.cascade
            if host.may_have_children:
                # From now on it only waits for them, and they may need its slot to end.
                self.children.slots.release(run.slot)
            if host.may_have_children and not is_left_alone:
                await self.children.finish(scope.task, PARENT_ENDED, order)
            await end(scope.log, ending)
        except asyncio.CancelledError:
            await self._release(scope)
            raise
        if host.may_have_children and is_left_alone:
            # They use what this run was built with, which is taken down when this returns.
            await self.children.outlast(scope.task)

    async def _work(self, scope: RunScope, node: Node, host: EngineHost) -> Output:
        board = EngineBoard(scope.task.task_id, scope, self.children)
        current_host.set(host)
        registry_scope.set(_scope_name(scope.task))
        own_board.set(board)
        self._take_seat(scope, node, board)
        if isinstance(node, TeamNode):
            return await run_team(TeamRun(node, scope, host=host, board=board, children=self.children))
        toolsets: tuple[AbstractToolset[Any], ...] = ()
        if node.asking is not None and scope.spec.lineage is not None:
            ask = Questions(scope, node.asking, self.children).ask
            toolsets = (asking_toolset(),)
            current_asker.set(Asker(ask, node.asking.max_questions))
        return output_of((await run_agent(node, scope, toolsets=toolsets)).output)

    def _take_seat(self, scope: RunScope, node: Node, own: EngineBoard) -> None:
        """Tell the tools of a team on whose board they work, and under which name."""
        task = scope.task
        if isinstance(node, TeamNode):
            current_board.set(own)
            current_member.set(LEADER)
        elif task.component.kind is ComponentKind.MEMBER:
            current_board.set(EngineBoard(task.parent_task_id, scope, self.children))
            current_member.set(task.component.id)

    async def _release(self, scope: RunScope) -> None:
        task = scope.task
        try:
            await scope.log.commit()
            await self.store.release_task(task.task_id, task.attempt)
        except (AttemptLost, MusterdError) as error:
            logger.warning("release_failed", task=task.task_id, error=str(error))

    def _deadline(self, task: Task, spec: TaskSpec) -> datetime:
        """Return when the run's time is over, by this process's clock.

        How much of it is gone is told by stored times alone: each process may have another idea of what time it is.
        """
        began_at = max(task.start_time or task.update_time, spec.identity.captured_at)
        gone = task.update_time - began_at if task.attempt > 1 else timedelta()
        return self.clock.now() + timedelta(seconds=spec.run_timeout_seconds) - max(gone, timedelta())


def _scope_name(task: Task) -> str:
    return f"{task.tenant_id}/{task.root_task_id}"


async def end(log: RunLog, ending: Ending) -> None:
    """Store how a task ended. Raises AttemptLost."""
    await log.end(ending.payload, state=ending.state, usage=ending.usage, output=ending.output, error=ending.error)
