"""Canceling trees: all of it ends, each task once; or just what was asked for."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import RunContext
from pydantic_ai.toolsets import ToolsetTool, WrapperToolset
from tests.support.followers import GUARD_SECONDS
from tests.support.gated_model import Gate
from tests.support.stage import Stage, ask, at, do, pause, task, wait
from tests.support.trees import children_of, endings_in, log_of, only_child_of, tree_of

from musterd import Musterd
from musterd.app import Service
from musterd.testing import serve, serve_settings
from musterd_client import (
    CancelMode,
    CancelRequested,
    MusterdClient,
    SubtaskEnded,
    TaskCanceled,
    TaskCompleted,
    TaskState,
    ToolCallStarted,
    WatchUntil,
)

HELPERS = 4
WORKERS = 2


@asynccontextmanager
async def running(app: Musterd, folder: Path) -> AsyncGenerator[tuple[Service, MusterdClient]]:
    settings = serve_settings(folder)
    service = Service(app, settings)
    await service.start()
    try:
        async with MusterdClient(f"unix:{settings.server.unix_socket}") as client:
            yield service, client
    finally:
        await service.stop()


async def nothing_runs(service: Service) -> None:
    """Return once nothing of the server's runs is left."""
    async with asyncio.timeout(GUARD_SECONDS):
        while service.running_count or any(  # noqa: ASYNC110 - nobody tells when the last callback has run
            task.get_name().startswith("run-") for task in asyncio.all_tasks()
        ):
            await asyncio.sleep(0)


def two_levels(stage: Stage) -> tuple[Musterd, str]:
    """Return an app and a plan with ten tasks below the root: two workers with four helpers each, all in mid-step."""
    nested = stage.delegating(stage.worker("helper"), id="nested")
    boss = stage.delegating(stage.worker(toolsets=[nested]), max_nesting_depth=1)
    held = [task(do(pause("help"), f"helped {number}"), name="helper") for number in range(HELPERS)]
    workers = [task(do(held, wait("@0", "@1", "@2", "@3"), f"worked {number}")) for number in range(WORKERS)]
    return stage.app(boss), do(workers, wait("@0", "@1"))


@pytest.mark.parametrize("mode", [CancelMode.SOFT, CancelMode.HARD])
async def test_a_tree_of_ten_children_on_two_levels_is_canceled_whole(tmp_path: Path, mode: CancelMode) -> None:
    """S9, R5: softly within the grace, or at once; each task ends once, and nothing is left running."""
    stage = Stage()
    app, plan = two_levels(stage)
    async with running(app, tmp_path) as (service, client), client.run_agent("boss", plan) as run:
        await stage.paused("help", times=HELPERS * WORKERS)
        root = run.task.task_id
        await client.tasks.cancel(root, mode=mode, grace_seconds=3_000 if mode is CancelMode.SOFT else None)
        stage.gates["help"].open()
        log = await log_of(client, root)
        tree = await tree_of(client, root)
        await nothing_runs(service)
    assert len(tree) == 1 + WORKERS + WORKERS * HELPERS
    assert {each.state for each in tree} == {TaskState.CANCELED}
    assert endings_in(log) == {each.task_id: 1 for each in tree}
    assert sum(isinstance(event, CancelRequested) for event in log) == len(tree)
    assert isinstance(log[-1], TaskCanceled)
    assert log[-1].task_id == root
    requests = sum(each.usage.requests for each in tree)
    assert requests == 1 + 1 + WORKERS * 2 + WORKERS * HELPERS


async def test_children_in_the_background_end_before_the_parent_says_that_it_has_ended() -> None:
    """S13: those that nobody waits for are canceled with the run that started them."""
    stage = Stage()
    work = do(at("work"), "never said")
    async with serve(stage.app()) as client, client.run_agent("boss", do(task(work), at("boss"), "done")) as run:
        await stage.gates["work"].reached.wait()
        stage.gates["boss"].open()
        assert (await run.result()).text == "done"
        log = await log_of(client, run.task.task_id)
        child = await only_child_of(client, run.task.task_id)
    assert child.state is TaskState.CANCELED
    ended = [type(event) for event in log if isinstance(event, TaskCanceled | SubtaskEnded | TaskCompleted)]
    assert ended == [TaskCanceled, SubtaskEnded, TaskCompleted]
    assert isinstance(log[-1], TaskCompleted)


@pytest.mark.parametrize("mode", [CancelMode.SOFT, CancelMode.HARD])
async def test_without_cascade_the_children_run_to_their_end(tmp_path: Path, mode: CancelMode) -> None:
    """R5: although their parent has ended, and whatever it was built with is still there for them."""
    stage = Stage()
    one, two = do(pause("work"), "worked"), do(at("ask"), ask("which?"))
    plan = do([task(one), task(two)], pause("boss"), "never said")
    async with running(stage.app(), tmp_path) as (service, client), client.run_agent("boss", plan) as run:
        for gate in ("work", "ask", "boss"):
            await stage.gates[gate].reached.wait()
        root = run.task.task_id
        await client.tasks.cancel(root, mode=mode, cascade=False)
        stage.gates["boss"].open()
        with pytest.raises(Exception, match="canceled"):
            await run.result()
        children = await children_of(client, root)
        assert {child.state for child in children.values()} == {TaskState.WORKING}
        for gate in ("work", "ask"):
            stage.gates[gate].open()
        await client.tasks.wait([children[two].task_id])
        await client.tasks.answer(children[two].task_id, "left")
        log = await log_of(client, root)
        children = await children_of(client, root)
        await nothing_runs(service)
    assert {child.output.text for child in children.values() if child.output} == {"worked", "left"}
    assert {child.state for child in children.values()} == {TaskState.COMPLETED}
    assert sum(endings_in(log).values()) == 3


@pytest.mark.parametrize("cascade", [True, False])
async def test_a_wait_that_is_canceled_cancels_no_task(cascade: bool) -> None:
    """S6: what is below a canceled run ends because it is below it, not because somebody waited for it."""
    stage = Stage()
    plan = do(task(do(at("work"), "worked")), wait("@0"), "never said")
    async with serve(stage.app()) as client, client.run_agent("boss", plan) as run:
        await stage.gates["work"].reached.wait()
        async for event in run:
            if isinstance(event, ToolCallStarted) and event.tool_name == "wait_tasks":
                break
        root = run.task.task_id
        child = await only_child_of(client, root)
        await client.tasks.cancel(root, mode=CancelMode.HARD, cascade=cascade)
        stage.gates["work"].open()
        ended = (await client.tasks.wait([child.task_id])).tasks[0]
        log = await log_of(client, root)
    assert ended.state is (TaskState.CANCELED if cascade else TaskState.COMPLETED)
    assert sum(endings_in(log).values()) == 2
    assert stage.seen_of(plan) == 2


class CutOff(WrapperToolset[Any]):
    """Cuts a tool call off when a gate is reached, as a time limit of its own would."""

    def __init__(self, wrapped: Any, gate: Gate) -> None:
        super().__init__(wrapped)
        self._gate = gate

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        calling = asyncio.ensure_future(super().call_tool(name, tool_args, ctx, tool))
        await self._gate.reached.wait()
        calling.cancel()
        await asyncio.wait([calling])
        assert calling.cancelled()
        return "it took too long"


async def test_a_tool_call_that_is_cut_off_takes_its_sync_task_with_it() -> None:
    """S3: nobody would ever read its result."""
    stage = Stage()
    toolset = CutOff(stage.delegating(), stage.gates["work"])
    async with serve(stage.app(toolset)) as client:
        result = await client.run_agent("boss", do(task(do(at("work"), "never said"), "sync"))).result()
        child = await only_child_of(client, result.task.task_id)
    assert result.text == "it took too long"
    assert child.state is TaskState.CANCELED


async def test_a_parent_cancels_its_children_itself() -> None:
    """S9: hard at once, and softly between two steps."""
    stage = Stage()
    one, two = do(at("a"), "never said"), do(pause("b"), "never said")
    cancel = [("hard_cancel_task", {"task_id": "@0"}), ("soft_cancel_task", {"task_id": "@1"})]
    again = [("hard_cancel_task", {"task_id": "@0"}), ("check_task", {"task_id": "@0"})]
    plan = do([task(one), task(two)], at("boss"), cancel, at("end"), wait("@0", "@1"), again)
    async with serve(stage.app()) as client, client.run_agent("boss", plan) as run:
        for gate in ("a", "b", "boss"):
            await stage.gates[gate].reached.wait()
        stage.gates["boss"].open()
        await stage.gates["end"].reached.wait()
        children = await children_of(client, run.task.task_id)
        assert [children[each].state for each in (one, two)] == [TaskState.CANCELED, TaskState.CANCELING]
        stage.gates["b"].open()
        stage.gates["end"].open()
        _, _, hard, soft, waited, hard_again, checked = (await run.result()).text.split("\n---\n")
    first, second = children[one].task_id, children[two].task_id
    assert hard == f"Task '{first}' has been cancelled"
    assert soft == f"Cancellation requested for task '{second}'"
    assert waited.count("CANCELLED - Task was cancelled") == 2
    assert hard_again.startswith(f"Task '{first}' is no longer running (status: cancelled); nothing to cancel.")
    assert "Status: cancelled" in checked


async def test_a_watch_of_the_tree_goes_on_after_a_root_that_was_canceled_alone() -> None:
    """R5, R3."""
    stage = Stage()
    plan = do(task(do(pause("work"), "worked")), at("boss"), "never said")
    async with serve(stage.app()) as client, client.run_agent("boss", plan) as run:
        await stage.gates["work"].reached.wait()
        root = run.task.task_id
        async with client.tasks.watch(root, until=WatchUntil.TREE) as watch:
            await client.tasks.cancel(root, mode=CancelMode.HARD, cascade=False)
            stage.gates["work"].open()
            log = [event async for event in watch]
    ended = [event for event in log if isinstance(event, TaskCanceled | TaskCompleted)]
    assert [(type(event), event.task_id == root) for event in ended] == [(TaskCanceled, True), (TaskCompleted, False)]
