"""Approvals of a running task: stored, and waited for until they are decided."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from musterd.domain.approval_store import ApprovalStore, NewApproval
from musterd.domain.ports import Lost
from musterd.domain.task import Approval, ApprovalState
from musterd.runtime.attempt.scope import RunScope
from musterd.runtime.delegation.children import Children
from musterd.runtime.delegation.parking import Parking
from musterd.runtime.feed.log import AttemptLost


class Approvals:
    """Asks for approvals, and waits until they are decided. The run may be given up meanwhile."""

    def __init__(self, scope: RunScope, store: ApprovalStore, children: Children, parking: Parking) -> None:
        self._scope = scope
        self._store = store
        self._children = children
        self._parking = parking

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
        awaited = {approval.approval_id for approval in approvals if approval.state is ApprovalState.OPEN}
        if not awaited:
            return approvals
        # One that was asked for before a crash needs input again, and nothing new is in the log.
        children.changes.wake(task.task_id)
        async with self._parking.waiting(awaited):
            return await self._wait(approvals, awaited)

    async def _wait(self, approvals: Sequence[Approval], awaited: set[str]) -> Sequence[Approval]:
        task, control, children = self._scope.task, self._scope.control, self._children
        ids = [approval.approval_id for approval in approvals]
        with children.changes.watch([task.task_id], for_others=True) as waiter, control.waking(waiter):
            while True:
                approvals = await children.patiently(lambda: self._store.get_approvals(ids))
                open_ones = [approval for approval in approvals if approval.state is ApprovalState.OPEN]
                awaited.intersection_update(approval.approval_id for approval in open_ones)
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
                with suppress(TimeoutError):
                    async with asyncio.timeout(expires_in):
                        await waiter.wait()
                waiter.clear()


def _held(approvals: Sequence[Approval] | Lost) -> Sequence[Approval]:
    if isinstance(approvals, Lost):
        raise AttemptLost
    return approvals
