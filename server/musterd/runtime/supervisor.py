"""Owns every running task of this process: starts it, hands it its orders, and never lets one harm another."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog

from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.full_store import FullStore
from musterd.domain.orders import CancelOrder, Steer, SteerState
from musterd.domain.ports import ClaimedTask, Created, NewTask
from musterd.domain.task import Task, TaskState
from musterd.runtime.admission import Slot
from musterd.runtime.attempt.control import RunControl
from musterd.runtime.attempt.endings import canceled
from musterd.runtime.budgets import Budgets
from musterd.runtime.claimer import Claimer
from musterd.runtime.components.building import Builder
from musterd.runtime.components.nodes import Node
from musterd.runtime.delegation.children import Children
from musterd.runtime.execution import NO_INBOX, NO_JOURNAL, Executor, Run, end
from musterd.runtime.failures import unforeseen
from musterd.runtime.feed.changes import TaskChanges
from musterd.runtime.feed.log import AttemptLost, LogWriter
from musterd.runtime.hooks.plan import HookPlan
from musterd.runtime.limits import Limits
from musterd.runtime.ownership import Ownership
from musterd.runtime.patience import patiently

logger = structlog.get_logger(__name__)


class Supervisor:
    """Runs tasks, each in an asyncio task of its own with a clean context, as many at a time as the caps allow.

    `on_order` is told of tasks for which something waits and that do not run here, `on_queued` of tasks in the queue.
    """

    def __init__(
        self,
        *,
        ownership: Ownership,
        store: FullStore,
        builder: Builder,
        writer: LogWriter,
        changes: TaskChanges,
        hooks: HookPlan,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self.on_order: Callable[[str], None] = lambda _: None
        self.on_queued: Callable[[], None] = lambda: None
        self._ownership = ownership
        self._store = store
        self._builder = builder
        self._clock = clock
        self._limits = limits
        self._claimer = Claimer(ownership=ownership, store=store, clock=clock, limits=limits, launch=self._take_up)
        self._slots = self._claimer.slots
        self.children = Children(
            store=store, launcher=self, changes=changes, slots=self._slots, clock=clock, limits=limits
        )
        self._budgets = Budgets()
        self._executor = Executor(
            store=store,
            builder=builder,
            writer=writer,
            clock=clock,
            limits=limits,
            budgets=self._budgets,
            children=self.children,
            hooks=hooks,
            on_unread_order=self._fetch_order,
            on_freed=self.tell_freed,
        )
        self._runs: dict[str, Run] = {}
        self._prepared: dict[str, dict[str, Callable[[], Node]]] = {}
        self._spawning: set[asyncio.Task[Created]] = set()
        self._is_draining = False

    @property
    def running_count(self) -> int:
        """How many tasks run here now."""
        return len(self._runs)

    @property
    def owner(self) -> str:
        """The name under which this process owns tasks now."""
        return self._ownership.owner

    def runs_here(self, task_id: str) -> bool:
        """Whether a task runs in this process."""
        return task_id in self._runs

    @property
    def is_draining(self) -> bool:
        """Whether the process goes down, and leaves what runs to the next one."""
        return self._is_draining

    def start(self) -> None:
        """Take over what an earlier process left, and go on to take what becomes free."""
        self._claimer.start()

    async def submit(self, new: NewTask) -> Created:
        """Build a task's component, store the task and run it; or store it in the queue when there is no room.

        Raises MusterdError: a refusal of the factory, CAPACITY_EXHAUSTED, SHUTTING_DOWN, or one of the store's. Then
        there is no task.
        """
        if self._is_draining:
            raise shutting_down()
        self._ownership.check()
        slot = self._slot_of(new)
        if not await self._claimer.try_take(slot):
            if self._is_draining:
                raise shutting_down()
            return await self._enqueue(new)
        accepted: asyncio.Future[Created] = asyncio.get_running_loop().create_future()
        run = self._enlist(new.task_id, slot)
        self._launch(run, self._run_new(run, new, accepted))
        return await asyncio.shield(accepted)

    async def spawn(self, new: NewTask, prepare: Callable[[], Node] | None) -> Created:
        """Store a child and run it, or leave it to the queue when there is no room.

        A child that is there already goes on as it is. Raises MusterdError TASK_LOST when its parent is over,
        USAGE_LIMIT_EXCEEDED, CAPACITY_EXHAUSTED, or one of the store's.
        """
        # Were it cut off while the store works, there might be a child that nobody runs and its parent does not know.
        spawning = asyncio.get_running_loop().create_task(self._spawn(new, prepare), name=f"run-{new.task_id}-spawn")
        self._spawning.add(spawning)
        spawning.add_done_callback(self._spawning.discard)
        try:
            return await asyncio.shield(spawning)
        except asyncio.CancelledError:
            await asyncio.wait((spawning,))
            raise

    async def _spawn(self, new: NewTask, prepare: Callable[[], Node] | None) -> Created:
        self._ownership.check()
        slot = self._slot_of(new)
        if not await self._claimer.try_take(slot):
            return await self._queue_child(new, prepare)
        if new.task_id in self._runs:
            self._slots.release(slot)
            return await self._store.create_task(replace(new, owner=self.owner))
        # From now on it can be told to stop: its parent may be canceled as soon as the store has it.
        run = self._enlist(new.task_id, slot)
        try:
            with self._preparing(new, prepare):
                created = await self._create(new)
        except BaseException:
            self._dismiss(run)
            raise
        if created.task.state is not TaskState.SUBMITTED:
            self._take_prepared(created.task)
        if created.is_new and created.task.state is TaskState.WORKING:
            claimed = ClaimedTask(task=created.task, spec=new.spec, budget=created.budget)
            self._launch(run, self._executor.begin_child(run, claimed, prepare))
        else:
            self._dismiss(run)
        return created

    async def _queue_child(self, new: NewTask, prepare: Callable[[], Node] | None) -> Created:
        with self._preparing(new, prepare):
            return await self._enqueue(new)

    @contextmanager
    def _preparing(self, new: NewTask, prepare: Callable[[], Node] | None) -> Generator[None]:
        """Keep what is prepared for a child that is being stored: it may be claimed here before that is known."""
        if prepare is not None:
            self._prepared.setdefault(new.parent_task_id, {})[new.task_id] = prepare
        try:
            yield
        except BaseException:
            self._prepared.get(new.parent_task_id, {}).pop(new.task_id, None)
            raise

    def _take_prepared(self, task: Task) -> Callable[[], Node] | None:
        return self._prepared.get(task.parent_task_id, {}).pop(task.task_id, None)

    async def _create(self, new: NewTask) -> Created:
        """Store a task as running here; as SUBMITTED when a cap of all processes wants that."""
        created = await self._claimer.create(new)
        self._budgets.learn(new.root_task_id, created.budget.spent)
        if created.task.state is TaskState.SUBMITTED:
            self.on_queued()
        return created

    async def _enqueue(self, new: NewTask) -> Created:
        created = await self._claimer.enqueue(new)
        self._budgets.learn(new.root_task_id, created.budget.spent)
        self.on_queued()
        return created

    def _slot_of(self, new: NewTask) -> Slot:
        identity = new.spec.identity
        return self._slots.slot_of(identity.tenant_id, identity.user_id, new.root_task_id)

    def cancel(self, task_id: str, order: CancelOrder) -> bool:
        """Stop a task that runs here. Returns False when it does not run here."""
        if (run := self._runs.get(task_id)) is None:
            self.on_order(task_id)
            # If nobody runs it, somebody has to see to its end; a look that is under way may have passed it over.
            self._claimer.look()
            return False
        run.control.cancel(order)
        return True

    def steer(self, steer: Steer) -> bool:
        """Hand a message to a task that runs here. Returns False when it does not run here."""
        if (run := self._runs.get(steer.task_id)) is None:
            self.on_order(steer.task_id)
            return False
        run.control.steer(steer)
        return True

    async def read_orders(self, task_ids: Sequence[str]) -> None:
        """Take what waits in the store for tasks that run here: another process may have put it there."""
        for task_id in task_ids:
            if (run := self._runs.get(task_id)) is None:
                continue
            inbox = await self._store.read_inbox(task_id)
            for steer in inbox.steers:
                if steer.state is SteerState.PENDING:
                    run.control.steer(steer)
            if inbox.cancel is not None:
                run.control.cancel(inbox.cancel)

    def lose_all(self) -> None:
        """Stop all that runs here without a word: other processes may have it by now.

        What they would have run next is prepared no more: it was built by runs that are over.
        """
        self._prepared.clear()
        for run in list(self._runs.values()):
            run.control.lose()

    def look_for_work(self) -> None:
        """Claim tasks that became free."""
        self._claimer.look()

    def look_again_for_work(self) -> None:
        """Claim tasks that became free without a word, or that waited for a cap which others have filled."""
        self._claimer.look_again()

    def tell_freed(self) -> None:
        """Look for a run that may have its turn now that another one has ended, here and elsewhere."""
        self._claimer.look()
        self.on_queued()

    def drain(self) -> None:
        """Take no new work."""
        self._is_draining = True
        self._claimer.stop()
        for run in self._runs.values():
            if run.parking is not None:
                run.parking.hurry()

    async def close(self, grace_seconds: float, hurry: asyncio.Event) -> None:
        """Let what runs end within the grace, or until told to hurry, and leave the rest resumable."""
        self.drain()
        await self._claimer.close()
        tasks = {run.task for run in self._runs.values() if run.task is not None}
        hurried = asyncio.get_running_loop().create_task(hurry.wait())
        try:
            await _wait_for_all(tasks, hurried, grace_seconds)
        finally:
            hurried.cancel()
        if self._spawning:
            # One that took its slot before may still start a child, which nobody would stop.
            await asyncio.wait(set(self._spawning), timeout=self._limits.cancel_abandon_seconds)
        unfinished = [run.task for run in self._runs.values() if run.task is not None and not run.task.done()]
        for task in unfinished:
            task.cancel()
        if unfinished:
            _, stuck = await asyncio.wait(unfinished, timeout=self._limits.cancel_abandon_seconds)
            logger.info("runs_left_resumable", count=len(unfinished), stuck=len(stuck))

    def _enlist(self, task_id: str, slot: Slot) -> Run:
        run = Run(task_id, RunControl(self._clock, lambda: self._watch_interrupted(run)), slot)
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
        self._prepared.pop(run.task_id, None)
        self._slots.release(run.slot)

    async def _run_new(self, run: Run, new: NewTask, accepted: asyncio.Future[Created]) -> None:
        deadline = self._clock.now() + timedelta(seconds=new.spec.run_timeout_seconds)
        try:
            async with self._builder.build(new.spec, new.task_id, deadline) as node:
                created = await self._create(new)
                if not accepted.done():
                    accepted.set_result(created)
                if created.is_new and created.task.state is TaskState.WORKING:
                    claimed = ClaimedTask(task=created.task, spec=new.spec, budget=created.budget)
                    await self._executor.execute(run, claimed, node, NO_JOURNAL, NO_INBOX)
        except MusterdError as error:
            _refuse(accepted, error)
        except asyncio.CancelledError:
            if not accepted.done():
                _refuse(accepted, shutting_down())
            raise
        except Exception as error:  # noqa: BLE001 - the caller must get an answer, and the log the exception
            _refuse(accepted, unforeseen(Reason.INTERNAL, "the run could not be started", error, task=new.task_id))

    def _take_up(self, claimed: ClaimedTask, slot: Slot) -> None:
        task = claimed.task
        run = self._enlist(task.task_id, slot)
        self._launch(run, self._executor.take_up(run, claimed, self._take_prepared(task)))

    def _fetch_order(self, run: Run) -> None:
        """Read the order to cancel a run that another process has stored, without waiting to be told of it."""

        async def read() -> None:
            await patiently(lambda: self.read_orders((run.task_id,)), self._clock, self._limits)

        run.helpers.add(asyncio.get_running_loop().create_task(read(), context=contextvars.Context()))

    def _watch_interrupted(self, run: Run) -> None:
        helper = asyncio.get_running_loop().create_task(self._abandon(run), context=contextvars.Context())
        run.helpers.add(helper)

    async def _abandon(self, run: Run) -> None:
        """End a canceled task whose code does not stop: the code goes on, and what it says is not stored."""
        await self._clock.sleep(self._limits.cancel_abandon_seconds)
        if run.log is None or run.recorder is None or run.control.is_lost or run.has_stopped:
            return
        logger.error("run_does_not_stop", task=run.task_id)
        reason = run.control.order.reason if run.control.order is not None else ""
        with suppress(AttemptLost):
            await end(run.log, canceled(run.recorder, reason), run.hooks)
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
