"""Keeps this process's own transactions on one tree after each other."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

Waiters = deque[asyncio.Future[None]]


class TreeLocks:
    """One lock for each tree that somebody holds, for those who wait for it in their order.

    The rows are locked in the database anyway. Waiting here instead takes no connection, and lets the events of a tree
    be told in the order of their commits.
    """

    def __init__(self) -> None:
        self._held: dict[str, Waiters] = {}

    @asynccontextmanager
    async def hold(self, root_task_ids: Iterable[str]) -> AsyncGenerator[None]:
        """Hold the locks of trees, taken in the order of their ids."""
        taken: list[str] = []
        try:
            for root_task_id in sorted(set(root_task_ids)):
                if (waiters := self._held.get(root_task_id)) is None:
                    self._held[root_task_id] = deque()
                else:
                    await self._wait(root_task_id, waiters)
                taken.append(root_task_id)
            yield
        finally:
            for root_task_id in taken:
                self._hand_on(root_task_id)

    async def _wait(self, root_task_id: str, waiters: Waiters) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                # It was this one's turn already.
                self._hand_on(root_task_id)
            raise

    def _hand_on(self, root_task_id: str) -> None:
        waiters = self._held[root_task_id]
        while waiters:
            turn = waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._held[root_task_id]
