"""Caps and budgets that three servers keep together."""

import asyncio

import pytest
from pydantic_ai import Agent
from tests.integration.replicas.conftest import Serve
from tests.integration.replicas.served import Replicas, serving
from tests.support.doors import Doors
from tests.support.stage import Stage, at, do, pause, task, wait
from tests.support.trees import children_of, endings_in, log_of, tree_of

from musterd import Musterd
from musterd.store.postgres.connection import Database
from musterd_client import CancelOutcome, TaskCanceled, TaskState, UsageLimits

RUNS = 9


async def begin_on(replicas: Replicas, number: int, message: str) -> str:
    """Start a run on a server, and return the id of its task."""
    async with replicas[number % 3].client.run_agent("agent", message, background=True) as run:
        return run.task.task_id


@pytest.mark.parametrize("cap", ["max_running_tasks_per_tenant", "max_running_tasks_per_user"])
async def test_a_cap_holds_over_all_servers(serve: Serve, cap: str) -> None:
    """R9: at most so many run at once, wherever they were asked for, and as soon as one has ended the next one runs."""
    doors = Doors()
    app = Musterd(agents=[Agent(doors.model, name="agent")])
    async with serve(app, runtime={cap: 2}) as replicas:
        ids = await asyncio.gather(*[begin_on(replicas, number, f"run {number}") for number in range(RUNS)])
        for count in range(2, RUNS + 1):
            await doors.came_in_all(count)
            assert len(doors.waiting) <= 2
            await doors.let_in(min(doors.waiting))
        await doors.let_all_in()
        await replicas[0].client.tasks.wait(ids)
        tasks = [await replicas[1].client.tasks.status(task_id) for task_id in ids]
    assert doors.most_at_once == 2
    assert {task.state for task in tasks} == {TaskState.COMPLETED}
    assert {task.attempt for task in tasks} == {1}


async def test_a_run_that_waits_for_its_child_leaves_its_place_to_it(serve: Serve) -> None:
    """R9, S13: with room for one, on every server."""
    stage = Stage()
    plan = do(task(do(at("child"), "one"), mode="sync"), "done")
    async with serve(stage.app(), runtime={"max_running_tasks_per_user": 1}) as replicas:
        async with replicas[0].client.run_agent("boss", plan, background=True) as run:
            root = run.task.task_id
        await stage.gates["child"].reached.wait()
        (child,) = (await children_of(replicas[1].client, root)).values()
        stage.gates["child"].open()
        log = await log_of(replicas[2].client, root)
    assert endings_in(log) == {root: 1, child.task_id: 1}


async def test_a_tree_has_one_budget_on_all_servers(serve: Serve) -> None:
    """R10, S13: what its tasks spend elsewhere counts, and none goes on but for the step that it is at."""
    stage = Stage()
    steps = [pause("open")] * 20
    plans = [do(at(name), *steps, name) for name in ("first", "second")]
    boss = do([task(plan) for plan in plans], at("boss"), wait("@0", "@1"), "done")
    stage.gates["open"].open()
    async with serve(stage.app(), runtime={"max_running_tasks": 1}) as replicas:
        async with replicas[0].client.run_agent(
            "boss", boss, background=True, usage_limits=UsageLimits(requests=12)
        ) as run:
            root = run.task.task_id
        for gate in ("first", "second"):
            await stage.gates[gate].reached.wait()
        runners = {await replicas.runner_of(each.task_id) for each in await tree_of(replicas[0].client, root)}
        assert runners == {0, 1, 2}
        for gate in ("first", "second", "boss"):
            stage.gates[gate].open()
        await log_of(replicas[0].client, root)
        tree = await tree_of(replicas[2].client, root)
    ended = {each.task_id: each for each in tree}
    root_task = ended.pop(root)
    assert {each.state for each in ended.values()} == {TaskState.FAILED}
    assert {each.error.reason for each in ended.values() if each.error is not None} == {"USAGE_LIMIT_EXCEEDED"}
    assert root_task.tree_usage is not None
    assert 12 <= root_task.tree_usage.requests <= 12 + len(tree)


async def test_a_run_that_hears_in_its_own_write_that_it_is_canceled_looks_at_once(postgres_database: Database) -> None:
    """R5: nobody has told its server, and it would look by itself only a minute later."""
    stage = Stage()
    plan = do(pause("tool"), at("model"), pause("tool"), "done")
    async with serving(postgres_database, stage.app(), is_deaf=True, store={"poll_seconds": 60}) as replicas:
        async with replicas[0].client.run_agent("boss", plan, background=True) as run:
            task_id = run.task.task_id
        await stage.gates["tool"].reached.wait()
        canceled = await replicas[1].client.tasks.cancel(task_id, grace_seconds=3_000)
        assert canceled.outcome is CancelOutcome.CANCELING
        stage.gates["tool"].open()
        await replicas[0].has_read_order(task_id)
        stage.gates["model"].open()
        log = await log_of(replicas[0].client, task_id)
    assert isinstance(log[-1], TaskCanceled)
