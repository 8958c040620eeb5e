"""What delegated work costs, how deep it may go, how it is tried again, and what is refused."""

import pytest
from tests.support.clocks import DrivenClock
from tests.support.stage import Stage, at, do, failing, pause, task, wait
from tests.support.trees import children_of, log_of, only_child_of, tree_of

from musterd.testing import serve
from musterd_client import (
    CancelMode,
    RetryScheduled,
    SubtaskStarted,
    TaskFailed,
    TaskFailedError,
    TaskState,
    ToolCallCompleted,
    UsageLimits,
)


async def test_failed_and_canceled_work_counts() -> None:
    """S1, R10: in the toolset's total and in the tree's; each task has its own share."""
    stage = Stage()
    toolset = stage.delegating()
    good = do("good")
    failed = do(pause("go"), failing("broken", status=400))
    canceled = do(pause("go"), at("canceled"), "never said")
    plan = do([task(good), task(failed), task(canceled)], at("boss"), wait("@0", "@1", "@2"), "done")
    async with serve(stage.app(toolset)) as client, client.run_agent("boss", plan) as run:
        stage.gates["go"].open()
        await stage.gates["canceled"].reached.wait()
        child = (await children_of(client, run.task.task_id))[canceled]
        await client.tasks.cancel(child.task_id, mode=CancelMode.HARD)
        stage.gates["boss"].open()
        await run.result()
        root = await client.tasks.status(run.task.task_id)
        children = await children_of(client, root.task_id)
    states = [children[each].state for each in (good, failed, canceled)]
    assert states == [TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED]
    assert [children[each].usage.requests for each in (good, failed, canceled)] == [1, 1, 1]
    assert root.tree_usage is not None
    assert (root.usage.requests, root.tree_usage.requests) == (3, 6)
    assert root.tree_usage.input_tokens == root.usage.input_tokens + sum(
        child.usage.input_tokens for child in children.values()
    )
    total = toolset.get_total_usage()
    assert total["requests"] == 3
    assert total["total_tokens"] == sum(
        child.usage.input_tokens + child.usage.output_tokens for child in children.values()
    )


async def test_a_tree_spends_from_one_budget() -> None:
    """R10: a child that would go over it fails, and so does its parent at its next request."""
    stage = Stage()
    plan = do(task(do(pause("go"), pause("go"), "never said"), "sync"), "never said")
    stage.gates["go"].open()
    async with serve(stage.app()) as client:
        with pytest.raises(TaskFailedError) as failed:
            await client.run_agent("boss", plan, usage_limits=UsageLimits(requests=3)).result()
        tree = await tree_of(client, failed.value.task.task_id)
        root = await client.tasks.status(failed.value.task.task_id)
    assert failed.value.reason == "USAGE_LIMIT_EXCEEDED"
    assert [each.state for each in tree] == [TaskState.FAILED] * 2
    assert root.tree_usage is not None
    assert root.tree_usage.requests == 3


async def test_nothing_is_started_with_an_empty_budget() -> None:
    """R10, S3: the tool says so, and no row or event is left of the task."""
    stage = Stage()
    async with serve(stage.app()) as client:
        with pytest.raises(TaskFailedError) as failed:
            await client.run_agent("boss", do(task(do("x"))), usage_limits=UsageLimits(requests=1)).result()
        root = failed.value.task.task_id
        log = await log_of(client, root)
        assert await children_of(client, root) == {}
    assert failed.value.reason == "USAGE_LIMIT_EXCEEDED"
    assert not any(isinstance(event, SubtaskStarted) for event in log)
    (result,) = [event.result_json for event in log if isinstance(event, ToolCallCompleted)]
    assert result.startswith('"Error: the run and all that it started have spent')


async def test_a_task_that_finds_no_room_in_the_queue_leaves_nothing() -> None:
    """S13, R9: the agent reads why, and goes on."""
    stage = Stage()
    runtime = {"max_running_tasks": 1, "max_queued_tasks": 1}
    plan = do(task(do("first")), task(do("second")), wait("@0"))
    async with serve(stage.app(), runtime=runtime) as client:
        result = await client.run_agent("boss", plan).result()
        child = await only_child_of(client, result.task.task_id)
        log = await log_of(client, result.task.task_id)
    _, refused, waited = result.text.split("\n---\n")
    assert refused.startswith("Error: 1 tasks wait already")
    assert (child.description, waited.endswith("COMPLETED\nfirst")) == (do("first"), True)
    assert [event.subtask_id for event in log if isinstance(event, SubtaskStarted)] == [child.task_id]


async def test_as_many_tasks_run_at_a_time_as_may_and_the_urgent_ones_first() -> None:
    """S13, R9: a run that waits for its children leaves its place to them."""
    stage = Stage()
    order: list[str] = []
    levels = ("low", "normal", "high", "critical")
    plan = do([task(do(at(level), level), priority=level) for level in levels], wait("@0", "@1", "@2", "@3"))
    async with serve(stage.app(), runtime={"max_running_tasks": 1}) as client, client.run_agent("boss", plan) as run:
        async for event in run:
            if event.kind == "model_request_started" and event.task_id != run.task.task_id:
                children = {each.task_id: each for each in (await children_of(client, run.task.task_id)).values()}
                states = [each.state for each in children.values()]
                assert states.count(TaskState.WORKING) == 1
                order.append(children[event.task_id].priority.value.lower())
                stage.gates[order[-1]].open()
    assert order == list(reversed(levels))


async def test_a_retry_shows_until_the_next_attempt_begins() -> None:
    """S12: the state is WORKING again with what comes of the second attempt, not only at the end."""
    stage = Stage()
    clock = DrivenClock()
    toolset = stage.delegating(stage.worker(max_retries=1, retry_initial_delay=7.0, retry_jitter=False))
    work = do(failing("once"), pause("again"), "did it")
    async with (
        serve(stage.app(toolset), clock=clock) as client,
        client.run_agent("boss", do(task(work, "sync"))) as run,
    ):
        await clock.sleeping(seconds=7.0)
        async for event in run:
            if isinstance(event, RetryScheduled):
                break
        child = await only_child_of(client, run.task.task_id)
        assert child.state is TaskState.RETRYING
        clock.advance(7.0)
        await stage.gates["again"].reached.wait()
        child = await client.tasks.status(child.task_id)
        assert child.state is TaskState.WORKING
        stage.gates["again"].open()
        assert (await run.result()).text == "did it"
    assert stage.seen_of(work) == 3


async def test_with_retries_off_a_failure_is_final_and_told_to_the_parent() -> None:
    """S2, S12: as an ordinary result; the parent goes on."""
    stage = Stage()
    work = do(failing("once"), "never said")
    async with serve(stage.app()) as client:
        result = await client.run_agent("boss", do(task(work, "sync"))).result()
        child = await only_child_of(client, result.task.task_id)
        log = await log_of(client, result.task.task_id)
    assert result.text.startswith("Error: Subagent 'worker' failed: the request to the model failed")
    assert (child.state, stage.seen_of(work)) == (TaskState.FAILED, 1)
    assert [event.task_id for event in log if isinstance(event, TaskFailed)] == [child.task_id]


@pytest.mark.parametrize("depth", [0, 1, 2])
async def test_tasks_nest_as_deep_as_they_may(depth: int) -> None:
    """S13: the level after the last is refused with a text, and nothing is left of it."""
    stage = Stage()
    innermost = stage.delegating(id="level-3")
    third = stage.delegating(stage.worker(toolsets=[innermost]), id="level-2", max_nesting_depth=3)
    second = stage.delegating(stage.worker(toolsets=[third]), id="level-1", max_nesting_depth=3)
    boss = stage.delegating(stage.worker(toolsets=[second]), max_nesting_depth=depth)
    plan = do("never said")
    for _ in range(depth + 2):
        plan = do(task(plan, "sync"))
    async with serve(stage.app(boss)) as client:
        result = await client.run_agent("boss", plan).result()
        tree = await tree_of(client, result.task.task_id)
        log = await log_of(client, result.task.task_id)
    assert result.text.startswith("Error: you are a subagent and may not delegate any further")
    assert len(tree) == 1 + depth + 1
    assert sum(isinstance(event, SubtaskStarted) for event in log) == depth + 1
    assert len({each.parent_task_id for each in tree}) == len(tree)
