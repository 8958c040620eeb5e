"""Tasks that nobody runs: queued, left behind, or of no use any more."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
from pydantic_ai import Agent
from pydantic_ai.toolsets import FunctionToolset
from tests.support.gated_model import Gate, saying
from tests.support.runtime_kernel import Kernel
from tests.support.scripted import call_then_say
from tests.support.stage import Stage, at, do, pause, task
from tests.support.stopping_store import StoppingStore
from tests.support.stored_runs import begin_task

from musterd import AgentFactory, FactoryPermissionError, Musterd, RequestContext
from musterd.domain.errors import Reason
from musterd.domain.event import TaskCompleted, TaskFailed, TaskStarted
from musterd.domain.full_store import FullStore
from musterd.domain.ports import Caps
from musterd.domain.principal import Viewer
from musterd.domain.task import Task, TaskState
from musterd.runtime.limits import Limits
from musterd.runtime.ownership import new_owner
from musterd.store.sqlite import SqliteStore

VIEWER = Viewer(tenant_id="acme", user_id="ada")


def refusing(context: RequestContext) -> Agent:
    raise FactoryPermissionError(f"not for {context.user_id}")


@asynccontextmanager
async def started(kernel: Kernel) -> AsyncGenerator[Kernel]:
    await kernel.start()
    try:
        yield kernel
    finally:
        await kernel.stop()


async def queued(kernel: Kernel, owner: str | None) -> Task:
    """Store a task as another server would have left it, then make this one look."""
    task = await begin_task(kernel.real_store, owner=owner)
    kernel.supervisor.look_for_work()
    waited = await kernel.tasks.wait(VIEWER, [task.task_id], wait_for_any=False, seconds=30)
    return waited.tasks[0]


async def test_a_queued_task_is_run(tmp_path: Path) -> None:
    """R1, C7."""
    app = Musterd(agents=[AgentFactory("agent", lambda _: Agent(saying("done")))])
    async with started(Kernel(app, tmp_path / "a.db")) as kernel:
        task = await queued(kernel, owner=None)
        log = await kernel.log_of(task.task_id)
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 1)
    assert sum(isinstance(event.payload, TaskStarted) for event in log) == 1


@pytest.mark.parametrize(("owner", "state"), [(None, TaskState.REJECTED), ("dead", TaskState.FAILED)])
async def test_a_refusing_factory_rejects_what_never_began_and_fails_what_did(
    tmp_path: Path, owner: str | None, state: TaskState
) -> None:
    """C7 (refusal): with the same reason as the status of a call."""
    app = Musterd(agents=[AgentFactory("agent", refusing)])
    async with started(Kernel(app, tmp_path / "a.db")) as kernel:
        task = await queued(kernel, owner)
        last = (await kernel.log_of(task.task_id))[-1].payload
    assert task.state is state
    assert task.error is not None
    assert (task.error.reason, task.error.message) == (Reason.FACTORY_PERMISSION_DENIED, "not for ada")
    assert isinstance(last, TaskFailed)
    assert last.state is state


async def test_a_task_of_a_component_that_is_gone_fails(tmp_path: Path) -> None:
    """C7."""
    async with started(Kernel(Musterd(), tmp_path / "a.db")) as kernel:
        task = await queued(kernel, "dead")
    assert task.state is TaskState.FAILED
    assert task.error is not None
    assert task.error.reason is Reason.COMPONENT_NOT_FOUND


async def test_a_task_whose_input_cannot_be_read_is_lost_and_stops_no_other(tmp_path: Path) -> None:
    """R11: it would stop every later claim."""
    app = Musterd(agents=[AgentFactory("agent", lambda _: Agent(saying("done")))])
    database = tmp_path / "a.db"
    before = Kernel(app, database)
    await before.real_store.open(lambda _: None)
    broken, good = [await begin_task(before.real_store, owner="dead") for _ in range(2)]
    await before.real_store.close()
    with sqlite3.connect(database) as connection:
        connection.execute(
            "UPDATE task_spec SET format = 99 WHERE task = (SELECT number FROM task WHERE task_id = ?)",
            (broken.task_id,),
        )
    connection.close()
    async with started(Kernel(app, database)) as kernel:
        waited = await kernel.tasks.wait(VIEWER, [broken.task_id, good.task_id], wait_for_any=False, seconds=30)
    lost, done = waited.tasks
    assert done.state is TaskState.COMPLETED
    assert lost.error is not None
    assert (lost.state, lost.error.reason, lost.error.cause) == (TaskState.FAILED, Reason.TASK_LOST, "UNREADABLE")


@pytest.mark.parametrize(
    ("deaths", "state", "error"),
    [(2, TaskState.COMPLETED, None), (3, TaskState.FAILED, (Reason.TASK_LOST, "ATTEMPTS_EXHAUSTED"))],
)
async def test_a_task_that_was_begun_too_often_is_given_up(
    tmp_path: Path, deaths: int, state: TaskState, error: tuple[Reason, str] | None
) -> None:
    """R11: it may be what takes its servers down."""
    app = Musterd(agents=[AgentFactory("agent", lambda _: Agent(saying("done")))])
    before = SqliteStore(tmp_path / "a.db")
    await before.open(lambda _: None)
    task = await begin_task(before, owner="dead 1")
    for number in range(2, deaths + 1):
        await before.claim(f"dead {number}", 1, Caps(in_all=1), {})
    await before.close()
    async with started(Kernel(app, tmp_path / "a.db", limits=Limits(max_attempts=3))) as kernel:
        (ended,) = (await kernel.tasks.wait(VIEWER, [task.task_id], wait_for_any=False, seconds=30)).tasks
        log = await kernel.log_of(task.task_id)
    assert (ended.state, ended.attempt) == (state, deaths + 1)
    assert (None if ended.error is None else (ended.error.reason, ended.error.cause)) == error
    assert sum(isinstance(event.payload, TaskFailed | TaskCompleted) for event in log) == 1


async def test_a_run_that_fails_because_it_was_lost_is_left_to_others(tmp_path: Path) -> None:
    """R11: its code takes it badly to be stopped, and nobody has taken the task over by then."""
    gate = Gate()

    async def hold() -> str:
        try:
            await gate.wait()
        except asyncio.CancelledError:
            raise RuntimeError("disturbed") from None
        return "held"

    agent = Agent(call_then_say("hold", "done"), name="agent", tools=[hold])
    async with started(Kernel(Musterd(agents=[agent]), tmp_path / "a.db")) as kernel:
        begun = await begin_task(kernel.real_store, owner="dead")
        kernel.supervisor.look_for_work()
        await gate.reached.wait()
        kernel.supervisor.lose_all()
        await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name().startswith("run-")])
        task = await kernel.tasks.get(VIEWER, begun.task_id)
        log = await kernel.log_of(begun.task_id)
    assert (task.state, task.error) == (TaskState.WORKING, None)
    assert not any(isinstance(event.payload, TaskFailed) for event in log)


async def test_what_is_claimed_while_the_lease_ends_is_not_begun_under_the_old_name(tmp_path: Path) -> None:
    """R11: another process may have it by then, and nothing here would be told to stop."""
    gate, said = Gate(), list[int]()

    def say() -> str:
        said.append(1)
        return "said"

    app = Musterd(agents=[Agent(call_then_say("say", "done"), name="agent", tools=[say])])
    kernel = Kernel(
        app,
        tmp_path / "a.db",
        wrap_store=lambda store: cast("FullStore", StoppingStore(store, "claim", gate, after=True)),
    )
    await kernel.real_store.open(kernel.hub.publish)
    begun = await begin_task(kernel.real_store, owner=None)
    kernel.writer.start()
    kernel.supervisor.start()
    await gate.reached.wait()
    # The claim is stored by now, and has no answer yet.
    kernel.supervisor.lose_all()
    kernel.ownership.owner = new_owner()
    gate.open()
    (ended,) = (await kernel.tasks.wait(VIEWER, [begun.task_id], wait_for_any=False, seconds=30)).tasks
    await kernel.stop()
    assert (ended.state, ended.attempt, said) == (TaskState.COMPLETED, 2, [1])


async def test_what_a_lost_run_has_prepared_for_its_child_is_not_used(tmp_path: Path) -> None:
    """R11, S13: the child is claimed while its parent's code still goes on, and gets a component of its own."""
    stage, held, stubborn = Stage(), Gate(), Gate()
    built: list[str] = []

    async def hold() -> str:
        with suppress(asyncio.CancelledError):
            await held.wait()
        await stubborn.wait()
        return "held"

    def build(context: RequestContext) -> Agent[None, str]:
        built.append(context.user_id)
        return stage.agent(stage.delegating(), FunctionToolset([hold]))

    app = Musterd(agents=[AgentFactory("agent", build)])
    async with started(Kernel(app, tmp_path / "a.db", limits=Limits(max_running_tasks=2))) as kernel:
        for plan in (do(pause("other"), "done"), do(task(do(at("child"), "one")), ("hold", {}), "done")):
            await begin_task(kernel.real_store, owner=None, message=plan)
        kernel.supervisor.look_for_work()
        await stage.paused("other", times=1)
        await held.reached.wait()
        assert len(built) == 2
        kernel.supervisor.lose_all()
        await stage.gates["child"].reached.wait()
        assert stubborn.reached.is_set()
        stubborn.open()
        stage.gates["child"].open()
    assert len(built) == 3
