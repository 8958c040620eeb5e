"""What workflows may be made of, and what their authors are told when they are not."""

import functools
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from pydantic_ai import Agent

from musterd import AgentFactory, Prototype, TeamFactory, WorkflowFactory
from musterd.teams import Team
from musterd.workflows import Condition, Loop, Parallel, Review, Router, Step, StepInput, Steps, Workflow
from musterd.workflows.checking import MAX_STEP_NAME_CHARS
from musterd.workflows.steps import MAX_LOOP_ITERATIONS, MAX_STEP_RETRIES, StepKind

NO_STEP: list[tuple[Any, str]] = [
    (AgentFactory("ann", lambda _: None), "a AgentFactory"),
    (TeamFactory("crew", lambda _: None), "a TeamFactory"),
    (WorkflowFactory("flow", lambda _: None), "a WorkflowFactory"),
    (Prototype(Agent(name="ann")), "a Prototype"),
    (Agent, "the class Agent"),
    (Workflow, "the class Workflow"),
    ("ann", "a str"),
    (None, "a NoneType"),
    ({}, "a dict"),
]


def work(given: StepInput) -> str:
    return "done"


class Worker:
    def __call__(self, given: StepInput) -> str:
        return "done"


@pytest.mark.parametrize(
    ("run", "kind"),
    [
        (Agent(name="ann"), StepKind.AGENT),
        (Team("crew", [Agent(name="ann")]), StepKind.TEAM),
        (Workflow("flow", [work]), StepKind.WORKFLOW),
        (work, StepKind.FUNCTION),
        (Worker(), StepKind.FUNCTION),
        (functools.partial(work), StepKind.FUNCTION),
    ],
)
def test_agents_teams_workflows_and_functions_do_steps(run: Any, kind: StepKind) -> None:
    """C5, W1."""
    assert Step("it", run).kind is kind


def takes_nothing() -> str:
    return "done"


def takes_two(given: StepInput, more: str) -> str:
    return more


def yields(given: StepInput) -> Iterator[str]:
    yield "done"


async def yields_later(given: StepInput) -> AsyncIterator[str]:
    yield "done"


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (takes_nothing, "must take one argument, a StepInput: too many positional arguments"),
        (takes_two, "must take one argument, a StepInput: missing a required argument: 'more'"),
        (yields, "must return what it gives, and not yield it"),
        (yields_later, "must return what it gives, and not yield it"),
    ],
)
def test_a_function_takes_a_step_input_and_returns(function: Any, problem: str) -> None:
    """W1 (refusal): as a step, as a prompt, and for all that decides; else the first run would find out."""
    agent = Agent(name="ann")
    makers: list[tuple[str, Callable[[], object]]] = [
        ("step 'it': its function", lambda: Step("it", function)),
        ("step 'it': its prompt", lambda: Step("it", agent, prompt=function)),
        ("a loop: its end_condition", lambda: Loop(work, 2, function)),
        ("a condition: its evaluator", lambda: Condition(function, work)),
        ("a router: its selector", lambda: Router(work, function)),
    ]
    for where, make in makers:
        with pytest.raises(TypeError, match=re.escape(f"{where} {problem}")):
            make()


def test_a_function_that_does_not_tell_what_it_takes_is_taken() -> None:
    """W1."""
    function: Any = max
    assert Step("it", function).kind is StepKind.FUNCTION


@pytest.mark.parametrize(("run", "kind"), NO_STEP)
def test_nothing_else_does_a_step(run: Any, kind: str) -> None:
    """C5 (refusal): refused when the step is made, with what to do instead."""
    with pytest.raises(TypeError, match=re.escape(f"step 'it': {kind} is no step")) as caught:
        Step("it", run)
    assert "register a WorkflowFactory that builds the whole workflow" in str(caught.value)


@pytest.mark.parametrize(("run", "kind"), NO_STEP)
def test_nothing_else_is_a_step(run: Any, kind: str) -> None:
    """C5 (refusal): in a workflow and in every container, with its place."""
    refused = re.escape(f": {kind} is no step: a step is an agent, a team, a workflow or a function of a StepInput")
    with pytest.raises(TypeError, match=re.escape("workflow 'w': steps[1]") + refused):
        Workflow("w", [work, run])
    with pytest.raises(TypeError, match=re.escape("parallel: steps[1]") + refused):
        Parallel(work, run)
    with pytest.raises(TypeError, match=re.escape("loop 'l': steps[0]") + refused):
        Loop([run], 2, name="l")
    with pytest.raises(TypeError, match=re.escape("condition: else_steps[0]") + refused):
        Condition(lambda _: True, [work], [run])
    with pytest.raises(TypeError, match=re.escape("router: steps[0]") + refused):
        Router([run], lambda _: "x")


def test_what_has_a_name_is_a_step_as_it_is() -> None:
    """W1: a container or a single step may stand in place of a list."""
    flow = Workflow("w", [Agent(name="ann"), work, Steps([Step("other", work)])])
    assert [planned.name for planned in flow.plan] == ["ann", "work", "steps"]
    assert [each.name for each in Workflow("w", work).plan] == ["work"]
    assert [each.name for each in Steps(work, Step("b", work)).steps] == ["work", "b"]


NAMELESS: list[Any] = [Agent(), lambda _: 1, functools.partial(work), Worker()]  # pyright: ignore[reportUnknownLambdaType] - as users write it


@pytest.mark.parametrize("run", NAMELESS)
def test_what_has_no_name_needs_a_step_around_it(run: Any) -> None:
    """W1."""
    with pytest.raises(ValueError, match=r"workflow 'w': steps\[0\] has no name: wrap it, Step\('…', …\)"):
        Workflow("w", [run])


@pytest.mark.parametrize("empty", [[], ()])
def test_a_list_of_steps_is_not_empty(empty: Any) -> None:
    """W1."""
    for make in (lambda: Workflow("w", empty), lambda: Parallel(empty), lambda: Loop(empty, 2), Parallel, Steps):
        with pytest.raises(ValueError, match="has no steps: give it at least one"):
            make()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "needs a name"),
        (" ", "needs a name"),
        ("x" * (MAX_STEP_NAME_CHARS + 1), "at most 128 characters, not 129"),
        ("a\nb", "printable characters only"),
    ],
)
def test_names_are_such_that_clients_can_show_them(name: str, problem: str) -> None:
    """W1."""
    for make in (lambda: Step(name, work), lambda: Workflow(name, [work]), lambda: Steps([work], name=name)):
        with pytest.raises(ValueError, match=problem):
            make()
    assert Step("x" * MAX_STEP_NAME_CHARS, work).name


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"max_retries": -1}, "max_retries is from 0 to 100, not -1"),
        ({"max_retries": MAX_STEP_RETRIES + 1}, "max_retries is from 0 to 100, not 101"),
        ({"retry_delay_seconds": -0.1}, "retry_delay_seconds must not be negative"),
        ({"timeout_seconds": 0}, "timeout_seconds must be more than 0, not 0"),
        ({"prompt": "ask"}, "a function has no prompt"),
    ],
)
def test_a_step_refuses_what_is_out_of_range(options: dict[str, Any], problem: str) -> None:
    """W1 (refusal)."""
    with pytest.raises(ValueError, match=f"step 'it': {problem}"):
        Step("it", work, **options)
    assert Step("it", work, max_retries=MAX_STEP_RETRIES, retry_delay_seconds=0).max_retries == MAX_STEP_RETRIES


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        ("{topic}", r"the prompt has no field {topic}; there are {request}, {previous}"),
        ("{}", "the prompt has no field {}"),
        ("{", "the prompt is no template: .*write {{ for a brace"),
    ],
)
def test_a_prompt_with_a_field_that_there_is_not_is_refused(prompt: str, problem: str) -> None:
    """W1: when the step is made, and not when it runs."""
    with pytest.raises(ValueError, match=problem):
        Step("it", Agent(), prompt=prompt)
    assert Step("it", Agent(), prompt="{{literal}} {outputs[x]} {input.topic}").prompt


@pytest.mark.parametrize("count", [0, -1, MAX_LOOP_ITERATIONS + 1])
def test_a_loop_has_a_bound(count: int) -> None:
    """W1."""
    with pytest.raises(ValueError, match=f"a loop has from 1 to 1000 iterations, not {count}"):
        Loop(work, count)
    assert Loop(work, 1).max_iterations == 1
    assert Loop(work, MAX_LOOP_ITERATIONS).max_iterations == MAX_LOOP_ITERATIONS


@pytest.mark.parametrize("function", [True, "x", None, Worker])
def test_what_decides_is_a_function(function: Any) -> None:
    """W1: no constant, and no class."""
    with pytest.raises(TypeError, match="a condition needs a function of a StepInput as its evaluator"):
        Condition(function, work)
    with pytest.raises(TypeError, match="a router needs a function of a StepInput as its selector"):
        Router(work, function)
    if function is not None:
        with pytest.raises(TypeError, match="a loop needs a function of a StepInput as its end_condition"):
            Loop(work, 2, function)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"when": "later"}, "before or after its step, not 'later'"),
        ({"on_deny": "shrug"}, "on_deny is 'fail', 'skip' or 'retry', not 'shrug'"),
        ({"when": "before", "on_deny": "retry"}, "cannot be tried again"),
        ({"max_retries": -1}, "max_retries must not be negative"),
    ],
)
def test_a_review_refuses_what_it_does_not_know(options: dict[str, Any], problem: str) -> None:
    """W1."""
    with pytest.raises(ValueError, match=problem):
        Review(**options)
    assert Review(when="before", on_deny="skip").text == ""
