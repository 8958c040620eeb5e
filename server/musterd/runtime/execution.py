"""Executes tasks: from a claimed row to its terminal event."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import structlog
from pydantic_ai.messages import ModelMessage
from pydantic_ai.toolsets import AbstractToolset

from musterd.domain.board import LEADER
from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import AuthRequired, TaskStarted
from musterd.domain.full_store import FullStore
from musterd.domain.orders import Inbox, SteerState
from musterd.domain.ports import ClaimedTask, Stored, TaskWrite
from musterd.domain.step import Journal
from musterd.domain.task import ComponentKind, Output, Task, TaskSpec, TaskState
from musterd.runtime.admission import Slot
from musterd.runtime.attempt.control import RunControl
from musterd.runtime.attempt.endings import Ending, ending_of, output_of, unresumed
from musterd.runtime.attempt.history import digest_of, history_of, load_messages, session_of
from musterd.runtime.attempt.recorder import StepRecorder, cut_off_tool
from musterd.runtime.attempt.retry import retry_config_of
from musterd.runtime.attempt.running import run_agent
from musterd.runtime.attempt.scope import RunScope
from musterd.runtime.budgets import Budgets, TaskBudget, TreeBudget
from musterd.runtime.components.building import Builder
from musterd.runtime.components.nodes import AgentNode, Node, TeamNode, WorkflowNode, descend
from musterd.runtime.components.prompt import prompt_of
from musterd.runtime.delegation.approvals import Approvals
from musterd.runtime.delegation.board import EngineBoard
from musterd.runtime.delegation.children import Children
from musterd.runtime.delegation.host import PARENT_ENDED, EngineHost
from musterd.runtime.delegation.parking import Parking
from musterd.runtime.delegation.questions import Questions
from musterd.runtime.delegation.views import run_usage_of
from musterd.runtime.failures import unforeseen
from musterd.runtime.feed.log import AttemptLost, LogWriter, RunLog
from musterd.runtime.hooks.plan import HookPlan
from musterd.runtime.hooks.running import RunHooks
from musterd.runtime.limits import Limits
from musterd.runtime.patience import patiently
from musterd.runtime.teams.leading import TeamRun
from musterd.runtime.teams.modes import run_team
from musterd.runtime.workflows.running import WorkflowRun
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
    """A task that runs here.

    `has_stopped` is true once its own code has ended, and only its children may still run. `has_unread_order` is true
    once the store was heard to have an order to cancel that nobody has handed over.
    """

    task_id: str
    control: RunControl
    slot: Slot
    log: RunLog | None = None
    recorder: StepRecorder | None = None
    hooks: RunHooks | None = None
    budget: TaskBudget | None = None
    parking: Parking | None = None
    task: asyncio.Task[None] | None = None
    has_stopped: bool = False
    has_unread_order: bool = False
    helpers: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Executes one attempt at a time of any task, in the asyncio task that calls it.

    `on_unread_order` is called when an order to cancel a run waits in the store, `on_freed` when the end of one lets
    another run of its session begin.
    """

    store: FullStore
    builder: Builder
    writer: LogWriter
    clock: Clock
    limits: Limits
    budgets: Budgets
    children: Children
    hooks: HookPlan
    on_unread_order: Callable[[Run], None]
    on_freed: Callable[[], None]

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
            if run.hooks is not None:
                run.hooks.recall(journal)
            inbox = await self._patiently(lambda: self.store.read_inbox(task.task_id))
            if not await self._has_started(task, journal):
                log.say(TaskStarted(session_id=task.session_id, parent_task_id=task.parent_task_id))
            if (tool := cut_off_tool(journal)) is not None:
                what = "step" if task.component.kind is ComponentKind.WORKFLOW else "tool"
                raise MusterdError(
                    reason=Reason.TASK_LOST,
                    message=f"the server stopped while the {what} {tool.tool_name!r} ran, "
                    "and it is not marked as repeatable",
                    cause=f"{what.upper()}_NOT_REPEATABLE",
                )
            await self._execute_prepared(run, claimed, prepare, journal, inbox)

    def _open_log(self, run: Run, task: Task) -> RunLog:
        log = run.log = self.writer.open_log(
            task.task_id, task.attempt, run.control.lose, partial(self._notice_stored, run)
        )
        run.slot.notes = log
        return log

    def _notice_stored(self, run: Run, write: TaskWrite, stored: Stored) -> None:
        """Learn from the answer to a write what other processes have done."""
        if run.budget is not None and write.usage is not None and stored.tree_spent is not None:
            run.budget.settle(write.usage, stored.tree_spent)
        if stored.state is TaskState.CANCELING and run.control.order is None and not run.has_unread_order:
            run.has_unread_order = True
            self.on_unread_order(run)
        for steer in stored.delivered:
            self.children.launcher.steer(steer)
        if stored.frees_session:
            self.on_freed()

    @asynccontextmanager
    async def _in_charge(self, run: Run, claimed: ClaimedTask) -> AsyncGenerator[RunLog]:
        """Open the task's log, and end the task with the reason when it cannot be executed."""
        task = claimed.task
        log = self._open_log(run, task)
        run.hooks = RunHooks(self.hooks, claimed)
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
        # One that was parked was left in good order.
        if task.attempt - task.parked_count > self.limits.max_attempts:
            raise MusterdError(
                reason=Reason.TASK_LOST,
                message=f"the task was begun {self.limits.max_attempts} times, and each time the server stopped "
                "before it had ended",
                cause="ATTEMPTS_EXHAUSTED",
            )

    async def _has_started(self, task: Task, journal: Journal) -> bool:
        """Whether the log says so: a process may have died after it claimed the task, and before it told of it."""
        if task.attempt == 1 or journal.model_steps or journal.tool_steps:
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
            self.children.slots.set_aside(run.slot)
            await self.children.finish(task, PARENT_ENDED, order)
        ending = unresumed(task, error, TaskState.REJECTED if is_new and not is_canceled else TaskState.FAILED)
        try:
            await end(log, ending, run.hooks)
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
        log = run.log or self._open_log(run, task)
        hooks = run.hooks = run.hooks or RunHooks(self.hooks, claimed)
        with self._holding_budget(claimed) as budget:
            try:
                recorder = self._recorder_of(run, task, log, journal, inbox, node=node, budget=budget)
                scope = self._scope_of(run, claimed, recorder, inbox)
                scope.history = await self._load_history(task)
                scope.history_digest = digest_of(scope.history)
                await self._run(run, scope, node, hooks)
            except AttemptLost:
                logger.info("attempt_lost", task=task.task_id, attempt=task.attempt)
            except Exception as error:  # noqa: BLE001 - above all an ending that the store cannot hold
                unstored = unforeseen(Reason.INTERNAL, "the run failed unexpectedly", error, task=task.task_id)
                await self._give_up(run, task, log, unstored)
            finally:
                if run.budget is not None:
                    run.budget.close()

    async def _load_history(self, task: Task) -> list[ModelMessage]:
        if (session := session_of(task)) is None:
            return []
        return load_messages(await self._patiently(lambda: self.store.load_history(session)))

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
        run.budget = TaskBudget(budget, task.usage)
        run.recorder = StepRecorder(
            log,
            journal,
            {steer.steer_id: steer for steer in inbox.steers},
            budget=run.budget,
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

    async def _run(self, run: Run, scope: RunScope, node: Node, hooks: RunHooks) -> None:
        parking = run.parking = Parking(scope, self.store, self.children)
        host = EngineHost(scope, node, self.children, parking)
        try:
            async with aclosing(parking):
                ending = await ending_of(self._work_hooked(scope, node, host, hooks), scope)
            run.has_stopped = True
            scope.recorder.charge_all(ending.usage)
            if ending.state is TaskState.COMPLETED:
                ending = replace(ending, history=history_of(scope, ending.output))
            if isinstance(node, AgentNode) and node.report is not None:
                node.report(run_usage_of(ending.usage))
            order = run.control.order
            is_left_alone = order is not None and not order.cascade
            if host.may_have_children:
                # From now on it only waits for them, and they may need its slot to end.
                self.children.slots.set_aside(run.slot)
            if host.may_have_children and not is_left_alone:
                await self.children.finish(scope.task, PARENT_ENDED, order)
            await end(scope.log, ending, hooks)
        except asyncio.CancelledError:
            await self._release(scope)
            raise
        if host.may_have_children and is_left_alone:
            # They use what this run was built with, which is taken down when this returns.
            await self.children.outlast(scope.task)

    async def _work_hooked(self, scope: RunScope, node: Node, host: EngineHost, hooks: RunHooks) -> Output:
        node = host.node = await hooks.before(scope, node)
        return await hooks.after(scope, node, await self._work(scope, node, host))

    async def _work(self, scope: RunScope, node: Node, host: EngineHost) -> Output:
        approvals = Approvals(scope, self.store, self.children, host.parking)
        scope.capability.decider = approvals
        if isinstance(node, WorkflowNode):
            return await WorkflowRun(node, scope, host=host, children=self.children, decider=approvals).run()
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
            # Another branch would have to wait for the approvals too.
            await self.store.release_task(task.task_id, task.attempt, may_park=not scope.activity.has_branches)
        except (AttemptLost, MusterdError) as error:
            logger.warning("release_failed", task=task.task_id, error=str(error))

    def _deadline(self, task: Task, spec: TaskSpec) -> datetime:
        """Return when the run's time is over, by this process's clock.

        How much of it is gone is told by stored times alone: each process may have another idea of what time it is.
        """
        gone = timedelta()
        if task.attempt > 1:
            since_start = task.update_time - (task.start_time or task.update_time)
            # It begins again with a fresh identity.
            since_renewed = task.update_time - spec.identity.captured_at
            gone = max(min(since_start - timedelta(seconds=task.parked_seconds), since_renewed), gone)
        return self.clock.now() + timedelta(seconds=spec.run_timeout_seconds) - gone


def _scope_name(task: Task) -> str:
    return f"{task.tenant_id}/{task.root_task_id}"


async def end(log: RunLog, ending: Ending, hooks: RunHooks | None) -> None:
    """Store how a task ended, with the hooks that are to run after it. Raises AttemptLost."""
    hook_runs = hooks.left_over(ending.state) if hooks is not None else ()
    await log.end(
        ending.payload,
        state=ending.state,
        usage=ending.usage,
        output=ending.output,
        error=ending.error,
        history=ending.history,
        hook_runs=hook_runs,
    )
    if hooks is not None and hook_runs:
        hooks.tell_left()
