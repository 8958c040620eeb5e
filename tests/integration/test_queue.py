"""The queue of runs: what has no room waits in it, comes out by priority and age, and outlives the process."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from pydantic_ai import Agent
from tests.support.clocks import DrivenClock
from tests.support.doors import Doors
from tests.support.followers import Follower
from tests.support.gated_model import saying
from tests.support.idling import idle
from tests.support.runtime_kernel import Kernel
from tests.support.wire import wire_to

from musterd import AgentFactory, Musterd, RequestContext
from musterd.domain.errors import MusterdError
from musterd.domain.principal import Identity
from musterd.domain.queueing import QUEUE_STEP_SECONDS
from musterd.domain.task import ComponentKind, ComponentRef
from musterd.runtime.limits import Limits
from musterd.runtime.runs import RunRequest
from musterd.store.sqlite import SqliteStore
from musterd.testing import serve
from musterd_client import (
    CancelMode,
    CancelOutcome,
    MusterdClient,
    Priority,
    ServerFailedError,
    TaskCanceled,
    TaskCompleted,
    TaskStarted,
    TaskState,
)

GUEST = ComponentRef(kind=ComponentKind.AGENT, id="guest")


@pytest.fixture
def doors() -> Doors:
    return Doors()


def app_of(doors: Doors) -> Musterd:
    return Musterd(agents=[Agent(doors.model, name="guest")])


@asynccontextmanager
async def serve_doors(doors: Doors, cap: int = 1, **runtime: Any) -> AsyncGenerator[MusterdClient]:
    """Serve an agent behind doors, with room for so many at a time."""
    async with serve(app_of(doors), runtime={"max_running_tasks": cap, **runtime}) as client:
        yield client


async def submit(client: MusterdClient, name: str, priority: Priority = Priority.NORMAL) -> str:
    """Start a run in the background and return its id."""
    task = await client.run_agent("guest", name, background=True, priority=priority).start()
    return task.task_id


async def test_an_interactive_run_streams_from_its_place_in_the_queue_to_its_end(doors: Doors) -> None:
    """R9, R1: its first message says that it waits, then it runs as any other."""
    async with serve_doors(doors) as client:
        running = await submit(client, "first")
        await doors.came("first")
        run = client.run_agent("guest", "second")
        async with Follower(run) as follower:
            queued = run.task
            assert (queued.state, queued.attempt, queued.start_time) == (TaskState.SUBMITTED, 0, None)
            assert follower.events == []
            await doors.let_in("first")
            await follower.seen(lambda event: isinstance(event, TaskStarted))
            await doors.let_in("second")
            events = await follower.ended()
        ended = (await client.tasks.wait([running, queued.task_id])).tasks
    assert [type(events[0]), type(events[-1])] == [TaskStarted, TaskCompleted]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert [task.state for task in ended] == [TaskState.COMPLETED] * 2
    assert ended[1].attempt == 1
    assert ended[0].end_time is not None
    assert ended[1].start_time is not None
    assert ended[0].end_time <= ended[1].start_time
    assert doors.most_at_once == 1


async def test_a_critical_run_overtakes_three_hundred_that_wait(doors: Doors) -> None:
    """R9: all others run in the order in which they came, never more than eight at a time."""
    early = [f"early-{number}" for number in range(8)]
    low = [f"low-{number}" for number in range(300)]
    async with serve_doors(doors, cap=8) as client:
        for name in early:
            await submit(client, name)
        await doors.came(*early)
        for name in low:
            await submit(client, name, Priority.LOW)
        await submit(client, "critical", Priority.CRITICAL)
        expected = ["critical", *low]
        names = iter((*early, *expected))
        for count, name in enumerate(expected, start=9):
            await doors.let_in(next(names))
            await doors.came_in_all(count)
            assert doors.order[count - 1] == name
        await doors.let_all_in()
        started = [task async for task in client.tasks.list() if task.start_time is not None]
    assert doors.order == [*early, *expected]
    assert doors.most_at_once == 8
    assert len(started) == 309


@pytest.mark.parametrize("priorities", [list(Priority)[1:], list(reversed(Priority))[:-1]])
async def test_the_more_urgent_run_goes_first_whenever_it_came(doors: Doors, priorities: list[Priority]) -> None:
    """R9."""
    async with serve_doors(doors) as client:
        await submit(client, "first")
        await doors.came("first")
        for priority in priorities:
            await submit(client, priority, priority)
        await doors.let_all_in()
        await doors.came_in_all(5)
    assert doors.order == ["first", "CRITICAL", "HIGH", "NORMAL", "LOW"]


@pytest.mark.parametrize(("lead_seconds", "winner"), [(-1.0, "young and critical"), (1.0, "old and low")])
async def test_age_makes_up_for_priority(doors: Doors, tmp_path: Path, lead_seconds: float, winner: str) -> None:
    """R9: a low run overtakes a critical one when it is more than three steps older, so that it does not starve."""
    clock = DrivenClock()
    store = SqliteStore(tmp_path / "aged.db", clock.now)
    async with serve(app_of(doors), store=store, clock=clock, runtime={"max_running_tasks": 1}) as client:
        await submit(client, "first")
        await doors.came("first")
        await submit(client, "old and low", Priority.LOW)
        clock.advance(3 * QUEUE_STEP_SECONDS + lead_seconds)
        await submit(client, "young and critical", Priority.CRITICAL)
        await doors.let_in("first")
        await doors.came_in_all(2)
        await doors.let_all_in()
        await doors.came_in_all(3)
    assert doors.order[1] == winner


@pytest.mark.parametrize("limit", [0, 1, 3])
async def test_the_last_place_of_the_queue_is_taken_and_the_next_call_is_refused(doors: Doors, limit: int) -> None:
    """R9 (refusal)."""
    async with serve_doors(doors, max_queued_tasks=limit) as client, wire_to(client.target) as wire:
        await submit(client, "first")
        await doors.came("first")
        names = [f"queued-{number}" for number in range(limit)]
        queued = [await submit(client, name) for name in names]
        for background in (True, False):
            refusal = await wire.refusal("RunAgent", agent_id="guest", message="no", background=background)
            assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert refusal.reason == "CAPACITY_EXHAUSTED"
            assert refusal.text == f"{limit} tasks wait already, and no more may; try again"
            by_kind = dict(zip(refusal.kinds, refusal.details, strict=True))
            assert by_kind.keys() == {"ErrorInfo", "RetryInfo", "QuotaFailure"}
            assert by_kind["RetryInfo"].retry_delay.ToTimedelta().total_seconds() == 1.0
            (violation,) = by_kind["QuotaFailure"].violations
            assert violation.subject == "max_queued_tasks"
        assert [task.task_id async for task in client.tasks.list()][:-1] == list(reversed(queued))
        await doors.let_all_in()
        await doors.came("first", *names)
    assert "no" not in doors.order


async def test_refused_calls_keep_no_room_from_others(doors: Doors, tmp_path: Path) -> None:
    """R9: no call is refused while there is room, even without a queue."""
    kernel = Kernel(app_of(doors), tmp_path / "rooms.db", limits=Limits(max_running_tasks=1, max_queued_tasks=0))
    await kernel.start()
    identity = Identity(tenant_id="acme", user_id="ada", captured_at=await kernel.store.now())
    for number in range(20):
        request = RunRequest(component=GUEST, identity=identity, message=f"{number}")
        kernel.hub.leave((await kernel.runs.start(request)).follower)
        await doors.came(f"{number}")
        with pytest.raises(MusterdError, match="0 tasks wait already"):
            await kernel.runs.start(request)
        await doors.let_in(f"{number}")
        await idle(kernel)
    await kernel.stop()
    assert doors.order == [f"{number}" for number in range(20)]


async def test_a_canceled_task_leaves_the_queue_at_once(doors: Doors) -> None:
    """R5, R9: it has one terminal event and never runs, and its place is free for another."""
    async with serve_doors(doors, max_queued_tasks=1) as client:
        await submit(client, "first")
        await doors.came("first")
        async with client.run_agent("guest", "second") as run:
            canceled = await client.tasks.cancel(run.task.task_id, mode=CancelMode.SOFT, reason="changed my mind")
            assert canceled.outcome is CancelOutcome.CANCELED
            events = [event async for event in run]
        await submit(client, "third")
        await doors.let_all_in()
        await doors.came("third")
        task = await client.tasks.status(run.task.task_id)
    (end,) = events
    assert isinstance(end, TaskCanceled)
    assert end.reason == "changed my mind"
    assert (task.state, task.start_time) == (TaskState.CANCELED, None)
    assert doors.order == ["first", "third"]


async def test_a_queued_task_can_be_watched_waited_for_and_steered(doors: Doors) -> None:
    """R3, R4, R6: as any other that has not ended."""
    async with serve_doors(doors) as client:
        await submit(client, "first")
        await doors.came("first")
        task_id = await submit(client, "second")
        waited = await client.tasks.wait([task_id], timeout_seconds=0)
        assert (waited.timed_out, waited.tasks[0].state) == (True, TaskState.SUBMITTED)
        async with Follower(client.tasks.watch(task_id)) as follower:
            await doors.let_all_in()
            events = await follower.ended()
    assert [events[0].kind, events[-1].kind] == ["task_started", "task_completed"]


async def test_the_queue_outlives_the_process_in_its_order(doors: Doors, tmp_path: Path) -> None:
    """R11, R9: also what ran goes on, before what came later."""
    async with serve(app_of(doors), folder=tmp_path, runtime={"max_running_tasks": 1}) as client:
        await submit(client, "first")
        await doors.came("first")
        for name, priority in (("a", Priority.NORMAL), ("b", Priority.HIGH), ("c", Priority.NORMAL)):
            await submit(client, name, priority)
    later = Doors()
    await later.let_all_in()
    async with serve(app_of(later), folder=tmp_path, runtime={"max_running_tasks": 1}) as client:
        await later.came("first", "a", "b", "c")
        ids = [task.task_id async for task in client.tasks.list()]
        ended = (await client.tasks.wait(ids)).tasks
        logs = [[event async for event in client.tasks.watch(task_id)] for task_id in ids]
    assert doors.order == ["first"]
    assert later.order == ["b", "first", "a", "c"]
    assert {task.state for task in ended} == {TaskState.COMPLETED}
    assert sorted(task.attempt for task in ended) == [1, 1, 1, 2]
    for log in logs:
        assert [event.kind for event in log].count("task_started") == 1
        assert log[0].kind == "task_started"


async def test_a_factory_that_refuses_a_queued_run_rejects_it(doors: Doors) -> None:
    """C7 (refusal), R9: the factory is called when the run has its turn, and the queue goes on after it."""
    calls: list[str] = []

    def build(context: RequestContext) -> Agent[RequestContext, str]:
        calls.append(str(context.input.get("who")))
        raise PermissionError("not for you")

    app = Musterd(agents=[Agent(doors.model, name="guest"), AgentFactory("picky", build)])
    async with serve(app, runtime={"max_running_tasks": 1}) as client:
        await submit(client, "first")
        await doors.came("first")
        async with client.run_agent("picky", "go", factory_input={"who": "me"}) as run:
            assert run.task.state is TaskState.SUBMITTED
            assert calls == []
            after = await submit(client, "after")
            await doors.let_all_in()
            events = [event async for event in run]
        rejected = await client.tasks.status(run.task.task_id)
        assert (await client.tasks.wait([after])).tasks[0].state is TaskState.COMPLETED
    assert calls == ["me"]
    assert rejected.state is TaskState.REJECTED
    assert [event.kind for event in events] == ["task_started", "task_failed"]


async def test_a_burst_never_runs_more_than_the_cap_and_loses_nobody() -> None:
    """R9: the runs end as fast as they can, while others come."""
    doors = Doors()
    await doors.let_all_in()
    async with serve_doors(doors, cap=3) as client:
        ids = await asyncio.gather(*[submit(client, f"{number}") for number in range(120)])
        for start in range(0, 120, 60):
            waited = await client.tasks.wait(ids[start : start + 60], timeout_seconds=60)
            assert {task.state for task in waited.tasks} == {TaskState.COMPLETED}
    assert sorted(doors.order) == sorted(f"{number}" for number in range(120))
    assert doors.most_at_once <= 3


async def test_the_first_call_after_a_start_is_no_different(tmp_path: Path) -> None:
    """R9, C3: whether a queue was left is found out before, so a refusal of the factory is the call's."""

    def build(context: RequestContext) -> Agent[RequestContext, str]:
        raise PermissionError("not for you")

    app = Musterd(agents=[Agent(saying("hi"), name="guest"), AgentFactory("picky", build)])
    for _ in range(5):
        async with serve(app, folder=tmp_path, runtime={"max_queued_tasks": 0}) as client:
            with pytest.raises(ServerFailedError, match="FACTORY_FAILED"):
                await client.run_agent("picky", "go").result()
            assert [task async for task in client.tasks.list()] == []
