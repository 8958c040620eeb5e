"""Hooks in a process that dies: what is finished is not repeated, and what is left is done by the next."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from tests.support.cutting import Cut
from tests.support.followers import GUARD_SECONDS
from tests.support.gated_model import Gate, saying
from tests.support.runtime_kernel import Kernel
from tests.support.scripted import call_then_say

from musterd import InputCheckError, Musterd, Prototype, RequestContext, RunInput, RunOutput, Team, TeamFactory, hook
from musterd.domain.event import HookCompleted, HookFailed, HookStarted, TaskCompleted
from musterd.domain.hook_run import HookRunState
from musterd.domain.hook_store import HookQuery, HookRun
from musterd.domain.ports import TaskQuery
from musterd.domain.principal import Identity, Viewer
from musterd.domain.task import ComponentKind, ComponentRef, Task, TaskState
from musterd.runtime.limits import Limits
from musterd.runtime.runs import RunRequest

VIEWER = Viewer(tenant_id="acme", user_id="ada")
AGENT = ComponentRef(kind=ComponentKind.AGENT, id="agent")

background = hook(run_in_background=True)


class Calls:
    """The hooks of one process, which count how often they are called."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def app(self) -> Musterd:
        def shout(run_input: RunInput) -> None:
            self.counts["shout"] += 1
            run_input.content = run_input.content.upper()

        @hook(guardrail=True)
        async def guard(run_input: RunInput) -> None:
            self.counts["guard"] += 1
            assert run_input.content == "GO"

        def broken() -> None:
            self.counts["broken"] += 1
            raise RuntimeError

        def wrap(run_output: RunOutput) -> RunOutput:
            self.counts["wrap"] += 1
            return RunOutput(run_id="", content={"said": run_output.content})

        @background
        def audit(run_output: RunOutput) -> None:
            self.counts["audit"] += 1
            assert run_output.content == {"said": "done"}

        agent = Agent(saying("done"), name="agent")
        return Musterd(agents=[Prototype(agent, pre_hooks=[shout, guard], post_hooks=[broken, wrap, audit])])


async def begin(app: Musterd, database: Path, cut: Cut | None = None, limits: Limits | None = None) -> Kernel:
    kernel = Kernel(app, database, cut=cut, limits=limits)
    await kernel.start()
    return kernel


async def run(kernel: Kernel, component: ComponentRef = AGENT) -> str:
    """Run a component to its end, and return its task's id."""
    identity = Identity(tenant_id="acme", user_id="ada", captured_at=await kernel.real_store.now())
    started = await kernel.runs.start(RunRequest(component=component, identity=identity, message="go"))
    kernel.hub.leave(started.follower)
    await wait(kernel, started.task.task_id)
    return started.task.task_id


async def wait(kernel: Kernel, task_id: str) -> None:
    assert not (await kernel.tasks.wait(VIEWER, [task_id], wait_for_any=False, seconds=60)).timed_out


async def settled(kernel: Kernel) -> list[HookRun]:
    """Return the hook runs once there are some and all are over."""
    async with asyncio.timeout(GUARD_SECONDS):
        while True:
            runs = await kernel.real_store.list_hook_runs(HookQuery(viewer=VIEWER, limit=100))
            if runs and all(one.state in (HookRunState.COMPLETED, HookRunState.DEAD) for one in runs):
                return list(runs)


async def live_until_cut(calls: Calls, database: Path, cut: Cut) -> bool:
    """Run to the end of all hooks, or until the cut. Returns False when it ended before."""
    kernel = await begin(calls.app(), database, cut)

    async def live() -> None:
        await run(kernel)
        await settled(kernel)

    living = asyncio.create_task(live())
    happening = asyncio.create_task(cut.happened.wait())
    await asyncio.wait((living, happening), return_when=asyncio.FIRST_COMPLETED)
    if not cut.happened.is_set():
        await living
    for task in (living, happening):
        task.cancel()
    await asyncio.gather(living, happening, return_exceptions=True)
    await kernel.die()
    return cut.happened.is_set()


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
async def test_wherever_the_process_dies_hooks_come_to_the_same_end(tmp_path: Path, after: bool) -> None:
    """H1, H4, R3: one that finished is not called again, whatever it did is done once to the run."""
    cuts = 0
    calls = Calls()
    while await live_until_cut(calls, database := tmp_path / f"{cuts}.db", Cut(cuts + 1, after=after)):
        cuts += 1
        kernel = await begin(calls.app(), database)
        tasks = await kernel.real_store.list_tasks(TaskQuery(viewer=VIEWER, limit=10))
        for task in tasks:
            await wait(kernel, task.task_id)
            (audit,) = await settled(kernel)
            await check(kernel, await kernel.real_store.get_task(VIEWER, task.task_id), audit, calls.counts)
        await kernel.stop()
        calls = Calls()
    assert cuts >= 4
    assert calls.counts == dict.fromkeys(("shout", "guard", "broken", "wrap", "audit"), 1)


async def check(kernel: Kernel, task: Task, audit: HookRun, counts: Counter[str]) -> None:
    assert task.output is not None
    assert (task.state, task.output.json) == (TaskState.COMPLETED, '{"said":"done"}')
    assert audit.state is HookRunState.COMPLETED
    log = [event.payload for event in await kernel.log_of(task.task_id)]
    ended = Counter(payload.name for payload in log if isinstance(payload, HookCompleted | HookFailed))
    assert ended == dict.fromkeys(("shout", "guard", "broken", "wrap", "audit"), 1)
    # A hook that was called again had not ended before, or there would be two ends.
    assert all(count <= 2 for count in counts.values())
    (end,) = [number for number, payload in enumerate(log) if isinstance(payload, TaskCompleted)]
    is_audit = [isinstance(payload, HookStarted) and payload.in_background for payload in log]
    assert not any(is_audit[:end])
    assert any(is_audit[end:])


async def test_a_refusal_stands_after_a_restart(tmp_path: Path) -> None:
    """H3: a check that has stopped the run is not asked again, once that is stored."""
    verdicts: list[InputCheckError] = []

    def once() -> None:
        if verdicts:
            raise verdicts.pop()

    app = Musterd(agents=[Prototype(Agent(saying("done"), name="agent"), pre_hooks=[once])])
    cuts = refused = 0
    while True:
        verdicts[:] = [InputCheckError("no", "OFF_TOPIC")]
        cut = Cut(cuts + 1, after=True)
        kernel = await begin(app, database := tmp_path / f"{cuts}.db", cut)
        running = asyncio.create_task(run(kernel))
        happening = asyncio.create_task(cut.happened.wait())
        await asyncio.wait((running, happening), return_when=asyncio.FIRST_COMPLETED)
        for each in (running, happening):
            each.cancel()
        await asyncio.gather(running, happening, return_exceptions=True)
        await kernel.die()
        if not cut.happened.is_set():
            break
        cuts += 1
        verdicts.clear()
        refused += await was_refused_by_the_first(app, database)
    assert refused >= 1


async def was_refused_by_the_first(app: Musterd, database: Path) -> bool:
    """Go on with what a process left, and return whether the run failed: then its hook was called only there."""
    kernel = await begin(app, database)
    (stored,) = await kernel.real_store.list_tasks(TaskQuery(viewer=VIEWER, limit=10))
    await wait(kernel, stored.task_id)
    task = await kernel.real_store.get_task(VIEWER, stored.task_id)
    log = [event.payload for event in await kernel.log_of(stored.task_id)]
    await kernel.stop()
    if task.error is None:
        assert not any(isinstance(payload, HookFailed) for payload in log)
        return False
    assert (task.state, task.error.message, task.error.cause) == (TaskState.FAILED, "no", "OFF_TOPIC")
    assert sum(isinstance(payload, HookStarted) for payload in log) == 1
    return True


async def test_a_run_that_cannot_go_on_leaves_its_input_as_the_hooks_have_left_it(tmp_path: Path) -> None:
    """H2, H4, R3: also in a process that has called none of them."""
    gate, seen = Gate(), list[str]()

    async def pay() -> str:
        await gate.wait()
        return "paid"

    def mask(run_input: RunInput) -> None:
        run_input.content = "[removed]"

    @background
    def audit(run_input: RunInput) -> None:
        seen.append(run_input.content)

    agent = Agent(call_then_say("pay", "done"), name="agent", tools=[pay])
    app = Musterd(agents=[Prototype(agent, pre_hooks=[mask, audit])])
    first = await begin(app, tmp_path / "a.db")
    running = asyncio.create_task(run(first))
    await gate.reached.wait()
    await first.die()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    second = await begin(app, tmp_path / "a.db")
    (one,) = await settled(second)
    task = await second.real_store.get_task(VIEWER, one.task_id)
    await second.stop()
    assert task.error is not None
    assert task.error.cause == "TOOL_NOT_REPEATABLE"
    assert seen == ["[removed]"]


async def test_a_hook_cut_off_by_the_end_of_the_process_runs_again_in_the_next(tmp_path: Path) -> None:
    """H4: SQLite; as a further attempt."""
    gate, counts = Gate(), Counter[str]()

    @background
    async def audit() -> None:
        counts["begun"] += 1
        await gate.wait()
        counts["done"] += 1

    app = Musterd(agents=[Prototype(Agent(saying("done"), name="agent"), post_hooks=[audit])])
    first = await begin(app, tmp_path / "a.db")
    await run(first)
    await gate.reached.wait()
    await first.die()
    gate.open()
    second = await begin(app, tmp_path / "a.db")
    (one,) = await settled(second)
    await second.stop()
    assert (one.state, one.attempts) == (HookRunState.COMPLETED, 2)
    assert counts == {"begun": 2, "done": 1}


async def test_a_hook_cut_off_by_a_shutdown_is_free_for_others_at_once(tmp_path: Path) -> None:
    """H4."""
    gate = Gate()

    @background
    async def audit() -> None:
        await gate.wait()

    app = Musterd(agents=[Prototype(Agent(saying("done"), name="agent"), post_hooks=[audit])])
    kernel = await begin(app, tmp_path / "a.db", limits=Limits(hook_max_attempts=1))
    task_id = await run(kernel)
    await gate.reached.wait()
    await kernel.hooks.close(0, asyncio.Event())
    (left,) = await kernel.real_store.list_hook_runs(HookQuery(viewer=VIEWER, limit=10))
    last = (await kernel.log_of(task_id))[-1].payload
    await kernel.stop()
    assert (left.state, left.error) == (HookRunState.PENDING, "the server went down while the hook ran")
    assert isinstance(last, HookFailed)
    assert last.will_retry


async def test_a_hook_that_ends_within_the_grace_is_not_cut_off(tmp_path: Path) -> None:
    """H4."""
    gate = Gate()

    @background
    async def audit() -> None:
        await gate.wait()

    app = Musterd(agents=[Prototype(Agent(saying("done"), name="agent"), post_hooks=[audit])])
    kernel = await begin(app, tmp_path / "a.db")
    await run(kernel)
    await gate.reached.wait()
    closing = asyncio.create_task(kernel.hooks.close(GUARD_SECONDS, asyncio.Event()))
    gate.open()
    await closing
    (one,) = await kernel.real_store.list_hook_runs(HookQuery(viewer=VIEWER, limit=10))
    await kernel.stop()
    assert one.state is HookRunState.COMPLETED


def team_of(*hooks: Callable[..., Any]) -> Callable[[RequestContext], Team]:
    """Return a factory of a team with these hooks."""

    def build(context: RequestContext) -> Team:
        member = Agent(saying(context.user_id), name="member")
        return Team("team", [member], model=saying("done"), post_hooks=hooks)

    return build


def named(name: str, called: list[str]) -> Callable[[], None]:
    """Return a hook with a name."""

    def one() -> None:
        called.append(name)

    one.__name__ = name
    return one


async def test_a_hook_is_found_again_by_its_place_or_else_by_its_name(tmp_path: Path) -> None:
    """H4: what an app of today no longer has is dead, and says so."""
    called: list[str] = []
    first, second, third = (named(name, called) for name in ("first", "second", "third"))

    def app(*hooks: Callable[..., Any]) -> Musterd:
        return Musterd(teams=[TeamFactory("team", team_of(*hooks))], run_hooks_in_background=True)

    kernel = await begin(app(first, second, third), tmp_path / "a.db")
    # No hook is run in this life.
    await kernel.hooks.close(0, asyncio.Event())
    await run(kernel, ComponentRef(kind=ComponentKind.TEAM, id="team"))
    await kernel.stop()
    assert called == []
    later = await begin(app(second, third), tmp_path / "a.db", limits=Limits(hook_max_attempts=5))
    runs = {one.name: one for one in await settled(later)}
    await later.stop()
    assert sorted(called) == ["second", "third"]
    dead = runs["first"]
    assert (dead.state, dead.attempts) == (HookRunState.DEAD, 1)
    assert dead.error == "the component no longer has the post-hook 'first', which was to run"


async def test_a_hook_whose_component_is_gone_is_dead(tmp_path: Path) -> None:
    """H4."""
    called: list[str] = []
    agent = Prototype(Agent(saying("done"), name="agent"), post_hooks=[named("audit", called)])
    kernel = await begin(Musterd(agents=[agent], run_hooks_in_background=True), tmp_path / "a.db")
    await kernel.hooks.close(0, asyncio.Event())
    await run(kernel)
    await kernel.stop()
    later = await begin(Musterd(), tmp_path / "a.db")
    (dead,) = await settled(later)
    await later.stop()
    assert dead.state is HookRunState.DEAD
    assert "'agent'" in dead.error
    assert called == []


async def test_a_hook_that_ends_the_process_each_time_is_given_up(tmp_path: Path) -> None:
    """H4: after as many lives as a task may have."""
    begun: asyncio.Queue[None] = asyncio.Queue()

    @background
    async def fatal() -> None:
        begun.put_nowait(None)
        await Gate().wait()

    app = Musterd(agents=[Prototype(Agent(saying("done"), name="agent"), post_hooks=[fatal])])
    limits = Limits(max_attempts=2, hook_max_attempts=1)
    kernel = await begin(app, tmp_path / "a.db", limits=limits)
    await run(kernel)
    for _ in range(2):
        await begun.get()
        await kernel.die()
        kernel = await begin(app, tmp_path / "a.db", limits=limits)
    (dead,) = await settled(kernel)
    await kernel.stop()
    assert begun.empty()
    assert (dead.state, dead.attempts) == (HookRunState.DEAD, 3)
    assert dead.error == "the hook was begun 2 times, and each time the server stopped"
