"""Signals between processes: who is told what, and what a process does when it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic_ai import Agent
from tests.support.clocks import DrivenClock
from tests.support.gated_model import Gate, stopping
from tests.support.runtime_kernel import Kernel
from tests.support.stored_runs import begin_task, deltas, tell

from musterd import Musterd
from musterd.domain.bus import Signal, SignalKind
from musterd.domain.orders import CancelOrder
from musterd.domain.ports import Store
from musterd.domain.principal import Identity, Viewer
from musterd.domain.task import ComponentKind, ComponentRef, Task, TaskState
from musterd.runtime.limits import Limits
from musterd.runtime.replicas.signals import LOOK_AGAIN_SECONDS, WATCH_SECONDS, Signals
from musterd.runtime.runs import RunRequest

POLL_SECONDS = 7.0
VIEWER = Viewer(tenant_id="acme", user_id="ada")
AGENT = ComponentRef(kind=ComponentKind.AGENT, id="slow")


class OpenBus:
    """A bus whose other end is the test: it sees what is sent, and says what is heard."""

    def __init__(self) -> None:
        self.sent: list[Signal] = []
        self.hear: Callable[[Signal], None] = lambda _: None

    async def open(self, on_signal: Callable[[Signal], None]) -> None:
        self.hear = on_signal

    async def close(self) -> None:
        self.hear = lambda _: None

    def send(self, signal: Signal) -> None:
        self.sent.append(signal)

    def kinds_of(self, key: str) -> Sequence[SignalKind]:
        """Return what was sent about something, in order."""
        return [signal.kind for signal in self.sent if signal.key == key]


class World:
    """One process of several, and the store as the others see it."""

    def __init__(self, folder: Path) -> None:
        self.gate = Gate()
        self.clock = DrivenClock()
        self.bus = OpenBus()
        app = Musterd(agents=[Agent(stopping(self.gate, before=("half ",)), name="slow")])
        # The one run of a test leaves no room, so that what others have stays with them.
        limits = Limits(max_running_tasks=1)
        self.kernel = Kernel(app, folder / "a.db", clock=self.clock, limits=limits)
        self.signals = Signals(
            bus=self.bus,
            store=self.kernel.store,
            hub=self.kernel.hub,
            changes=self.kernel.changes,
            supervisor=self.kernel.supervisor,
            clock=self.clock,
            poll_seconds=POLL_SECONDS,
        )

    @property
    def store(self) -> Store:
        return self.kernel.store

    async def look(self) -> None:
        """Let the process look once by itself."""
        await self.clock.sleeping(seconds=POLL_SECONDS)
        self.clock.advance(POLL_SECONDS)
        await self.clock.sleeping(seconds=POLL_SECONDS)

    async def run(self) -> Task:
        """Start a run here, which waits in the middle of its answer."""
        identity = Identity(tenant_id="acme", user_id="ada", captured_at=datetime.now(UTC))
        started = await self.kernel.runs.start(RunRequest(component=AGENT, identity=identity, message="go"))
        self.kernel.hub.leave(started.follower)
        await self.gate.reached.wait()
        return started.task


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    await made.kernel.start()
    await made.signals.open()
    yield made
    await made.signals.close()
    await made.kernel.stop()


HARD = CancelOrder(hard=True, grace_seconds=0, reason="enough", cascade=True, user_id="ada")


async def ended(world: World, task: Task) -> Task:
    """Return a task once it has ended."""
    return (await world.kernel.tasks.wait(VIEWER, [task.task_id], wait_for_any=False, seconds=60)).tasks[0]


async def test_others_are_asked_to_tell_of_a_tree_that_is_followed_and_runs_elsewhere(world: World) -> None:
    """R3: once for many followers, and again when that is long ago."""
    ours = await world.run()
    followers = [world.kernel.hub.follow(root, 0) for root in ("elsewhere", "elsewhere", ours.task_id)]
    assert world.bus.kinds_of("elsewhere") == [SignalKind.WATCHED]
    assert world.bus.kinds_of(ours.task_id) == []
    for _ in range(3):
        await world.look()
    followers.append(world.kernel.hub.follow("elsewhere", 0))
    assert world.bus.kinds_of("elsewhere") == [SignalKind.WATCHED] * 2
    for follower in followers:
        world.kernel.hub.leave(follower)


async def test_what_happens_is_told_to_those_who_asked_for_it_and_for_as_long(world: World) -> None:
    """R3."""
    await world.run()
    watched, other = [await begin_task(world.store, owner="other") for _ in range(2)]
    world.bus.hear(Signal(SignalKind.WATCHED, watched.task_id))
    for task in (watched, other):
        await tell(world.store, task, deltas(3))
    assert world.bus.kinds_of(watched.task_id) == [SignalKind.CHANGED]
    assert world.bus.kinds_of(other.task_id) == []
    world.clock.advance(WATCH_SECONDS)
    await world.look()
    await tell(world.store, watched, deltas(1))
    assert world.bus.kinds_of(watched.task_id) == [SignalKind.CHANGED]


async def test_an_order_for_a_task_that_runs_elsewhere_is_told(world: World) -> None:
    """R5."""
    assert not world.kernel.supervisor.cancel("elsewhere", HARD)
    assert world.bus.sent == [Signal(SignalKind.ORDERS, "elsewhere")]


async def test_a_run_obeys_an_order_of_which_its_process_is_told(world: World) -> None:
    """R5: it is in the store, and the process that took it ran nothing."""
    task = await world.run()
    await world.store.request_cancel(VIEWER, task.task_id, HARD, None)
    world.bus.hear(Signal(SignalKind.ORDERS, task.task_id))
    assert (await ended(world, task)).state is TaskState.CANCELED


@pytest.mark.parametrize("is_told", [False, True])
async def test_a_run_obeys_an_order_of_which_nobody_told(world: World, is_told: bool) -> None:
    """R5: at the next look, or at once when signals were missed."""
    task = await world.run()
    await world.store.request_cancel(VIEWER, task.task_id, HARD, None)
    if is_told:
        world.bus.hear(Signal(SignalKind.MISSED))
    else:
        await world.look()
    assert (await ended(world, task)).state is TaskState.CANCELED


async def test_who_waits_for_others_is_woken_even_for_a_task_that_runs_here(world: World) -> None:
    """R7: an answer comes from anywhere; who waits for what this process does itself is left alone."""
    task = await world.run()
    changes = world.kernel.changes
    with (
        changes.watch([task.task_id]) as for_us,
        changes.watch([task.task_id], for_others=True) as for_others,
        changes.watch(["elsewhere"]) as for_elsewhere,
    ):
        assert world.bus.kinds_of(task.task_id) == [SignalKind.WATCHED]
        assert world.bus.kinds_of("elsewhere") == [SignalKind.WATCHED]
        await world.look()
        assert (for_us.is_set(), for_others.is_set(), for_elsewhere.is_set()) == (False, True, True)
        for_others.clear()
        world.bus.hear(Signal(SignalKind.CHANGED, task.task_id))
        assert for_us.is_set()
        assert for_others.is_set()


async def test_who_begins_to_wait_looks_again_once_the_others_know(world: World) -> None:
    """R4: what ended in between was told to nobody, and need not wait for the look of every few seconds."""
    with world.kernel.changes.watch(["elsewhere"]) as waiter:
        await world.clock.sleeping(seconds=LOOK_AGAIN_SECONDS)
        assert not waiter.is_set()
        world.clock.advance(LOOK_AGAIN_SECONDS)
        await asyncio.wait_for(waiter.wait(), timeout=60)


async def test_others_are_asked_again_while_somebody_waits(world: World) -> None:
    """R4: what was asked is forgotten after a while, and a wait may take long."""
    with world.kernel.changes.watch(["elsewhere"]):
        for _ in range(int(WATCH_SECONDS // POLL_SECONDS)):
            await world.look()
    assert world.bus.kinds_of("elsewhere") == [SignalKind.WATCHED] * 2
