"""Owns every running task of this process: starts it, hands it its orders, and never lets one harm another."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog

from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import AuthRequired, TaskStarted
from musterd.domain.ports import CancelOrder, ClaimedTask, Created, Inbox, NewTask, Steer, SteerState, Store
from musterd.domain.step import Journal
from musterd.domain.task import Task, TaskSpec, TaskState
from musterd.runtime.attempt.control import RunControl
from musterd.runtime.attempt.recorder import StepRecorder, cut_off_tool
from musterd.runtime.attempt.running import Ending, canceled, run_agent, unresumed
from musterd.runtime.components.building import Builder, Ready
from musterd.runtime.failures import traceback_of, unforeseen
from musterd.runtime.feed.log import AttemptLost, LogWriter, RunLog
from musterd.runtime.limits import Limits

logger = structlog.get_logger(__name__)

T = TypeVar("T")

NO_JOURNAL = Journal(model_steps={}, tool_steps={})
NO_INBOX = Inbox(steers=(), cancel=None)
CAPACITY_RETRY_SECONDS = 1.0


@dataclass(slots=True)
class Run:
    """A task that runs here."""

    task_id: str
    control: RunControl
    log: RunLog | None = None
    recorder: StepRecorder | None = None
    task: asyncio.Task[None] | None = None
    helpers: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])


class Supervisor:
    """Runs tasks, each in an asyncio task of its own with a clean context."""

    def __init__(
        self, *, owner: str, store: Store, builder: Builder, writer: LogWriter, clock: Clock, limits: Limits
    ) -> None:
        self._owner = owner
        self._store = store
        self._builder = builder
        self._writer = writer
        self._clock = clock
        self._limits = limits
        self._runs: dict[str, Run] = {}
        self._claim_wake = asyncio.Event()
        self._claimer: asyncio.Task[None] | None = None
        self._is_draining = False
        self._may_have_left_work = False

    @property
    def running_count(self) -> int:
        """How many tasks run here now."""
        return len(self._runs)

    def start(self) -> None:
        """Take over what an earlier process left, and go on to take what becomes free."""
        self._claim_wake.set()
        self._claimer = asyncio.get_running_loop().create_task(self._claim(), name="claimer")

    async def submit(self, new: NewTask) -> Created:
        """Build a task's component, store the task and run it.

        Raises MusterdError: a refusal of the factory, CAPACITY_EXHAUSTED, SHUTTING_DOWN, or one of the store's. Then
        there is no task.
        """
        if self._is_draining:
            raise shutting_down()
        if self.running_count >= self._limits.max_running_tasks:
            raise MusterdError(
                reason=Reason.CAPACITY_EXHAUSTED,
                message=f"{self.running_count} tasks run here, which is all that this server takes; try again later",
                retry_after_seconds=CAPACITY_RETRY_SECONDS,
                quota="max_running_tasks",
            )
        accepted: asyncio.Future[Created] = asyncio.get_running_loop().create_future()
        run = self._enlist(new.task_id)
        self._launch(run, self._run_new(run, new, accepted))
        return await asyncio.shield(accepted)

    def cancel(self, task_id: str, order: CancelOrder) -> bool:
        """Stop a task that runs here. Returns False when it does not run here."""
        if (run := self._runs.get(task_id)) is None:
            return False
        run.control.cancel(order)
        return True

    def steer(self, steer: Steer) -> bool:
        """Hand a message to a task that runs here. Returns False when it does not run here."""
        if (run := self._runs.get(steer.task_id)) is None:
            return False
        run.control.steer(steer)
        return True

    def look_for_work(self) -> None:
        """Claim tasks that became free."""
        self._claim_wake.set()

    def drain(self) -> None:
        """Take no new work."""
        self._is_draining = True

    async def close(self, grace_seconds: float, hurry: asyncio.Event) -> None:
        """Let what runs end within the grace, or until told to hurry, and leave the rest resumable."""
        self.drain()
        if self._claimer is not None:
            self._claimer.cancel()
            await asyncio.gather(self._claimer, return_exceptions=True)
        tasks = {run.task for run in self._runs.values() if run.task is not None}
        hurried = asyncio.get_running_loop().create_task(hurry.wait())
        try:
            await _wait_for_all(tasks, hurried, grace_seconds)
        finally:
            hurried.cancel()
        unfinished = [task for task in tasks if not task.done()]
        for task in unfinished:
            task.cancel()
        if unfinished:
            _, stuck = await asyncio.wait(unfinished, timeout=self._limits.cancel_abandon_seconds)
            logger.info("runs_left_resumable", count=len(unfinished), stuck=len(stuck))

    def _enlist(self, task_id: str) -> Run:
        run = Run(task_id, RunControl(self._clock, lambda: self._watch_interrupted(run)))
        self._runs[task_id] = run
        return run

    def _launch(self, run: Run, work: Coroutine[Any, Any, None]) -> None:
        run.task = asyncio.get_running_loop().create_task(
            work, name=f"run-{run.task_id}", context=contextvars.Context()
        )
        run.task.add_done_callback(lambda _: self._dismiss(run))

    def _dismiss(self, run: Run) -> None:
        if self._runs.get(run.task_id) is run:
            del self._runs[run.task_id]
        for helper in run.helpers:
            helper.cancel()
        run.control.close()
        if self._may_have_left_work:
            self._claim_wake.set()

    async def _run_new(self, run: Run, new: NewTask, accepted: asyncio.Future[Created]) -> None:
        deadline = self._clock.now() + timedelta(seconds=new.spec.run_timeout_seconds)
        try:
            async with self._builder.build(new.spec, new.task_id, deadline) as ready:
                created = await self._store.create_task(new)
                if not accepted.done():
                    accepted.set_result(created)
                if created.is_new:
                    claimed = ClaimedTask(task=created.task, spec=new.spec)
                    await self._run(run, claimed, ready, NO_JOURNAL, NO_INBOX)
        except MusterdError as error:
            _refuse(accepted, error)
        except asyncio.CancelledError:
            if not accepted.done():
                _refuse(accepted, shutting_down())
            raise
        except Exception as error:  # noqa: BLE001 - the caller must get an answer, and the log the exception
            _refuse(accepted, unforeseen(Reason.INTERNAL, "the run could not be started", error, task=new.task_id))

    async def _claim(self) -> None:
        while True:
            await self._claim_wake.wait()
            self._claim_wake.clear()
            free = self._limits.max_running_tasks - self.running_count
            self._may_have_left_work = free <= 0
            if self._may_have_left_work:
                continue
            try:
                claimed = await self._store.claim_abandoned(self._owner, free)
            except Exception as error:  # noqa: BLE001 - whatever it is, tasks that come later must be claimed
                logger.error("claim_failed", exception=traceback_of(error))  # noqa: TRY400 - it has it
                await self._clock.sleep(self._limits.store_retry_delay_seconds)
                self._claim_wake.set()
                continue
            for one in claimed:
                run = self._enlist(one.task.task_id)
                self._launch(run, self._run_claimed(run, one))
            self._may_have_left_work = len(claimed) == free
            if claimed:
                logger.info("tasks_claimed", count=len(claimed))

    async def _run_claimed(self, run: Run, claimed: ClaimedTask) -> None:
        task, spec = claimed.task, claimed.spec
        log = self._open_log(run, task)
        try:
            # One that is being canceled does nothing any more under its identity.
            if task.state is not TaskState.CANCELING and await self._park_if_too_old(task, spec):
                return
            journal = await self._patiently(lambda: self._store.load_journal(task.task_id))
            inbox = await self._patiently(lambda: self._store.read_inbox(task.task_id))
            if task.attempt == 1:
                log.say(TaskStarted(session_id=task.session_id, parent_task_id=task.parent_task_id))
            await self._resume(run, claimed, journal, inbox)
        except MusterdError as error:
            await self._give_up(log, task, error)
        except AttemptLost:
            logger.info("attempt_lost", task=task.task_id, attempt=task.attempt)
        except Exception as error:  # noqa: BLE001 - nobody would ever end a task that is left as it is
            text = "the task could not be taken up again"
            await self._give_up(log, task, unforeseen(Reason.INTERNAL, text, error, task=task.task_id))

    async def _give_up(self, log: RunLog, task: Task, error: MusterdError) -> None:
        is_first = task.attempt == 1 and task.state is not TaskState.CANCELING
        ending = unresumed(task, error, TaskState.REJECTED if is_first else TaskState.FAILED)
        try:
            await self._end(log, ending)
        except AttemptLost:
            logger.info("attempt_lost", task=task.task_id, attempt=task.attempt)

    async def _park_if_too_old(self, task: Task, spec: TaskSpec) -> bool:
        if self._limits.snapshot_max_age_seconds is None:
            return False
        expired_at = spec.identity.captured_at + timedelta(seconds=self._limits.snapshot_max_age_seconds)
        if await self._patiently(self._store.now) < expired_at:
            return False
        payload = AuthRequired(expired_at=expired_at)
        await self._patiently(lambda: self._store.park_for_identity(task.task_id, task.attempt, payload))
        return True

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a store operation until the store is there: a task that was accepted is not failed for its sake."""
        while True:
            try:
                return await call()
            except MusterdError as error:
                if error.reason is not Reason.STORE_UNAVAILABLE:
                    raise
                logger.warning("store_unavailable", error=str(error))
                await self._clock.sleep(error.retry_after_seconds or self._limits.store_retry_delay_seconds)

    async def _resume(self, run: Run, claimed: ClaimedTask, journal: Journal, inbox: Inbox) -> None:
        task, spec = claimed.task, claimed.spec
        if (tool := cut_off_tool(journal)) is not None:
            raise MusterdError(
                reason=Reason.TASK_LOST,
                message=f"the server stopped while the tool {tool.tool_name!r} ran, and it is not marked as repeatable",
                cause="TOOL_NOT_REPEATABLE",
            )
        deadline = self._counted_from(task, spec) + timedelta(seconds=spec.run_timeout_seconds)
        async with self._builder.build(spec, task.task_id, deadline) as ready:
            await self._run(run, claimed, ready, journal, inbox)

    def _open_log(self, run: Run, task: Task) -> RunLog:
        run.log = self._writer.open_log(task.task_id, task.attempt, run.control.lose)
        return run.log

    async def _run(self, run: Run, claimed: ClaimedTask, ready: Ready, journal: Journal, inbox: Inbox) -> None:
        task, spec = claimed.task, claimed.spec
        log = run.log or self._open_log(run, task)
        steers = {steer.steer_id: steer for steer in inbox.steers}
        recorder = run.recorder = StepRecorder(log, journal, steers, self._clock, self._limits)
        for steer in inbox.steers:
            if steer.state is SteerState.PENDING:
                run.control.steer(steer)
        if inbox.cancel is not None:
            run.control.cancel(inbox.cancel)
        try:
            ending = await run_agent(ready, spec, recorder, run.control, self._remaining_seconds(task, spec))
            await self._end(log, ending)
        except AttemptLost:
            logger.info("attempt_lost", task=task.task_id, attempt=task.attempt)
        except asyncio.CancelledError:
            await self._release(log, task)
            raise

    async def _release(self, log: RunLog, task: Task) -> None:
        try:
            await log.commit()
            await self._store.release_task(task.task_id, task.attempt)
        except (AttemptLost, MusterdError) as error:
            logger.warning("release_failed", task=task.task_id, error=str(error))

    def _counted_from(self, task: Task, spec: TaskSpec) -> datetime:
        """Return when the run's time began: its start, or when its owner let it go on with a new identity."""
        return max(task.start_time or self._clock.now(), spec.identity.captured_at)

    def _remaining_seconds(self, task: Task, spec: TaskSpec) -> float:
        if task.start_time is None or task.attempt == 1:
            return spec.run_timeout_seconds
        spent = (self._clock.now() - self._counted_from(task, spec)).total_seconds()
        return max(0.001, spec.run_timeout_seconds - spent)

    async def _end(self, log: RunLog, ending: Ending) -> None:
        await log.end(ending.payload, state=ending.state, usage=ending.usage, output=ending.output, error=ending.error)

    def _watch_interrupted(self, run: Run) -> None:
        helper = asyncio.get_running_loop().create_task(self._abandon(run), context=contextvars.Context())
        run.helpers.add(helper)

    async def _abandon(self, run: Run) -> None:
        """End a canceled task whose code does not stop: the code goes on, and what it says is not stored."""
        await self._clock.sleep(self._limits.cancel_abandon_seconds)
        if run.log is None or run.recorder is None or run.control.is_lost:
            return
        logger.error("run_does_not_stop", task=run.task_id)
        reason = run.control.order.reason if run.control.order is not None else ""
        await self._end(run.log, canceled(run.recorder, reason))
        if self._runs.get(run.task_id) is run:
            del self._runs[run.task_id]


def _refuse(accepted: asyncio.Future[Created], error: MusterdError) -> None:
    if accepted.done():
        logger.error("run_teardown_failed", error=str(error))
    else:
        accepted.set_exception(error)
        accepted.exception()


def shutting_down() -> MusterdError:
    """Return the error for work that comes while the server goes down."""
    return MusterdError(
        reason=Reason.SHUTTING_DOWN, message="the server is going down; try again", retry_after_seconds=1.0
    )


async def _wait_for_all(tasks: set[asyncio.Task[None]], hurried: asyncio.Task[bool], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (pending := {task for task in tasks if not task.done()}) and not hurried.done() and loop.time() < end:
        await asyncio.wait({*pending, hurried}, timeout=end - loop.time(), return_when=asyncio.FIRST_COMPLETED)
