"""Runs hooks in the background: those that ended tasks have left, here or in a process that died."""

import asyncio
import contextvars

import structlog

from musterd.domain.clock import Clock
from musterd.domain.full_store import FullStore
from musterd.domain.hook_store import ClaimedHookRun
from musterd.runtime.failures import traceback_of
from musterd.runtime.hooks.background import BackgroundCaller, Misfortune
from musterd.runtime.limits import Limits
from musterd.runtime.ownership import Ownership
from musterd.runtime.patience import patiently
from musterd.subagents.retry import RetryConfig, compute_backoff_delay

logger = structlog.get_logger(__name__)

WENT_DOWN = "the server went down while the hook ran"


class HookRunner:
    """Takes hooks whose time has come, as many at once as the limit allows, each in an asyncio task of its own.

    It looks for them when it is told to, and when the next one is due.
    """

    def __init__(
        self, caller: BackgroundCaller, *, store: FullStore, ownership: Ownership, clock: Clock, limits: Limits
    ) -> None:
        self._caller = caller
        self._store = store
        self._ownership = ownership
        self._clock = clock
        self._limits = limits
        self._retry = RetryConfig(
            initial_delay=limits.hook_retry_initial_delay_seconds,
            max_delay=limits.hook_retry_max_delay_seconds,
            jitter=False,
        )
        self._running: dict[str, asyncio.Task[None]] = {}
        self._lost: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._alarm: asyncio.Task[None] | None = None
        self._is_draining = False

    def start(self) -> None:
        """Begin, with what is there."""
        self._wake.set()
        self._task = asyncio.get_running_loop().create_task(self._go_on(), name="hook-runner")

    def look(self) -> None:
        """Take hooks that may have been stored, or have become free."""
        self._wake.set()

    def lose_all(self) -> None:
        """Stop all that runs here without a word: other processes may have it by now."""
        running, self._running = self._running, {}
        for task in running.values():
            self._lost.add(task)
            task.add_done_callback(self._lost.discard)
            task.cancel()

    async def close(self, grace_seconds: float, hurry: asyncio.Event) -> None:
        """Begin nothing more, let what runs end within the grace or until told to hurry, leave the rest to others."""
        self._is_draining = True
        loops = [task for task in (self._task, self._alarm) if task is not None]
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        if running := set(self._running.values()):
            await _let_end(running, grace_seconds, hurry)
        # Those that were lost were told before: to be told again would cut off what they still tidy up.
        if left := running | self._lost:
            _, stuck = await asyncio.wait(left, timeout=self._limits.cancel_abandon_seconds)
            if stuck:
                logger.error("hooks_do_not_stop", count=len(stuck))

    async def _go_on(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 - whatever it is, hooks that come later must be run
                logger.error("hook_claim_failed", exception=traceback_of(error))  # noqa: TRY400 - it has it
                self._wake_in(self._limits.store_retry_delay_seconds)

    async def _look(self) -> None:
        free = self._limits.hook_concurrency - len(self._running)
        if free <= 0 or self._ownership.is_lost:
            # The end of one, or the next look at all that may have happened, wakes this.
            return
        owner = self._ownership.owner
        for claimed in await self._store.claim_hook_runs(owner, free, list(self._running)):
            if self._ownership.holds(owner):
                self._launch(claimed)
        if len(self._running) >= self._limits.hook_concurrency:
            return
        next_time = await self._store.next_hook_time()
        if next_time is not None:
            self._wake_in(max(0.0, (next_time - await self._store.now()).total_seconds()))

    def _wake_in(self, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().create_task(self._ring(seconds), name="hook-alarm")

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self.look()

    def _launch(self, claimed: ClaimedHookRun) -> None:
        hook_run_id = claimed.run.hook_run_id
        task = asyncio.get_running_loop().create_task(
            self._run(claimed), name=f"hook-{hook_run_id}", context=contextvars.Context()
        )
        self._running[hook_run_id] = task
        task.add_done_callback(lambda _: self._dismiss(hook_run_id, task))

    def _dismiss(self, hook_run_id: str, task: asyncio.Task[None]) -> None:
        if self._running.get(hook_run_id) is task:
            del self._running[hook_run_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("hook_not_finished", hook_run=hook_run_id, exception=traceback_of(error))
        self.look()

    async def _run(self, claimed: ClaimedHookRun) -> None:
        run = claimed.run
        try:
            misfortune = self._exhausted(run.attempts) or await self._caller.attempt(claimed)
        except asyncio.CancelledError:
            if self._is_draining and run.hook_run_id in self._running:
                await self._finish(claimed, Misfortune(WENT_DOWN), retry_seconds=0.0)
            raise
        retry_seconds = None
        if misfortune is not None and misfortune.may_pass and run.attempts < self._limits.hook_max_attempts:
            retry_seconds = compute_backoff_delay(run.attempts, self._retry)
        await self._finish(claimed, misfortune, retry_seconds=retry_seconds)

    def _exhausted(self, attempts: int) -> Misfortune | None:
        """Return why a hook is not begun again, if it may be what ends the server each time."""
        most = max(self._limits.max_attempts, self._limits.hook_max_attempts)
        if attempts <= most:
            return None
        return Misfortune(f"the hook was begun {most} times, and each time the server stopped", may_pass=False)

    async def _finish(
        self, claimed: ClaimedHookRun, misfortune: Misfortune | None, *, retry_seconds: float | None
    ) -> None:
        run, error = claimed.run, None if misfortune is None else misfortune.message
        await patiently(
            lambda: self._store.finish_hook_run(
                run.hook_run_id, run.attempts, error=error, retry_seconds=retry_seconds
            ),
            self._clock,
            self._limits,
        )


async def _let_end(tasks: set[asyncio.Task[None]], grace_seconds: float, hurry: asyncio.Event) -> None:
    """Return when tasks have ended, or were told to: after the grace, or in a hurry."""
    ended = asyncio.get_running_loop().create_task(_all_of(tasks), name="hooks-ending")
    hurried = asyncio.get_running_loop().create_task(hurry.wait(), name="hooks-hurried")
    try:
        await asyncio.wait((ended, hurried), timeout=grace_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (ended, hurried, *tasks):
            task.cancel()
        await asyncio.gather(ended, hurried, return_exceptions=True)


async def _all_of(tasks: set[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)
