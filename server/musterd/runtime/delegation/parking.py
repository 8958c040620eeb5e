"""Giving a run up that waits for approvals alone, its own or those of the tasks below it."""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager

import structlog

from musterd.domain.approval_store import ApprovalStore
from musterd.domain.ports import Lost
from musterd.runtime.attempt.scope import RunScope
from musterd.runtime.delegation.children import Children
from musterd.runtime.failures import traceback_of
from musterd.runtime.feed.log import AttemptLost

logger = structlog.get_logger(__name__)

PARK_SHARE = 0.5
"""Which part of a run's remaining time it waits in memory at most: the time without a process does not count."""

PARK_AGAIN_SECONDS = 1.0
"""How long a run that could not be given up waits at least before it tries again."""


class Parking:
    """Gives the task of one attempt up when it has only waited for a while, and another attempt may wait on.

    Whether what it waits for may take days, the store knows: a child that works, or a question, keeps it here.
    """

    def __init__(self, scope: RunScope, store: ApprovalStore, children: Children) -> None:
        self._scope = scope
        self._store = store
        self._children = children
        self._timer: asyncio.TimerHandle | None = None
        self._parking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def waiting(self, awaited: Collection[str]) -> AsyncGenerator[None]:
        """Wait inside for approvals or children, holding no slot. Never returns when the task is given up meanwhile.

        `awaited` are the ids of those that are not over, as far as is known: the task is given up for no others.
        """
        async with self._children.slots.waiting(self._scope.slot), self.idle(awaited):
            yield

    @asynccontextmanager
    async def idle(self, awaited: Collection[str]) -> AsyncGenerator[None]:
        """Do the same for what holds no slot anyway."""
        control, activity = self._scope.control, self._scope.activity
        try:
            with activity.waiting(awaited):
                self._try_after(self._patience)
                yield
                if self._parking is not None:
                    await asyncio.shield(self._parking)
            if control.is_lost:
                # What began now would be cut off: the cancellation arrives here.
                await asyncio.get_running_loop().create_future()
        finally:
            if not activity.waits:
                self._stop_timer()

    def hurry(self) -> None:
        """Give the task up now, if that may be: the process goes down."""
        if self._timer is not None:
            self._try_after(0.0)

    async def aclose(self) -> None:
        """Give nothing up any more."""
        self._stop_timer()
        if self._parking is not None:
            self._parking.cancel()
            await asyncio.gather(self._parking, return_exceptions=True)

    @property
    def _patience(self) -> float:
        if self._children.launcher.is_draining:
            return 0.0
        return min(self._children.limits.approval_park_seconds, self._scope.remaining_seconds * PARK_SHARE)

    def _try_after(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._try)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _try(self) -> None:
        if self._parking is not None:
            # It sees to the next time, too.
            return
        if self._scope.activity.only_waits:
            self._parking = asyncio.create_task(self._park(), name="parking")
        else:
            self._try_after(max(self._patience, PARK_AGAIN_SECONDS))

    async def _park(self) -> None:
        task = self._scope.task
        parked: bool | Lost
        try:
            parked = await self._give_up()
        except AttemptLost:
            parked = Lost()
        except Exception as error:  # noqa: BLE001 - whatever it is, the run waits on here
            logger.error("park_failed", task=task.task_id, exception=traceback_of(error))  # noqa: TRY400 - it has it
            parked = False
        self._parking = None
        if parked:
            logger.info("run_parked" if parked is True else "attempt_lost", task=task.task_id, attempt=task.attempt)
            self._scope.control.lose()
        elif self._scope.activity.waits:
            self._try_after(max(self._patience, PARK_AGAIN_SECONDS))

    async def _give_up(self) -> bool | Lost:
        """Give the task up, unless something is stored of it meanwhile, or one that it waits for is over by then."""
        task, activity = self._scope.task, self._scope.activity
        number = await self._scope.log.settle()
        if number is None or not activity.only_waits:
            return False
        awaited = activity.awaited
        return await self._children.patiently(
            lambda: self._store.park(task.task_id, task.attempt, awaited=awaited, number=number)
        )
