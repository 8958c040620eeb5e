"""The budget of a tree: a run and all that it starts spend from one purse."""

import json
from collections.abc import AsyncIterator, Sequence

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from tests.support.doors import Doors, delegating, subagent
from tests.support.gated_model import Delta, saying
from tests.support.scripted import by_request, tool_returns_in

from musterd import Musterd
from musterd.subagents import SubAgentConfig, create_subagent_toolset
from musterd.testing import serve
from musterd_client import (
    CancelMode,
    MusterdClient,
    Task,
    TaskFailedError,
    TaskState,
    ToolCallCompleted,
    Usage,
    UsageLimits,
)

SPENT = "the run and all that it started have spent what they may spend"


def looping(name: str, tool_calls: int) -> Agent[None, str]:
    """Return an agent that calls a tool so often, one call in each request, and then says that it is done."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Delta]:
        made = len(tool_returns_in(messages))
        if made < tool_calls:
            yield {0: DeltaToolCall(name="work", json_args="{}", tool_call_id=f"call-{made}")}
        else:
            yield f"{name} is done"

    def work() -> str:
        return "worked"

    return Agent(FunctionModel(stream_function=stream), name=name, tools=[work])


def boss_of(below: SubAgentConfig, parts: Sequence[str]) -> Agent[None, str]:
    """Return an agent that gives all parts to a subagent at once, and then says that it is done."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Delta]:
        if tool_returns_in(messages):
            yield "boss is done"
            return
        for index, part in enumerate(parts):
            arguments = json.dumps({"description": part, "subagent_type": below["name"]})
            yield {index: DeltaToolCall(name="task", json_args=arguments, tool_call_id=part)}

    toolset = create_subagent_toolset([below], include_general_purpose=False)
    return Agent(FunctionModel(stream_function=stream), name="boss", toolsets=[toolset])


async def run(client: MusterdClient, **limits: int) -> tuple[Task, list[Task]]:
    """Run the boss to its end, and return its task and those below it, oldest first."""
    started = await client.run_agent("boss", "go", background=True, usage_limits=UsageLimits(**limits)).start()
    await client.tasks.wait([started.task_id], timeout_seconds=60)
    tree = [task async for task in client.tasks.list(root_task_id=started.task_id)]
    check_sum(tree)
    root, *below = reversed(tree)
    return root, below


def check_sum(tree: Sequence[Task]) -> None:
    """The root's tree_usage is what its tasks have spent, and no child has one."""
    (tree_usage,) = [task.tree_usage for task in tree if task.tree_usage is not None]
    for name in ("requests", "tool_calls", "input_tokens", "output_tokens"):
        assert getattr(tree_usage, name) == sum(getattr(task.usage, name) for task in tree)


def reason_of(task: Task) -> str:
    return task.error.reason if task.error is not None else ""


def usage_of_tree(root: Task) -> Usage:
    assert root.tree_usage is not None
    return root.tree_usage


@pytest.mark.parametrize(("limit", "state"), [(5, TaskState.COMPLETED), (4, TaskState.FAILED)])
async def test_a_tree_that_needs_five_requests_gets_them_and_not_one_more_than_it_may(
    limit: int, state: TaskState
) -> None:
    """R10: two of the parent and three of the child."""
    worker = subagent("worker", looping("worker", 2))
    async with serve(Musterd(agents=[delegating("boss", worker)])) as client:
        root, (child,) = await run(client, requests=limit)
    assert (root.state, child.state) == (state, TaskState.COMPLETED)
    assert usage_of_tree(root).requests == limit


async def test_a_child_that_crosses_the_limit_fails_and_then_its_parent() -> None:
    """R10 (refusal): both say why."""
    worker = subagent("worker", looping("worker", 9))
    async with serve(Musterd(agents=[delegating("boss", worker)])) as client:
        root, (child,) = await run(client, requests=4)
    for task in (root, child):
        assert (task.state, reason_of(task)) == (TaskState.FAILED, "USAGE_LIMIT_EXCEEDED")
        assert task.error is not None
        assert task.error.message == f"{SPENT}: 4 of 4 requests"
    assert (root.usage.requests, child.usage.requests) == (1, 3)


@pytest.mark.parametrize("kind", ["input_tokens", "output_tokens", "total_tokens"])
async def test_tokens_of_children_count(kind: str) -> None:
    """R10: with one more than the tree needs it ends as without a limit, with half of it it fails."""
    worker = subagent("worker", looping("worker", 3))
    async with serve(Musterd(agents=[delegating("boss", worker)])) as client:
        free, _ = await run(client)
        usage = usage_of_tree(free)
        needed = {"total_tokens": usage.input_tokens + usage.output_tokens}.get(kind, getattr(usage, kind, 0))
        enough, _ = await run(client, **{kind: needed + 1})
        short, _ = await run(client, **{kind: needed // 2})
    assert (free.state, enough.state) == (TaskState.COMPLETED, TaskState.COMPLETED)
    assert (short.state, reason_of(short)) == (TaskState.FAILED, "USAGE_LIMIT_EXCEEDED")


async def test_nothing_is_started_when_all_is_spent() -> None:
    """R10 (refusal): the model is told so; its next request is refused."""
    app = Musterd(agents=[delegating("boss", subagent("worker", Agent(saying("done"), name="worker")))])
    async with serve(app) as client:
        async with client.run_agent("boss", "go", usage_limits=UsageLimits(requests=1)) as events:
            told = [event.result_json async for event in events if isinstance(event, ToolCallCompleted)]
        tree = [task async for task in client.tasks.list(root_task_id=events.task.task_id)]
    assert told == ['"Error: the run and all that it started have spent 1 of 1 requests: nothing more can be started"']
    assert [(task.state, reason_of(task)) for task in tree] == [(TaskState.FAILED, "USAGE_LIMIT_EXCEEDED")]


@pytest.mark.parametrize(("limit", "state"), [(3, TaskState.COMPLETED), (2, TaskState.FAILED)])
async def test_what_a_failed_child_spent_counts(limit: int, state: TaskState) -> None:
    """R10: it has one request behind it when its model fails."""

    async def fail(number: int, messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        if number == 1:
            yield {0: DeltaToolCall(name="work", json_args="{}", tool_call_id="call")}
        else:
            raise ModelHTTPError(400, "broken")

    def work() -> str:
        return "worked"

    worker = subagent("worker", Agent(by_request(fail), name="worker", tools=[work]))
    async with serve(Musterd(agents=[delegating("boss", worker)])) as client:
        root, (child,) = await run(client, requests=limit)
    assert child.state is TaskState.FAILED
    assert child.usage.requests == 1
    assert root.state is state
    assert reason_of(child) == ("MODEL_FAILED" if state is TaskState.COMPLETED else "USAGE_LIMIT_EXCEEDED")


@pytest.mark.parametrize(("limit", "state"), [(10_000, TaskState.COMPLETED), (200, TaskState.FAILED)])
async def test_what_a_canceled_child_spent_counts(limit: int, state: TaskState) -> None:
    """R10, R5: also the part of an answer that was cut off."""
    doors = Doors("words " * 300)
    worker = subagent("worker", Agent(doors.model, name="worker"))
    async with serve(Musterd(agents=[delegating("boss", worker)])) as client:
        limits = UsageLimits(output_tokens=limit)
        started = await client.run_agent("boss", "go", background=True, usage_limits=limits).start()
        await doors.came_in_all(1)
        (child,) = [task async for task in client.tasks.list(parent_task_id=started.task_id)]
        await client.tasks.cancel(child.task_id, mode=CancelMode.HARD)
        await client.tasks.wait([started.task_id])
        tree = [task async for task in client.tasks.list(root_task_id=started.task_id)]
    check_sum(tree)
    canceled, root = tree
    assert (canceled.state, root.state) == (TaskState.CANCELED, state)
    assert canceled.usage.output_tokens >= 300
    assert reason_of(root) == ("USAGE_LIMIT_EXCEEDED" if state is TaskState.FAILED else "")


async def test_a_tree_overshoots_by_at_most_one_request_of_each_live_task() -> None:
    """R10: four children ask at once when one request is left; all are answered, and none asks again."""
    doors = Doors()
    parts = [f"part-{number}" for number in range(4)]
    worker = subagent("worker", Agent(doors.model, name="worker"))
    async with serve(Musterd(agents=[boss_of(worker, parts)])) as client:
        started = await client.run_agent("boss", "go", background=True, usage_limits=UsageLimits(requests=2)).start()
        await doors.came_in_all(4)
        await doors.let_all_in()
        await client.tasks.wait([started.task_id])
        *children, root = [task async for task in client.tasks.list(root_task_id=started.task_id)]
    assert [task.state for task in children] == [TaskState.COMPLETED] * 4
    assert (root.state, reason_of(root)) == (TaskState.FAILED, "USAGE_LIMIT_EXCEEDED")
    assert usage_of_tree(root).requests == 5
    check_sum([*children, root])


@pytest.mark.parametrize(("limit", "child_state"), [(3, TaskState.COMPLETED), (2, TaskState.FAILED)])
async def test_tool_calls_of_children_count(limit: int, child_state: TaskState) -> None:
    """R10: the parent's call counts while it runs; without a further one it may still say its word."""
    worker = subagent("worker", looping("worker", 2))
    async with serve(Musterd(agents=[delegating("boss", worker)])) as client:
        root, (child,) = await run(client, tool_calls=limit)
    assert (root.state, child.state) == (TaskState.COMPLETED, child_state)
    assert usage_of_tree(root).tool_calls == limit
    if child_state is TaskState.FAILED:
        assert child.error is not None
        assert (child.error.reason, child.error.message) == ("USAGE_LIMIT_EXCEEDED", f"{SPENT}: 2 of 2 tool calls")


@pytest.mark.parametrize("kind", ["requests", "tool_calls"])
async def test_a_plain_run_keeps_to_its_limit_at_the_edge(kind: str) -> None:
    """R10: it says what pydantic-ai says."""
    needed = {"requests": 3, "tool_calls": 2}[kind]
    async with serve(Musterd(agents=[looping("plain", 2)])) as client:
        result = await client.run_agent("plain", "go", usage_limits=UsageLimits(**{kind: needed})).result()
        with pytest.raises(TaskFailedError) as failed:
            await client.run_agent("plain", "go", usage_limits=UsageLimits(**{kind: needed - 1})).result()
    assert getattr(result.task.usage, kind) == needed
    assert failed.value.reason == "USAGE_LIMIT_EXCEEDED"
    assert f"would exceed the {kind.removesuffix('s') if kind == 'requests' else kind}" in str(failed.value)
    assert getattr(failed.value.task.usage, kind) == needed - 1


class Verdict(BaseModel):
    """A structured output."""

    good: bool


async def test_a_structured_output_costs_no_tool_call() -> None:
    """R10."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Delta]:
        if tool_returns_in(messages):
            yield {0: DeltaToolCall(name=info.output_tools[0].name, json_args='{"good": true}', tool_call_id="out")}
        else:
            yield {0: DeltaToolCall(name="look", json_args="{}", tool_call_id="look")}

    def look() -> str:
        return "looked"

    agent = Agent(FunctionModel(stream_function=stream), name="judge", output_type=Verdict, tools=[look])
    async with serve(Musterd(agents=[agent])) as client:
        result = await client.run_agent("judge", "go", usage_limits=UsageLimits(tool_calls=1)).result()
    assert json.loads(result.text) == {"good": True}
    assert result.task.usage.tool_calls == 1
