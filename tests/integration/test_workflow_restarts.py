"""Workflows in the next life of their server: what is done stays done."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from tests.support.actors import Actor
from tests.support.clocks import DrivenClock
from tests.support.gated_model import Gate, stopping
from tests.support.workflow_runs import Ran, ran

from musterd import Condition, Loop, Musterd, Parallel, Router, Step, StepInput, Steps, Workflow
from musterd.testing import serve
from musterd_client import TaskFailed, TaskState


class Lives:
    """One workflow in two lives of its server. `done` is what its functions did, in all lives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gate = Gate()
        self.done: list[str] = []

    def note(self, name: str, returned: Any = None) -> Step:
        """Return a step that is noted when it is done."""

        def work(given: StepInput) -> Any:
            self.done.append(f"{name}{given.iteration or ''}")
            return name if returned is None else returned

        return Step(name, work)

    def stuck(self, name: str = "stuck", **options: Any) -> Step:
        """Return a step that never ends in the first life."""

        async def work(given: StepInput) -> str:
            self.done.append(f"{name} begins")
            await self.gate.wait()
            return f"{name} is over"

        return Step(name, work, **options)

    def slow_agent(self, name: str = "slow") -> Agent[Any, str]:
        """Return an agent whose model never answers in the first life."""
        return Agent(stopping(self.gate, after=("agent is done",)), name=name)

    async def live_twice(self, build: Callable[[], Workflow], rebuild: Callable[[], Workflow] | None = None) -> Ran:
        """Stop the server when the gate is reached, and go on with it open."""
        async with (
            serve(Musterd(workflows=[build()]), folder=self.folder) as client,
            client.run_workflow("w", "go", run_timeout_seconds=60) as started,
        ):
            task_id = started.task.task_id
            await self.gate.reached.wait()
        self.gate.open()
        async with serve(Musterd(workflows=[(rebuild or build)()]), folder=self.folder) as client:
            result = await ran(client, task_id)
        assert result.task.attempt == 2
        assert [event.sequence for event in result.events] == list(range(1, len(result.events) + 1))
        return result


@pytest.fixture
def lives(tmp_path: Path) -> Lives:
    return Lives(tmp_path)


async def test_steps_that_were_done_are_not_done_again(lives: Lives) -> None:
    """R3, W1, W2: nor told again; the choices that were made stand."""
    decided: list[str] = []

    def decide(name: str, value: Any) -> Callable[[StepInput], Any]:
        def choose(given: StepInput) -> Any:
            decided.append(name)
            return value

        return choose

    def build() -> Workflow:
        return Workflow(
            "w",
            [
                lives.note("first", {"a": 1}),
                Condition(decide("if", value=True), lives.note("yes"), lives.note("no")),
                Router([lives.note("x"), lives.note("y")], decide("route", ["y", "x"])),
                Loop(lives.note("turn"), 5, decide("loop", value=True)),
                Steps([lives.note("inside"), lives.slow_agent(), Step("last", see)]),
            ],
        )

    def see(given: StepInput) -> Any:
        return [given.outputs["first"].value, given.previous.content if given.previous else "", list(given.outputs)]

    result = await lives.live_twice(build)
    order = ["first", "yes", "y", "x", "turn1", "inside"]
    assert lives.done == order
    assert decided == ["if", "route", "loop"]
    done = ["first", "yes", "condition", "y", "x", "router", "turn", "loop", "inside", "slow"]
    assert result.value == [{"a": 1}, "agent is done", done]
    assert len(result.story) == len(set(result.story))


async def test_an_agent_that_was_at_work_goes_on_in_the_same_task(lives: Lives) -> None:
    """R3, W2: the workflow finds it, and begins no other."""
    result = await lives.live_twice(lambda: Workflow("w", [Step("nested", Workflow("x", [lives.slow_agent()]))]))
    assert result.text == "agent is done"
    started = [event for event in result.events if event.kind == "subtask_started"]
    assert len(started) == 2


async def test_a_function_that_was_cut_off_is_lost(lives: Lives) -> None:
    """R3, W1: nobody knows what it has done, so it does not run again."""
    result = await lives.live_twice(lambda: Workflow("w", [lives.note("first"), lives.stuck()]))
    assert result.error == (
        "TASK_LOST",
        "STEP_NOT_REPEATABLE",
        "the server stopped while the step 'stuck' ran, and it is not marked as repeatable",
    )
    assert lives.done == ["first", "stuck begins"]


async def test_a_repeatable_function_that_was_cut_off_runs_again(lives: Lives) -> None:
    """R3, W1: and is told of once."""
    result = await lives.live_twice(lambda: Workflow("w", [lives.note("first"), lives.stuck(repeatable=True)]))
    assert result.text == "stuck is over"
    assert lives.done == ["first", "stuck begins", "stuck begins"]
    assert result.story == ["first starts", "first: first", "stuck starts", "stuck: stuck is over"]


async def test_a_workflow_that_lost_a_step_it_has_begun_is_lost(lives: Lives) -> None:
    """R3, W1: also when the step is somewhere in the middle."""
    result = await lives.live_twice(
        lambda: Workflow("w", [Parallel(lives.note("gone"), lives.slow_agent(), name="both")]),
        lambda: Workflow("w", [Parallel(lives.slow_agent(), name="both")]),
    )
    assert result.error == (
        "TASK_LOST",
        "COMPONENT_CHANGED",
        "the workflow no longer has the step 'gone', which this task has begun",
    )


@pytest.mark.parametrize("moved", ["done, into a loop", "begun, into a loop", "to a function", "to a workflow"])
async def test_a_step_that_has_become_another_is_lost(lives: Lives, moved: str) -> None:
    """R3, W1 (refusal): it is neither done again nor taken for what it was."""

    def rebuild() -> Workflow:
        done, begun = lives.note("a"), lives.slow_agent()
        parts: dict[str, list[Any]] = {
            "done, into a loop": [Loop(done, 2, name="again"), begun],
            "begun, into a loop": [done, Loop(begun, 2, name="again")],
            "to a function": [done, lives.note("slow")],
            "to a workflow": [done, Step("slow", Workflow("x", [begun]))],
        }
        return Workflow("w", parts[moved])

    result = await lives.live_twice(lambda: Workflow("w", [lives.note("a"), lives.slow_agent()]), rebuild)
    assert result.error[:2] == ("TASK_LOST", "COMPONENT_CHANGED")
    assert lives.done == ["a"]


async def test_a_step_may_be_put_into_what_is_no_loop(lives: Lives) -> None:
    """R3, W1: it is still the same."""
    result = await lives.live_twice(
        lambda: Workflow("w", [lives.note("a"), lives.slow_agent()]),
        lambda: Workflow("w", [Steps(Parallel(lives.note("a"), name="p"), lives.slow_agent(), name="s")]),
    )
    assert (result.text, lives.done) == ("agent is done", ["a"])


async def test_the_task_of_a_step_that_is_gone_is_lost_too(lives: Lives) -> None:
    """R3, W2 (refusal): whoever takes it up finds no agent for it."""
    result = await lives.live_twice(
        lambda: Workflow("w", [lives.slow_agent("gone")]), lambda: Workflow("w", [lives.note("other")])
    )
    lost = [event for event in result.events if isinstance(event, TaskFailed)]
    assert result.error[:2] == ("TASK_LOST", "COMPONENT_CHANGED")
    assert {(event.error.reason, event.error.cause) for event in lost if event.task_id != result.task.task_id} <= {
        ("TASK_LOST", "COMPONENT_CHANGED")
    }
    assert lives.done == []


async def test_a_workflow_may_get_new_steps_while_it_runs(lives: Lives) -> None:
    """R3, W1: those after what is done run, and those before it too."""
    result = await lives.live_twice(
        lambda: Workflow("w", [lives.note("a"), lives.slow_agent()]),
        lambda: Workflow("w", [lives.note("a"), lives.slow_agent(), lives.note("b")]),
    )
    assert (result.text, lives.done) == ("b", ["a", "b"])


async def test_a_choice_that_is_gone_is_lost(lives: Lives) -> None:
    """R3, W1."""

    def build(*steps: Any) -> Workflow:
        return Workflow("w", [lives.slow_agent("first"), Router([*steps], lambda _: "chosen", name="route")])

    gate = lives.gate
    second = Gate()
    chosen = Agent(stopping(second), name="chosen")
    async with serve(Musterd(workflows=[build(chosen)]), folder=lives.folder) as client:
        gate.open()
        async with client.run_workflow("w", "go") as started:
            task_id = started.task.task_id
        await second.reached.wait()
    async with serve(Musterd(workflows=[build(lives.note("other"))]), folder=lives.folder) as client:
        result = await ran(client, task_id)
    assert result.error[:2] == ("TASK_LOST", "COMPONENT_CHANGED")


async def test_failed_tries_count_in_the_next_life(lives: Lives) -> None:
    """R3, W1: a step that has failed twice has one try left of three."""
    calls = 0

    def flaky(given: StepInput) -> str:
        nonlocal calls
        calls += 1
        raise RuntimeError

    def build() -> Workflow:
        step = Step("flaky", flaky, max_retries=1, retry_delay_seconds=0, skip_on_failure=True)
        return Workflow("w", [step, lives.slow_agent()])

    result = await lives.live_twice(build)
    assert calls == 2
    assert result.story[:4] == [
        "flaky starts",
        "flaky fails and is tried again",
        "flaky starts again",
        "flaky fails and is skipped",
    ]
    assert result.task.state is TaskState.COMPLETED


@pytest.mark.parametrize("by_agent", [True, False], ids=["an agent", "a function"])
async def test_a_server_that_stops_between_two_tries_goes_on_with_the_second(tmp_path: Path, by_agent: bool) -> None:
    """R3, W1: after the time between them, and the first is not made again."""
    tries = 0

    async def work(given: Any) -> str:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ModelHTTPError(400, "model")
        return "done"

    step = Step("flaky", Actor(work).member("any") if by_agent else work, max_retries=1, retry_delay_seconds=7)
    app, clocks = Musterd(workflows=[Workflow("w", [step])]), (DrivenClock(), DrivenClock())
    async with serve(app, folder=tmp_path, clock=clocks[0]) as client, client.run_workflow("w", "go") as started:
        task_id = started.task.task_id
        await clocks[0].sleeping(seconds=7.0)
    async with serve(app, folder=tmp_path, clock=clocks[1]) as client:
        await clocks[1].sleeping(seconds=7.0)
        assert tries == 1
        clocks[1].advance(7)
        result = await ran(client, task_id)
        children = [task.state async for task in client.tasks.list(parent_task_id=task_id)]
    assert (result.text, tries) == ("done", 2)
    assert result.story == ["flaky starts", "flaky fails and is tried again", "flaky starts again", "flaky: done"]
    assert children == ([TaskState.COMPLETED, TaskState.FAILED] if by_agent else [])


async def test_a_cancel_reaches_a_workflow_that_was_not_running(lives: Lives) -> None:
    """R3, R5, W1: it ends without a further step."""
    flow = [lives.slow_agent(), lives.note("never")]
    async with (
        serve(Musterd(workflows=[Workflow("w", flow)]), folder=lives.folder) as client,
        client.run_workflow("w", "go") as started,
    ):
        task_id = started.task.task_id
        await lives.gate.reached.wait()
        canceling = asyncio.create_task(client.tasks.cancel(task_id, grace_seconds=30))
        await canceling
    lives.gate.open()
    async with serve(Musterd(workflows=[Workflow("w", flow)]), folder=lives.folder) as client:
        result = await ran(client, task_id)
    assert (result.task.state, lives.done) == (TaskState.CANCELED, [])
