"""Approvals of a running task: stored, waited for in memory, and after a while without any process."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from musterd.domain.approval_store import ApprovalStore, NewApproval
from musterd.domain.ports import Lost
from musterd.domain.task import Approval, ApprovalState, TaskState
from musterd.runtime.attempt.scope import RunScope
from musterd.runtime.delegation.children import Children
from musterd.runtime.feed.log import AttemptLost

logger = structlog.get_logger(__name__)

PARK_SHARE = 0.5
"""Which part of a run's remaining time it waits in memory at most: the time without a process does not count."""

PARK_AGAIN_SECONDS = 1.0
"""How long a run that could not be given up waits at least before it tries again."""


class Approvals:
    """Asks for approvals, and waits until they are decided.

    A run that waits for nothing else gives its task up after a while: once it is decided any process goes on with it.
    """

    def __init__(self, scope: RunScope, store: ApprovalStore, children: Children) -> None:
        self._scope = scope
        self._store = store
        self._children = children
        self._waiting_count = 0
        self._parking = asyncio.Lock()

    async def decide(self, asked: Sequence[NewApproval]) -> Sequence[Approval]:
        """Return the approvals in the order in which they were asked for, once none of them is open.

        What was asked for before a crash is found as it stands. Raises AttemptLost, and never returns when the task is
        given up or told to stop.
        """
        scope, children = self._scope, self._children
        task, limits = scope.task, children.limits
        # What led to them comes first in the log.
        await scope.log.commit()
        approvals = _held(
            await children.patiently(
                lambda: self._store.request_approvals(
                    task.task_id, task.attempt, asked, seconds=limits.approval_timeout_seconds
                )
            )
        )
        if all(approval.state is not ApprovalState.OPEN for approval in approvals):
            return approvals
        # One that was asked for before a crash needs input again, and nothing new is in the log.
        children.changes.wake(task.task_id)
        self._waiting_count += 1
        try:
            async with children.slots.waiting(scope.slot):
                decided = await self._wait(approvals)
            # What another branch is about to give up must not go on: it would be cut off.
            async with self._parking:
                return decided
        finally:
            self._waiting_count -= 1

    async def _wait(self, approvals: Sequence[Approval]) -> Sequence[Approval]:
        task, control, children = self._scope.task, self._scope.control, self._children
        ids = [approval.approval_id for approval in approvals]
        loop = asyncio.get_running_loop()
        patience = min(children.limits.approval_park_seconds, self._scope.remaining_seconds * PARK_SHARE)
        park_at = loop.time() + patience
        with children.changes.watch([task.task_id], for_others=True) as waiter, control.waking(waiter):
            while True:
                approvals = await children.patiently(lambda: self._store.get_approvals(ids))
                open_ones = [approval for approval in approvals if approval.state is ApprovalState.OPEN]
                if not open_ones:
                    return approvals
                # Where a run may be told to stop, for it has nothing else to do.
                await control.boundary()
                now = await children.patiently(children.store.now)
                expires_in = (min(approval.expire_time for approval in open_ones) - now).total_seconds()
                if expires_in <= 0:
                    _held(
                        await children.patiently(lambda: self._store.expire_approvals(task.task_id, task.attempt)),
                    )
                    continue
                if loop.time() >= park_at or children.launcher.is_draining:
                    await self._park_if_alone()
                    park_at = loop.time() + max(patience, PARK_AGAIN_SECONDS)
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(expires_in, park_at - loop.time())):
                        await waiter.wait()
                waiter.clear()

    async def _park_if_alone(self) -> None:
        """Give the task up, unless something else of it goes on: another branch, or a child."""
        scope, children = self._scope, self._children
        task = scope.task
        async with self._parking:
            if self._waiting_count < scope.branch_count or await children.live_of(task):
                return
            parked = await children.patiently(lambda: self._store.park(task.task_id, task.attempt))
            if isinstance(parked, Lost):
                raise AttemptLost
            if parked.state is TaskState.INPUT_REQUIRED:
                logger.info("run_parked", task=task.task_id, attempt=task.attempt)
                scope.control.lose()
                await asyncio.get_running_loop().create_future()


def _held(approvals: Sequence[Approval] | Lost) -> Sequence[Approval]:
    if isinstance(approvals, Lost):
        raise AttemptLost
    return approvals
