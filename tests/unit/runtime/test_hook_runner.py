"""The runner of hooks in the background: when it tries again."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from pydantic_ai import Agent
from tests.support.clocks import DrivenClock
from tests.support.followers import GUARD_SECONDS
from tests.support.gated_model import saying
from tests.support.runtime_kernel import Kernel

from musterd import Musterd, Prototype, hook
from musterd.domain.hook_run import HookRunState
from musterd.domain.hook_store import HookQuery, HookRun
from musterd.domain.principal import Identity, Viewer
from musterd.domain.task import ComponentKind, ComponentRef
from musterd.runtime.limits import Limits
from musterd.runtime.runs import RunRequest

VIEWER = Viewer(tenant_id="acme", user_id="ada")


class Patient:
    """A runtime whose time, and that of its store, is driven; its agent has a hook that fails so often."""

    def __init__(self, database: Path, failures: int, limits: Limits) -> None:
        self.clock = DrivenClock()
        self.called = asyncio.Queue[datetime]()
        self._failures = failures

        @hook(run_in_background=True)
        async def audit() -> None:
            self.called.put_nowait(self.clock.now())
            if self.called.qsize() <= self._failures:
                raise RuntimeError

        agent = Prototype(Agent(saying("done"), name="agent"), post_hooks=[audit])
        self.kernel = Kernel(
            Musterd(agents=[agent]), database, limits=limits, clock=self.clock, stored_time=self.clock.now
        )

    async def run(self) -> None:
        """Run the agent to its end."""
        identity = Identity(tenant_id="acme", user_id="ada", captured_at=self.clock.now())
        ref = ComponentRef(kind=ComponentKind.AGENT, id="agent")
        started = await self.kernel.runs.start(RunRequest(component=ref, identity=identity, message="go"))
        self.kernel.hub.leave(started.follower)
        await self.kernel.tasks.wait(VIEWER, [started.task.task_id], wait_for_any=False, seconds=GUARD_SECONDS)

    async def until(self, *states: HookRunState) -> HookRun:
        """Return the hook's run once it is in one of these states."""
        async with asyncio.timeout(GUARD_SECONDS):
            while True:
                runs: Sequence[HookRun] = await self.kernel.real_store.list_hook_runs(HookQuery(viewer=VIEWER, limit=1))
                if runs and runs[0].state in states and runs[0].attempts > 0:
                    return runs[0]


async def test_each_wait_is_twice_as_long_as_the_one_before_up_to_the_limit(tmp_path: Path) -> None:
    """H4."""
    limits = Limits(hook_max_attempts=5, hook_retry_initial_delay_seconds=5.0, hook_retry_max_delay_seconds=15.0)
    patient = Patient(tmp_path / "a.db", 5, limits)
    await patient.kernel.start()
    await patient.run()
    for seconds in (5.0, 10.0, 15.0, 15.0):
        waiting = await patient.until(HookRunState.PENDING)
        assert waiting.next_attempt_time == waiting.update_time + timedelta(seconds=seconds)
        await patient.clock.sleeping(seconds=seconds)
        patient.clock.advance(seconds)
        while (await patient.until(HookRunState.PENDING, HookRunState.DEAD)).attempts == waiting.attempts:
            pass
    dead = await patient.until(HookRunState.DEAD)
    await patient.kernel.stop()
    assert dead.attempts == 5
    times = [patient.called.get_nowait() for _ in range(5)]
    waits = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    assert waits == [5.0, 10.0, 15.0, 15.0]


async def test_a_hook_is_not_tried_before_its_time(tmp_path: Path) -> None:
    """H4: also when the runner looks for others."""
    patient = Patient(tmp_path / "a.db", 1, Limits())
    await patient.kernel.start()
    await patient.run()
    await patient.until(HookRunState.PENDING)
    await patient.clock.sleeping(seconds=5.0)
    patient.clock.advance(4.0)
    patient.kernel.hooks.look()
    await patient.clock.sleeping(seconds=1.0)
    assert patient.called.qsize() == 1
    patient.clock.advance(1.0)
    done = await patient.until(HookRunState.COMPLETED)
    await patient.kernel.stop()
    assert done.attempts == 2


async def test_hooks_that_are_lost_stop_without_a_word(tmp_path: Path) -> None:
    """H4, R11: another process may have them by now."""
    reached, stopped = asyncio.Event(), asyncio.Event()

    @hook(run_in_background=True)
    async def audit() -> None:
        reached.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            stopped.set()

    agent = Prototype(Agent(saying("done"), name="agent"), post_hooks=[audit])
    kernel = Kernel(Musterd(agents=[agent]), tmp_path / "a.db")
    await kernel.start()
    identity = Identity(tenant_id="acme", user_id="ada", captured_at=await kernel.store.now())
    ref = ComponentRef(kind=ComponentKind.AGENT, id="agent")
    started = await kernel.runs.start(RunRequest(component=ref, identity=identity, message="go"))
    kernel.hub.leave(started.follower)
    await reached.wait()
    kernel.ownership.is_lost = True
    kernel.hooks.lose_all()
    await stopped.wait()
    (run,) = await kernel.real_store.list_hook_runs(HookQuery(viewer=VIEWER, limit=1))
    assert (run.state, run.attempts) == (HookRunState.RUNNING, 1)
    await kernel.stop()


async def test_hooks_that_are_lost_may_clean_up_before_the_process_ends(tmp_path: Path) -> None:
    """H4, R11: their component too is taken down meanwhile."""
    reached, done = asyncio.Event(), list[str]()

    @hook(run_in_background=True)
    async def audit() -> None:
        reached.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            for _ in range(100):
                await asyncio.sleep(0)
            done.append("cleaned up")

    agent = Prototype(Agent(saying("done"), name="agent"), post_hooks=[audit])
    kernel = Kernel(Musterd(agents=[agent]), tmp_path / "a.db")
    await kernel.start()
    identity = Identity(tenant_id="acme", user_id="ada", captured_at=await kernel.store.now())
    ref = ComponentRef(kind=ComponentKind.AGENT, id="agent")
    started = await kernel.runs.start(RunRequest(component=ref, identity=identity, message="go"))
    kernel.hub.leave(started.follower)
    await reached.wait()
    kernel.ownership.is_lost = True
    kernel.hooks.lose_all()
    await kernel.hooks.close(0, asyncio.Event())
    assert done == ["cleaned up"]
    await kernel.stop()
