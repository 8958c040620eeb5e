"""The queue as this process sees it: what has no room goes in, what has its turn is claimed and launched."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from musterd.domain.clock import Clock
from musterd.domain.ports import ClaimedTask, Created, NewTask, Store
from musterd.domain.queueing import Caps
from musterd.domain.task import TaskState
from musterd.runtime.admission import Slot, Slots
from musterd.runtime.failures import traceback_of
from musterd.runtime.limits import Limits
from musterd.runtime.ownership import Ownership

logger = structlog.get_logger(__name__)

Launch = Callable[[ClaimedTask, Slot], None]


class Claimer:
    """Looks through the queue when something in it may have got room, and now and then.

    The queue is settled while all that is in it has to wait: since the last look nothing gave a slot back. Only then a
    new task may start without queueing, for nobody who waits has an older right to its slot.
    """

    def __init__(self, *, ownership: Ownership, store: Store, clock: Clock, limits: Limits, launch: Launch) -> None:
        caps = Caps(
            in_all=limits.max_running_tasks,
            per_tenant=limits.max_running_tasks_per_tenant,
            per_user=limits.max_running_tasks_per_user,
            per_tree=limits.max_running_tasks_per_tree,
        )
        self.slots = Slots(caps, self._notice_release)
        self._ownership = ownership
        self._store = store
        self._clock = clock
        self._limits = limits
        self._launch = launch
        # An earlier process may have left anything: the first look finds out.
        self._has_queue = True
        self._is_settled = False
        self._is_stopped = False
        self._is_looking = False
        self._entering_count = 0
        self._wake = asyncio.Event()
        self._looked = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin, with what an earlier process left."""
        self._wake.set()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._run(), name="claimer"),
            loop.create_task(self._look_on(), name="claimer-clock"),
        ]

    def look(self) -> None:
        """Look through the queue: something came into it."""
        self._has_queue = True
        self._unsettle()

    def look_again(self) -> None:
        """Look through the queue, unless that is being done: what comes into it meanwhile is found the next time."""
        if not self._is_looking:
            self.look()

    def _notice_release(self) -> None:
        if self._has_queue:
            self._unsettle()

    def _unsettle(self) -> None:
        self._is_settled = False
        self._looked.clear()
        self._wake.set()

    async def try_take(self, slot: Slot) -> bool:
        """Take a slot for a new task, if there is room and nobody in the queue has an older right to it."""
        if not self._is_settled and not self._is_stopped and self.slots.free_count:
            # Who of the queue goes first is being found out.
            await self._looked.wait()
        return self._is_settled and not self._is_stopped and self.slots.try_take(slot)

    async def create(self, new: NewTask) -> Created:
        """Store a task that has a slot here as running.

        When tasks of other processes have filled one of its groups, it is SUBMITTED instead, and needs no slot yet.
        Raises CAPACITY_EXHAUSTED when the queue is full too.
        """
        owned = replace(
            new, owner=self._ownership.owner, caps=self.slots.caps, max_queued=self._limits.max_queued_tasks
        )
        created = await self._store.create_task(owned)
        if created.is_new and created.task.state is TaskState.SUBMITTED:
            self.look()
        return created

    async def enqueue(self, new: NewTask) -> Created:
        """Store a task that has to wait. Raises CAPACITY_EXHAUSTED when the queue is full."""
        self._has_queue = True
        self._entering_count += 1
        try:
            return await self._store.create_task(replace(new, payloads=(), max_queued=self._limits.max_queued_tasks))
        finally:
            self._entering_count -= 1
            if not self._is_settled:
                self._wake.set()

    def stop(self) -> None:
        """Claim nothing more; new tasks are left to the next process."""
        self._is_stopped = True
        self._looked.set()

    async def close(self) -> None:
        """Stop, and return when nothing is under way any more."""
        self.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _look_on(self) -> None:
        """Look now and then: the time of what waits for a day comes without a word from anybody."""
        while True:
            await self._clock.sleep(self._limits.queue_look_seconds)
            self.look_again()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self.slots.free_count and not self._is_stopped and not self._ownership.is_lost:
                self._is_looking = True
                await self._look_or_retry()
                self._is_looking = False
            self._looked.set()

    async def _look_or_retry(self) -> None:
        try:
            await self._look()
        except Exception as error:  # noqa: BLE001 - whatever it is, tasks that come later must be claimed
            logger.error("claim_failed", exception=traceback_of(error))  # noqa: TRY400 - it has it
            # Who waits for this look finds out by itself what the store has to say.
            self._looked.set()
            await self._clock.sleep(self._limits.store_retry_delay_seconds)
            self._wake.set()

    async def _look(self) -> None:
        owner = self._ownership.owner
        with self.slots.choosing() as free:
            claimed = await self._store.claim(owner, free, self.slots.caps, self.slots.held_by_group())
            if not self._ownership.holds(owner):
                # The lease ended meanwhile: others may have these by now, and nobody would stop them here.
                self._wake.set()
                return
            for one in claimed:
                task = one.task
                slot = self.slots.slot_of(task.tenant_id, task.user_id, task.root_task_id)
                self.slots.take(slot)
                self._launch(one, slot)
        if claimed:
            logger.info("tasks_claimed", count=len(claimed))
        if len(claimed) < free:
            # What is left waits for a cap of its group.
            has_queue = await self._store.has_claimable(owner)
            if not self._wake.is_set() and not self._entering_count:
                self._has_queue = has_queue
                self._is_settled = True
