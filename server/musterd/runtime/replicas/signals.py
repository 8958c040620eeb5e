"""What this process tells the others on its store, and what it does when they tell something."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any

import structlog

from musterd.domain.bus import Bus, Signal, SignalKind
from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError
from musterd.domain.event import Event
from musterd.domain.ports import Store
from musterd.runtime.failures import traceback_of
from musterd.runtime.feed.changes import TaskChanges
from musterd.runtime.feed.hub import Hub
from musterd.runtime.supervisor import Supervisor

logger = structlog.get_logger(__name__)

WATCH_SECONDS = 30.0
"""For how long the others tell what happens to something, once they were asked to."""

LOOK_AGAIN_SECONDS = 0.05
"""By then the others know that something is watched. What happened just before they told nobody."""

WATCHES_MAX = 50_000
"""How many things are kept that others watch; of more they learn when they look."""


class Signals:
    """Lets the followers, waiters and runs of this process learn what other processes do.

    Signals are hints, and make it quick. That nothing is missed is what the look every `poll_seconds` is for; `on_look`
    is called with each.
    """

    def __init__(
        self,
        *,
        bus: Bus,
        store: Store,
        hub: Hub,
        changes: TaskChanges,
        supervisor: Supervisor,
        clock: Clock,
        poll_seconds: float,
    ) -> None:
        self.on_look: Callable[[], None] = lambda: None
        self._bus = bus
        self._store = store
        self._hub = hub
        self._changes = changes
        self._supervisor = supervisor
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._watched_there: dict[str, float] = {}
        self._announced: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None
        self._unknown: set[str] = set()
        self._errands: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to listen, and to look."""
        self._hub.listen(self._notice_commit)
        self._hub.on_follow = lambda root_task_id: self._announce((root_task_id,))
        self._changes.on_watch = lambda keys, for_others: self._announce(keys, also_ours=for_others)
        self._supervisor.on_order = lambda task_id: self._bus.send(Signal(SignalKind.ORDERS, task_id))
        self._supervisor.on_queued = lambda: self._bus.send(Signal(SignalKind.QUEUED))
        await self._bus.open(self._take)
        self._task = asyncio.get_running_loop().create_task(self._look_on(), name="signals")

    async def close(self) -> None:
        """Stop to listen and to look."""
        tasks = [task for task in (self._task, *self._errands) if task is not None]
        for task in tasks:
            task.cancel()
        self._task = None
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._bus.close()

    def _announce(self, keys: Collection[str], *, also_ours: bool = False) -> None:
        """Ask the others to tell what happens to tasks and trees; with `also_ours` even to such as run here."""
        now = self._clock.monotonic()
        elsewhere: list[str] = []
        for key in keys:
            is_ours = self._supervisor.runs_here(key)
            if (is_ours and not also_ours) or now < self._announced.get(key, now):
                continue
            self._announced[key] = now + WATCH_SECONDS / 2
            self._bus.send(Signal(SignalKind.WATCHED, key))
            if not is_ours:
                elsewhere.append(key)
        if elsewhere and self._task is not None:
            self._run(self._look_again(elsewhere))

    async def _look_again(self, keys: Collection[str]) -> None:
        await self._clock.sleep(LOOK_AGAIN_SECONDS)
        for key in keys:
            self._hub.poke(key)
            self._changes.wake(key)

    def _notice_commit(self, events: Sequence[Event]) -> None:
        if not self._watched_there:
            return
        keys = {key for event in events for key in (event.root_task_id, event.task_id)}
        for key in keys & self._watched_there.keys():
            self._bus.send(Signal(SignalKind.CHANGED, key))

    def _take(self, signal: Signal) -> None:
        match signal.kind:
            case SignalKind.CHANGED:
                self._hub.poke(signal.key)
                self._changes.wake(signal.key)
            case SignalKind.ORDERS:
                self._changes.wake(signal.key)
                self._run(self._supervisor.read_orders((signal.key,)))
            case SignalKind.QUEUED:
                self._supervisor.look_for_work()
            case SignalKind.WATCHED:
                if len(self._watched_there) < WATCHES_MAX:
                    self._watched_there[signal.key] = self._clock.monotonic() + WATCH_SECONDS
            case SignalKind.MISSED:
                self._run(self._look())

    def _run(self, errand: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(_logged(errand))
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _look_on(self) -> None:
        while True:
            await self._clock.sleep(self._poll_seconds)
            await _logged(self._look())

    async def _look(self) -> None:
        """Find out what happened elsewhere, whether or not somebody told."""
        self._forget_old()
        self.on_look()
        self._supervisor.look_again_for_work()
        await self._supervisor.read_orders(await self._store.find_orders(self._supervisor.owner))
        await self._release_unknown()
        self._announce(self._changes.wake_others(self._supervisor.runs_here), also_ours=True)
        roots = self._hub.followed_roots()
        if roots:
            behind = [
                root
                for root, sequence in (await self._store.get_last_sequences(roots)).items()
                if self._hub.is_behind(root, sequence)
            ]
            self._announce(behind, also_ours=True)
            for root in behind:
                self._hub.poke(root)

    async def _release_unknown(self) -> None:
        """Give up tasks that this process holds and does not know of: the answer to a claim was lost.

        One that is about to start looks the same, but not twice.
        """
        held = await self._store.find_held(self._supervisor.owner)
        unknown = {task_id for task_id in held if not self._supervisor.runs_here(task_id)}
        for task_id in unknown & self._unknown:
            logger.warning("unknown_task_released", task=task_id)
            await self._store.release_task(task_id, held[task_id])
        self._unknown = unknown

    def _forget_old(self) -> None:
        now = self._clock.monotonic()
        for known in (self._watched_there, self._announced):
            for key in [key for key, until in known.items() if until < now]:
                del known[key]


async def _logged(errand: Coroutine[Any, Any, None]) -> None:
    try:
        await errand
    except MusterdError as error:
        logger.warning("look_failed", error=str(error))
    except Exception as error:  # noqa: BLE001 - the next look must come
        logger.error("look_failed", exception=traceback_of(error))  # noqa: TRY400 - it has it
