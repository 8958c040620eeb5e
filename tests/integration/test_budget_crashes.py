"""Budgets in a process that dies: what is played again is not charged again, and nothing is forgotten."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from pydantic_ai import Agent, Tool
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from tests.support.cutting import Cut
from tests.support.doors import delegating, subagent
from tests.support.gated_model import Delta
from tests.support.runtime_kernel import Kernel
from tests.support.scripted import tool_returns_in

from musterd import Musterd
from musterd.domain.ports import TaskQuery
from musterd.domain.principal import Identity, Viewer
from musterd.domain.task import ComponentKind, ComponentRef, Task, TaskState, UsageLimits
from musterd.runtime.runs import RunRequest

VIEWER = Viewer(tenant_id="acme", user_id="ada")
NEEDED = UsageLimits(requests=5, tool_calls=4)


async def script(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Delta]:
    """Two calls at once, then one more, then the end."""
    made = len(tool_returns_in(messages))
    if made == 0:
        for index in range(2):
            yield {index: DeltaToolCall(name="work", json_args="{}", tool_call_id=f"first-{index}")}
    elif made == 2:
        yield {0: DeltaToolCall(name="work", json_args="{}", tool_call_id="second")}
    else:
        yield "done"


def work() -> str:
    return "worked"


async def make_kernel(database: Path, cut: Cut | None = None) -> Kernel:
    tool = Tool(work, metadata={"musterd_repeatable": True})
    worker = subagent("worker", Agent(FunctionModel(stream_function=script), name="worker", tools=[tool]))
    kernel = Kernel(Musterd(agents=[delegating("boss", worker)]), database, cut=cut)
    await kernel.start()
    return kernel


async def find_all(kernel: Kernel) -> Sequence[Task]:
    return await kernel.real_store.list_tasks(TaskQuery(viewer=VIEWER, limit=10))


async def run(kernel: Kernel) -> None:
    """Run the boss to its end, with a budget of exactly what the tree needs."""
    identity = Identity(tenant_id="acme", user_id="ada", captured_at=await kernel.real_store.now())
    component = ComponentRef(kind=ComponentKind.AGENT, id="boss")
    request = RunRequest(component=component, identity=identity, message="go", usage_limits=NEEDED)
    started = await kernel.runs.start(request)
    kernel.hub.leave(started.follower)
    await wait(kernel, started.task.task_id)


async def wait(kernel: Kernel, task_id: str) -> None:
    assert not (await kernel.tasks.wait(VIEWER, [task_id], wait_for_any=False, seconds=60)).timed_out


async def live_until_cut(database: Path, cut: Cut) -> bool:
    """Run until the cut. Returns False when the run ended before."""
    kernel = await make_kernel(database, cut)
    running, cutting = asyncio.ensure_future(run(kernel)), asyncio.ensure_future(cut.happened.wait())
    await asyncio.wait({running, cutting}, return_when=asyncio.FIRST_COMPLETED)
    for task in (running, cutting):
        task.cancel()
    await asyncio.gather(running, cutting, return_exceptions=True)
    await kernel.die()
    return cut.happened.is_set()


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
async def test_a_tree_with_just_enough_has_enough_wherever_the_process_dies(tmp_path: Path, after: bool) -> None:
    """R10, S3: at any commit what the root says its tree has spent is the sum of what its tasks say."""
    cuts = 0
    while await live_until_cut(database := tmp_path / f"{cuts}.db", Cut(cuts + 1, after=after)):
        cuts += 1
        kernel = await make_kernel(database)
        tasks = await find_all(kernel)
        check_sum(tasks)
        if tasks:
            await wait(kernel, tasks[-1].task_id)
            tasks = await find_all(kernel)
            check_sum(tasks)
            assert [task.state for task in tasks] == [TaskState.COMPLETED] * 2
            (usage,) = [task.tree_usage for task in tasks if task.tree_usage is not None]
            assert (usage.requests, usage.tool_calls) == (NEEDED.requests, NEEDED.tool_calls)
        await kernel.stop()
    assert cuts >= 8


def check_sum(tasks: Sequence[Task]) -> None:
    for root in [task for task in tasks if task.tree_usage is not None]:
        assert root.tree_usage is not None
        for name in ("requests", "tool_calls", "input_tokens", "output_tokens"):
            assert getattr(root.tree_usage, name) == sum(getattr(task.usage, name) for task in tasks)
