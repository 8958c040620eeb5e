"""Runs in great numbers, while replicas are killed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import cycle

from tests.soak.outcome import Outcome, read_outcome
from tests.soak.replicas import Mill

from musterd_client import MusterdClient, MusterdClientError

RUN_SECONDS_MAX = 120.0
LOOKS = 40
"""How often the memory of the replicas is noted in a whole soak."""


class Callers:
    """Start runs in the background, and wait for each: with every call at whichever replica comes next."""

    def __init__(self, client: MusterdClient, runs: int) -> None:
        self.runs = runs
        self.ended = 0
        self.accepted: set[str] = set()
        self.troubles: list[str] = []
        self._client = client
        self._left = iter(range(runs))
        self._news = asyncio.Condition()

    async def run_all(self, at_once: int, on_end: Callable[[int], None]) -> None:
        """Return when all runs are over; after each `on_end` is called with how many are."""

        async def work() -> None:
            for number in self._left:
                await self._run(f"run {number}")
                async with self._news:
                    self.ended += 1
                    on_end(self.ended)
                    self._news.notify_all()

        await asyncio.gather(*(work() for _ in range(at_once)))

    async def have_ended(self, runs: int) -> None:
        """Return once so many runs are over."""
        async with self._news:
            await self._news.wait_for(lambda: self.ended >= runs)

    async def _run(self, name: str) -> None:
        try:
            async with asyncio.timeout(RUN_SECONDS_MAX):
                run = self._client.run_agent("miller", name, background=True, request_id=name)
                task = await run.start()
                self.accepted.add(task.task_id)
                await self._client.tasks.wait([task.task_id], timeout_seconds=RUN_SECONDS_MAX)
        except TimeoutError:
            self.troubles.append(f"{name} did not end within {RUN_SECONDS_MAX:g} s")
        except MusterdClientError as error:
            self.troubles.append(f"{name}: {error}")


NextKill = Callable[[Callers], Awaitable[None]]
"""Returns when the next replica is to be killed."""


async def soak(mill: Mill, *, runs: int, at_once: int, next_kill: NextKill) -> Outcome:
    """Have runs made, while all replicas but the last are killed in turns and started again; say what came of it."""
    *mortals, _ = mill.replicas
    kills = 0

    def look(ended: int) -> None:
        if ended % max(1, runs // LOOKS) == 0:
            for replica in mill.replicas:
                replica.look(ended)

    async with mill.client() as client:
        callers = Callers(client, runs)
        begun_at = time.perf_counter()
        calling = asyncio.create_task(callers.run_all(at_once, look))
        try:
            for victim in cycle(mortals):
                if not await _comes_first(next_kill(callers), calling):
                    break
                await victim.kill()
                kills += 1
                await victim.begin()
            await calling
        finally:
            await _cancel(calling)
        seconds = time.perf_counter() - begun_at
    return await read_outcome(
        mill, accepted=callers.accepted, runs=runs, troubles=callers.troubles, kills=kills, seconds=seconds
    )


async def _comes_first(work: Awaitable[None], other: asyncio.Task[None]) -> bool:
    """Return whether work is over before another task is."""
    task = asyncio.ensure_future(work)
    await asyncio.wait({task, other}, return_when=asyncio.FIRST_COMPLETED)
    if other.done():
        await _cancel(task)
        return False
    await task
    return True


async def _cancel(task: asyncio.Future[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
