"""What a run delegates is a child task: seen, followed, steered and canceled over gRPC as any task."""

import asyncio

from tests.support.stage import Stage, at, do, pause, task, wait
from tests.support.trees import children_of, log_of, only_child_of, tree_of

from musterd.testing import serve
from musterd_client import (
    CancelMode,
    CancelOutcome,
    ComponentKind,
    MusterdClient,
    SteerOutcome,
    SubtaskEnded,
    SubtaskStarted,
    TaskCompleted,
    TaskStarted,
    TaskState,
    WaitMode,
    WatchUntil,
)


async def test_a_delegated_task_has_a_row_of_its_own() -> None:
    """S1, S3: with its own state, ids, description and usage, while it runs and when it has ended."""
    stage = Stage()
    work = do(at("work"), "did it")
    async with serve(stage.app()) as client, client.run_agent("boss", do(task(work, "sync"))) as run:
        await stage.gates["work"].reached.wait()
        child = await only_child_of(client, run.task.task_id)
        parent = await client.tasks.status(run.task.task_id)
        stage.gates["work"].open()
        assert (await run.result()).text == "did it"
        ended = await client.tasks.status(child.task_id)
    assert (child.component.kind, child.component.id) == (ComponentKind.SUBAGENT, "worker")
    assert (child.parent_task_id, child.root_task_id) == (parent.task_id, parent.task_id)
    assert (child.state, child.description, child.attempt) == (TaskState.WORKING, work, 1)
    assert (parent.state, child.usage.requests, child.tree_usage) == (TaskState.WORKING, 0, None)
    assert (ended.state, ended.usage.requests) == (TaskState.COMPLETED, 1)
    assert ended.output is not None
    assert ended.output.text == "did it"
    assert ended.end_time is not None


async def test_the_events_of_a_child_are_between_its_start_and_its_end_in_the_parents_name() -> None:
    """S3: and the sync task's result comes after them."""
    stage = Stage()
    async with serve(stage.app()) as client, client.run_agent("boss", do(task(do("did it"), "sync"), "done")) as run:
        events = [event async for event in run]
        child = await only_child_of(client, run.task.task_id)
    told = [
        (type(event).__name__, event.component.id)
        for event in events
        if event.task_id == child.task_id or isinstance(event, SubtaskStarted | SubtaskEnded)
    ]
    assert told[:2] == [("SubtaskStarted", "boss"), ("TaskStarted", "worker")]
    assert told[-2:] == [("TaskCompleted", "worker"), ("SubtaskEnded", "boss")]
    started, ended = (next(e for e in events if isinstance(e, kind)) for kind in (SubtaskStarted, SubtaskEnded))
    assert isinstance(started, SubtaskStarted)
    assert isinstance(ended, SubtaskEnded)
    assert (started.subtask_id, started.description, started.in_background) == (child.task_id, do("did it"), False)
    assert (ended.subtask_id, ended.state, ended.subtask.id) == (child.task_id, TaskState.COMPLETED, "worker")
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    kinds = [event.kind for event in events]
    assert kinds.index("subtask_ended") < kinds.index("tool_call_completed")


async def test_another_client_watches_a_child_with_all_below_it() -> None:
    """S3, R3: and nothing of its parent or siblings."""
    stage = Stage()
    nested = stage.delegating(stage.worker("helper"), id="nested", max_nesting_depth=1)
    boss = stage.delegating(stage.worker(toolsets=[nested]), stage.worker("other"), max_nesting_depth=1)
    helped = do(task(do(at("help"), "helped"), name="helper"), at("work"), "did it")
    plan = do([task(helped), task(do("beside"), name="other")], wait("@0", "@1"), "done")
    async with serve(stage.app(boss)) as client, client.run_agent("boss", plan) as run:
        await stage.gates["help"].reached.wait()
        child = (await children_of(client, run.task.task_id))[helped]
        async with (
            MusterdClient(client.target) as other,
            other.tasks.watch(child.task_id, until=WatchUntil.TREE) as watch,
        ):
            stage.gates["help"].open()
            stage.gates["work"].open()
            watched = [event async for event in watch]
        below = await only_child_of(client, child.task_id)
        await run.result()
        log = await log_of(client, run.task.task_id)
    assert {event.task_id for event in watched} == {child.task_id, below.task_id}
    assert watched == [event for event in log if event.task_id in (child.task_id, below.task_id)]
    assert isinstance(watched[0], TaskStarted)
    assert watched[0].parent_task_id == run.task.task_id
    assert below.root_task_id == run.task.task_id


async def test_waiting_for_a_child_ends_with_it() -> None:
    """S6, R4: WaitTasks takes children as well as roots."""
    stage = Stage()
    one, two = do("first"), do(at("second"), "second")
    plan = do([task(one), task(two)], at("boss"), wait("@0", "@1"))
    async with serve(stage.app()) as client, client.run_agent("boss", plan) as run:
        await stage.gates["boss"].reached.wait()
        children = await children_of(client, run.task.task_id)
        first, second = children[one], children[two]
        waited = await client.tasks.wait([first.task_id, second.task_id], mode=WaitMode.ANY)
        assert (waited.timed_out, waited.pending_task_ids) == (False, (second.task_id,))
        looked = await client.tasks.wait([second.task_id], timeout_seconds=0)
        assert looked.timed_out
        stage.gates["second"].open()
        waited = await client.tasks.wait([first.task_id, second.task_id])
        assert [each.state for each in waited.tasks] == [TaskState.COMPLETED] * 2
        stage.gates["boss"].open()
        assert (await run.result()).text.endswith("COMPLETED\nsecond")


async def test_a_child_is_steered_with_its_retries_off() -> None:
    """S8, R6: the message is in the child's next request, and in nobody else's."""
    stage = Stage()
    work = do(pause("work"), "did it")
    async with serve(stage.app()) as client, client.run_agent("boss", do(task(work, "sync"))) as run:
        await stage.gates["work"].reached.wait()
        child = await only_child_of(client, run.task.task_id)
        steering = asyncio.create_task(client.tasks.steer(child.task_id, "use the left one"))
        await client.tasks.steer(child.task_id, "and be quick", wait_timeout_seconds=0)
        stage.gates["work"].open()
        assert (await steering).outcome is SteerOutcome.APPLIED
        await run.result()
        log = await log_of(client, run.task.task_id)
    steered = [(event.task_id, event.kind) for event in log if event.kind == "steered"]
    assert steered == [(child.task_id, "steered")] * 2
    said = str(stage.conversation(work))
    assert "use the left one" in said
    assert "and be quick" in said
    assert "use the left one" not in str(stage.conversation(do(task(work, "sync"))))


async def test_a_child_is_canceled_softly_with_its_retries_off() -> None:
    """S9, R5: it ends its step and starts no other; its parent reads of it and goes on."""
    stage = Stage()
    work = do(pause("work"), "never said")
    async with serve(stage.app()) as client, client.run_agent("boss", do(task(work, "sync"))) as run:
        await stage.gates["work"].reached.wait()
        child = await only_child_of(client, run.task.task_id)
        canceled = await client.tasks.cancel(child.task_id, grace_seconds=3_000)
        assert canceled.outcome is CancelOutcome.CANCELING
        stage.gates["work"].open()
        result = await run.result()
        ended = await client.tasks.status(child.task_id)
        log = await log_of(client, run.task.task_id)
    assert ended.state is TaskState.CANCELED
    assert stage.seen_of(work) == 1
    assert result.text.startswith("Error: Subagent 'worker' was cancelled")
    assert "None" not in result.text
    assert [event.kind for event in log if event.task_id == child.task_id].count("tool_call_completed") == 1
    assert isinstance(log[-1], TaskCompleted)


async def test_canceling_one_child_leaves_its_parent_and_siblings() -> None:
    """S9, R5."""
    stage = Stage()
    one, two = do(at("a"), "a"), do(at("b"), "b")
    plan = do([task(one), task(two)], at("boss"), wait("@0", "@1"))
    async with serve(stage.app()) as client, client.run_agent("boss", plan) as run:
        for gate in ("a", "b", "boss"):
            await stage.gates[gate].reached.wait()
        children = await children_of(client, run.task.task_id)
        first, second = children[one], children[two]
        canceled = await client.tasks.cancel(first.task_id, mode=CancelMode.HARD, reason="not needed")
        assert canceled.outcome is CancelOutcome.CANCELED
        assert (await client.tasks.status(second.task_id)).state is TaskState.WORKING
        stage.gates["b"].open()
        stage.gates["boss"].open()
        text = (await run.result()).text
    assert f"{first.task_id} (worker): CANCELLED - Task was cancelled" in text
    assert f"{second.task_id} (worker): COMPLETED\nb" in text


async def test_a_full_result_is_never_cut() -> None:
    """S5: neither in the tool's result nor in the task's."""
    stage = Stage()
    long = "word " * 4_000
    plan = do(task(do(long)), wait("@0"), ("check_task", {"task_id": "@0"}))
    async with serve(stage.app()) as client:
        result = await client.run_agent("boss", plan).result()
        child = await only_child_of(client, result.task.task_id)
    _, waited, checked = result.text.split("\n---\n")
    assert long in waited
    assert long in checked
    assert child.output is not None
    assert child.output.text == long


async def test_the_tree_is_listed_by_its_root_and_by_parent() -> None:
    """S13, R4: each level with its own."""
    stage = Stage()
    nested = stage.delegating(stage.worker("helper"), id="nested")
    boss = stage.delegating(stage.worker(toolsets=[nested]), max_nesting_depth=1)
    plan = do(task(do(task(do("helped"), "sync", "helper")), "sync"))
    async with serve(stage.app(boss)) as client:
        result = await client.run_agent("boss", plan).result()
        root = result.task.task_id
        tree = await tree_of(client, root)
        child = await only_child_of(client, root)
        below = await only_child_of(client, child.task_id)
    assert result.text == "helped"
    assert {each.task_id for each in tree} == {root, child.task_id, below.task_id}
    assert below.component.id == "helper"
