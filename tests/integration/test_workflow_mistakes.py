"""What functions of authors do that nobody should: none of it harms more than its own workflow."""

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest
from tests.support.actors import saying
from tests.support.workflow_runs import run_alone

from musterd import Condition, Loop, Router, Step, StepInput, StepOutput, Workflow
from musterd_client import TaskState

GUARD_SECONDS = 30


def a(given: StepInput) -> str:
    return "a"


class Undecided:
    """Neither true nor false, as an array of numbers is."""

    def __bool__(self) -> bool:
        raise RuntimeError("secret")

    def __repr__(self) -> str:
        return "secret"


class NoException(BaseException):
    """What is raised here is not caught by what catches exceptions."""


@pytest.mark.parametrize("content", ["\ud800", 5, {"a": 1}], ids=["half a character", "a number", "an object"])
async def test_a_content_that_is_no_text_is_a_failed_try(content: Any) -> None:
    """W1 (refusal): of a StepOutput too."""
    result = await run_alone(Workflow("w", [Step("odd", lambda _: StepOutput(content)), a]))
    assert result.error[:2] == ("STEP_FAILED", "FUNCTION_RAISED")
    assert result.story == ["odd starts", "odd fails"]


async def test_numbers_that_json_does_not_know_are_null() -> None:
    """W1: a client in any language reads the result."""
    numbers = [1.5, float("nan"), float("inf")]
    result = await run_alone(Workflow("w", [Step("odd", lambda _: {"numbers": numbers})]))
    assert result.task.output is not None
    assert result.task.output.json == '{"numbers": [1.5, null, null]}'


@pytest.mark.parametrize(
    "container",
    [
        Condition(lambda _: Undecided(), a, name="it"),  # pyright: ignore[reportArgumentType] - that is the mistake
        Loop(a, 2, lambda _: Undecided(), name="it"),  # pyright: ignore[reportArgumentType] - that is the mistake
    ],
    ids=["a condition", "a loop"],
)
async def test_an_answer_that_is_neither_true_nor_false_fails_the_step(container: Any) -> None:
    """W1 (refusal), C7: the exception is for the server's log alone."""
    result = await run_alone(Workflow("w", [container]))
    assert result.error[:2] == ("STEP_FAILED", "FUNCTION_RAISED")
    assert "secret" not in result.error[2]
    assert result.story[-1] == "it fails"


@pytest.mark.parametrize(
    ("selected", "told"),
    [
        (5, "a value of the type int"),
        (None, "a value of the type NoneType"),
        ([["a"]], "a value of the type list"),
        ([Undecided()], "a value of the type Undecided"),
        ({"a"}, "a value of the type set"),
        ("x" * 1_000, repr("x" * 128)),
    ],
    ids=["a number", "nothing", "a list in a list", "an object", "a value of the type set", "a long text"],
)
async def test_what_a_selector_gives_that_is_no_name_is_refused_without_telling_what_is_in_it(
    selected: Any, told: str
) -> None:
    """W1 (refusal), C7: objects of the server's are not for the caller to read."""
    result = await run_alone(Workflow("w", [Router([a], lambda _: selected, name="route")]))
    assert result.error == (
        "STEP_FAILED",
        "UNKNOWN_CHOICE",
        f"the step 'route' failed: it chose {told}, but what it chooses must be one of 'a', each once",
    )


@pytest.mark.parametrize("prompt", [None, 5, "\ud800"], ids=["nothing", "a number", "half a character"])
async def test_a_prompt_that_is_no_text_is_a_failed_try(prompt: Any) -> None:
    """W1 (refusal): no agent is asked "None"."""
    asked = saying("ok")
    result = await run_alone(Workflow("w", [Step("ask", asked.member("any"), prompt=lambda _: prompt)]))
    assert (result.error[:2], asked.readings) == (("STEP_FAILED", "FUNCTION_RAISED"), [])


@pytest.mark.parametrize("error", [NoException, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("in_thread", [True, False], ids=["in a thread", "on the loop"])
async def test_whatever_a_function_raises_ends_its_workflow(error: type[BaseException], in_thread: bool) -> None:
    """W1 (refusal): a run is never left without an end, nor is the server ended."""

    def leave(given: StepInput) -> None:
        raise error

    async def leave_later(given: StepInput) -> None:
        await asyncio.sleep(0)
        raise error

    async with asyncio.timeout(GUARD_SECONDS):
        result = await run_alone(Workflow("w", [Step("leave", leave if in_thread else leave_later)]))
    assert (result.task.state, result.error[1]) == (TaskState.FAILED, "FUNCTION_RAISED")


async def test_what_a_function_sets_in_context_variables_stays_with_it() -> None:
    """W1: so a step sees the same after a restart as without one."""
    variable = ContextVar("variable", default="untouched")

    async def touch(given: StepInput) -> None:
        variable.set("touched")

    async def look(given: StepInput) -> str:
        return variable.get()

    assert (await run_alone(Workflow("w", [touch, look]))).text == "untouched"
