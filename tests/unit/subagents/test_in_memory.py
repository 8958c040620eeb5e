"""What only tasks in memory do: they belong to a run, a conversation, and a toolset."""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic_ai import Agent, DeferredToolRequests, RunContext
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage
from pydantic_ai.toolsets import FunctionToolset
from pydantic_ai.usage import RunUsage, UsageLimits
from tests.blackbox.subagent_scripts import child, gated, on_last, over, parent, task, wait_all
from tests.support.gated_model import Gate
from tests.support.turns import Call, Said, all_returned, report, started_ids, taking

from musterd.subagents import (
    SubAgentConfig,
    SubAgentDepsProtocol,
    SubagentFailedError,
    TaskHandle,
    TaskManager,
    TaskStatus,
    UsageLimitsFactory,
    create_subagent_toolset,
)
from musterd.subagents.host import current_host
from musterd.subagents.memory import MemoryHost


async def test_background_tasks_end_with_the_run_that_started_them() -> None:
    """S13."""
    gate = Gate()
    subagents = over(child(gated(gate)))

    async def end(_: list[ModelMessage]) -> Said:
        await gate.reached.wait()
        return "bye"

    await parent(subagents, task("async"), end).run("go")
    (handle,) = subagents.task_manager.list_handles()
    assert handle.status is TaskStatus.CANCELLED


async def test_background_tasks_end_when_the_run_fails() -> None:
    """S13."""
    gate = Gate()
    subagents = over(child(gated(gate)))

    async def crash(_: list[ModelMessage]) -> Said:
        await gate.reached.wait()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await parent(subagents, task("async"), crash).run("go")
    assert subagents.task_manager.list_active_tasks() == []


async def test_a_later_run_of_the_conversation_finds_tasks_that_outlive_their_run() -> None:
    """S13: and no run of another conversation does."""
    gate = Gate()
    subagents = over(child(gated(gate)), background_outlives_run=True)
    first = await parent(subagents, task("async"), "bye").run("go")
    (task_id,) = started_ids(first.all_messages())

    def ask(messages: list[ModelMessage]) -> Said:
        return [("check_task", {"task_id": task_id}), ("list_active_tasks", {})]

    stranger = await parent(subagents, ask, report).run("go")
    assert stranger.output == f"Error: Task '{task_id}' not found\n---\nNo active background tasks."

    def let_go(_: list[ModelMessage]) -> Call:
        gate.open()
        return "wait_tasks", {"task_ids": [task_id]}

    later = parent(subagents, let_go, lambda messages: all_returned(messages)[-1])
    said = (await later.run("go on", conversation_id=first.conversation_id)).output
    assert said.endswith(f"- {task_id} (worker): COMPLETED\ndone")


async def test_runs_of_one_toolset_do_not_see_each_others_tasks() -> None:
    """S13, S5."""
    gate = Gate()
    subagents = over(child(gated(gate)))

    async def look(messages: list[ModelMessage]) -> Said:
        await gate.reached.wait()
        (other,) = subagents.task_manager.list_active_tasks()
        said = (await parent(subagents, ("check_task", {"task_id": other}), report).run("look")).output
        gate.open()
        return said

    assert (await parent(subagents, task("async"), look).run("go")).output.endswith("not found")


async def test_old_tasks_are_forgotten_but_not_those_of_a_live_run() -> None:
    """S12: the number of tasks that are kept is limited; the limit itself fits."""
    manager = TaskManager()
    host = MemoryHost(manager, max_past_tasks=2)
    token = current_host.set(host)
    seen: list[int] = []

    def count(_: list[ModelMessage]) -> str:
        seen.append(len(manager.list_handles()))
        return "bye"

    result = await parent(over(child(taking("done"))), [task(), task(), task()], count).run("go")
    await host.end_run(result.run_id)
    current_host.reset(token)
    assert seen == [3]
    assert len(manager.list_handles()) == 2


async def test_two_hosts_of_one_manager_get_along() -> None:
    """S12: what one of them forgets the other one does not find."""
    manager = TaskManager()
    first, second = MemoryHost(manager, max_past_tasks=0), MemoryHost(manager, max_past_tasks=0)
    ctx = RunContext[None](deps=None, model=taking("x"), usage=RunUsage(), run_id="run")

    async def work() -> str:
        return "done"

    ended = manager.create_task("one", work(), TaskHandle("one", "worker", "do it"))
    for host in (first, second):
        host.adopt(ctx, "one")
        host.adopt(ctx, "missing")
    await ended
    view = await second.find(ctx, "one")
    assert view is not None
    assert view.result == "done"
    await first.end_run("run")
    assert (await second.find(ctx, "one"), await second.find(ctx, "missing")) == (None, None)
    await second.end_run("run")


async def test_more_tasks_than_may_wait_are_refused_with_what_to_do() -> None:
    """S13 (refusal): and nothing of them is left."""
    gate, manager = Gate(), TaskManager(max_running=1, max_queued=1)
    token = current_host.set(MemoryHost(manager))
    agent = parent(over(child(gated(gate))), task("async"), task("async"), task("async"), report)
    *_, said = (await agent.run("go")).output.split("\n---\n")
    current_host.reset(token)
    assert said == ("Error: too many tasks wait for their turn already. Wait for some with wait_tasks, then try again")
    assert len(manager.list_handles()) == 2
    await manager.cancel_all()


async def test_canceling_the_caller_cancels_its_sync_task() -> None:
    """S9."""
    gate = Gate()
    subagents = over(child(gated(gate)))
    running = asyncio.create_task(parent(subagents, task()).run("go"))
    await gate.reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (handle,) = subagents.task_manager.list_handles()
    assert handle.status is TaskStatus.CANCELLED


async def test_canceling_whoever_waits_cancels_no_task() -> None:
    """S6."""
    gate = Gate()
    subagents = over(child(gated(gate)), background_outlives_run=True)
    waiting = asyncio.create_task(parent(subagents, task("async"), wait_all()).run("go"))
    await gate.reached.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    (handle,) = subagents.task_manager.list_handles()
    assert handle.status is TaskStatus.RUNNING
    gate.open()
    await subagents.task_manager.wait_until(lambda: handle.is_finished)
    assert handle.result == "done"


async def test_a_parent_that_waits_holds_no_place() -> None:
    """S13: with one task at a time, a child can still have work done by another."""
    shared: list[Any] = []
    middle = child(taking(task(name="leaf"), report))
    leaf = SubAgentConfig(name="leaf", description="", instructions="", agent=Agent(taking("leaf")))

    def share(_: Any) -> list[Any]:
        return shared

    subagents = over(middle, leaf, toolsets_factory=share, max_nesting_depth=1, max_running_tasks=1)
    shared.append(subagents)
    assert (await parent(subagents, task(), report).run("go")).output == "leaf"


async def test_no_more_tasks_run_than_may() -> None:
    """S13."""
    gates = {"one": Gate(), "two": Gate()}

    async def work(messages: list[ModelMessage]) -> str:
        gate = gates["one" if "one" in str(messages[0]) else "two"]
        await gate.wait()
        return "done"

    subagents = over(child(taking(work)), max_running_tasks=1)

    async def look(messages: list[ModelMessage]) -> Call:
        await gates["one"].reached.wait()
        return "list_active_tasks", {}

    def let_go(messages: list[ModelMessage]) -> Call:
        assert not gates["two"].reached.is_set()
        gates["one"].open()
        gates["two"].open()
        return wait_all()(messages)

    agent = parent(subagents, [task("async", "one"), task("async", "two")], look, let_go, report)
    said = (await agent.run("go")).output
    assert "(running) - one" in said
    assert "(pending) - two" in said
    assert "2/2 finished" in said


async def test_an_error_that_is_not_contained_ends_the_callers_run() -> None:
    """S2 (refusal): contain_errors False."""

    def fail(_: list[ModelMessage]) -> str:
        raise ModelHTTPError(400, "fake")

    config = child(taking(fail), contain_errors=False)
    with pytest.raises(SubagentFailedError, match=r"subagent 'worker' failed in task .*: ModelHTTPError"):
        await parent(over(config), task()).run("go")


async def test_a_task_that_tries_again_is_retrying_and_then_running() -> None:
    """S12: the state goes back when the next try starts."""
    seen: list[TaskStatus] = []
    failures = [ModelHTTPError(503, "fake")]

    def work(_: list[ModelMessage]) -> str:
        (handle,) = subagents.task_manager.list_handles()
        seen.append(handle.status)
        if failures:
            raise failures.pop()
        return "done"

    subagents = over(child(taking(work), retry_initial_delay=0.001, retry_jitter=False))

    async def watch(messages: list[ModelMessage]) -> Call:
        (handle,) = subagents.task_manager.list_handles()
        await subagents.task_manager.wait_until(lambda: handle.status is TaskStatus.RETRYING)
        assert handle.error == "Transient error (retry 1): status_code: 503, model_name: fake, body: None"
        return wait_all()(messages)

    assert (await parent(subagents, task("async"), watch, report).run("go")).output.endswith("COMPLETED\ndone")
    assert seen == [TaskStatus.RUNNING, TaskStatus.RUNNING]
    assert subagents.task_manager.list_handles()[0].retry_count == 1


async def test_a_soft_cancellation_does_not_wait_for_the_next_try() -> None:
    """S9."""

    def fail(_: list[ModelMessage]) -> str:
        raise ModelHTTPError(503, "fake")

    subagents = over(child(taking(fail), retry_initial_delay=1_000, retry_max_delay=1_000, retry_jitter=False))

    async def cancel(messages: list[ModelMessage]) -> Call:
        (handle,) = subagents.task_manager.list_handles()
        await subagents.task_manager.wait_until(lambda: handle.status is TaskStatus.RETRYING)
        return on_last("soft_cancel_task")(messages)

    agent = parent(subagents, task("async"), cancel, wait_all(), report)
    assert (await agent.run("go")).output.endswith("CANCELLED - Task was cancelled")


async def test_a_sync_task_without_ask_user_has_nobody_to_ask() -> None:
    """S7."""
    worker = taking(("ask_parent", {"question": "which?"}), report)
    said = (await parent(over(child(worker)), task(), report).run("go")).output
    assert said.startswith("Error: Cannot ask parent - no communication channel configured.")


async def test_a_question_stays_open_as_long_as_the_toolset_says() -> None:
    """S7."""
    worker = taking(("ask_parent", {"question": "which?"}), report)
    subagents = over(child(worker), ask_timeout_seconds=0.001)
    said = (await parent(subagents, task("async"), wait_until_done(subagents), report).run("go")).output
    assert said.endswith("COMPLETED\nError: Parent did not respond in time")


def wait_until_done(subagents: Any) -> Any:
    async def wait(messages: list[ModelMessage]) -> Call:
        (handle,) = subagents.task_manager.list_handles()
        await subagents.task_manager.wait_until(lambda: handle.is_finished)
        return wait_all()(messages)

    return wait


async def test_a_subagent_that_needs_an_approval_fails_with_a_clear_error() -> None:
    """S2: nobody can approve in memory."""
    tools = FunctionToolset()

    @tools.tool_plain(requires_approval=True)
    def pay() -> str:
        raise AssertionError

    worker = child(
        taking(("pay", {})), agent_arguments={"toolsets": [tools], "output_type": [str, DeferredToolRequests]}
    )
    said = (await parent(over(worker), task(), report).run("go")).output
    assert "need an approval or an external result" in said


@dataclass(frozen=True)
class Deps:
    depth: int = 9

    def clone_for_subagent(self, max_depth: int = 0) -> "Deps":
        return replace(self, depth=max_depth)


async def test_a_subagent_gets_a_clone_of_the_deps_and_toolsets_for_it() -> None:
    """C11, S1: deps that cannot be cloned are shared."""
    assert isinstance(Deps(), SubAgentDepsProtocol)
    seen: list[Any] = []

    def toolsets(deps: Any) -> list[FunctionToolset[Any]]:
        tools = FunctionToolset[Any]()

        async def look(ctx: RunContext[Any]) -> str:
            seen.append((deps, ctx.deps))
            return "looked"

        tools.add_function(look)
        return [tools]

    subagents = over(child(taking(("look", {}), "done")), toolsets_factory=toolsets, max_nesting_depth=2)
    await parent(subagents, task(), "bye").run("go", deps=Deps())  # pyright: ignore[reportArgumentType] - any deps do
    await parent(subagents, task(), "bye").run("go", deps="shared")  # pyright: ignore[reportArgumentType] - any deps do
    assert seen == [(Deps(1), Deps(1)), ("shared", "shared")]


async def test_a_child_inherits_nothing_of_its_callers_context() -> None:
    """S13."""
    secret: ContextVar[str] = ContextVar("secret", default="unset")
    token = secret.set("set")

    def look(_: list[ModelMessage]) -> str:
        return secret.get()

    assert (await parent(over(child(taking(look))), task(), report).run("go")).output == "unset"
    secret.reset(token)


def one_request(ctx: RunContext[Any], config: SubAgentConfig) -> UsageLimits:
    assert (ctx.tool_name, config["name"]) == ("task", "worker")
    return UsageLimits(request_limit=1)


@pytest.mark.parametrize("limits", [UsageLimits(request_limit=1), one_request])
async def test_usage_limits_hold_for_each_task_and_may_depend_on_it(limits: UsageLimits | UsageLimitsFactory) -> None:
    """S1."""
    subagents = create_subagent_toolset([child(taking(("no_tool", {})))], usage_limits=limits)
    said = (await parent(subagents, task(), report).run("go")).output
    assert said.startswith("Error: Subagent 'worker' failed: UsageLimitExceeded")
    assert subagents.get_total_usage()["requests"] == 1
