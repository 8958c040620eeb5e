"""Hooks that stop a run: checks of what goes in and comes out, and guardrails."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel
from tests.support.gated_model import Delta, Gate, saying
from tests.support.hook_runs import logged, told

from musterd import InputCheckError, Musterd, OutputCheckError, Prototype, RunInput, Team, hook
from musterd.hooks import CheckError
from musterd.testing import serve
from musterd_client import (
    CancelMode,
    Event,
    HookFailed,
    ModelRequestStarted,
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
    TaskState,
)


def agent(**hooks: Any) -> Prototype:
    return Prototype(Agent(saying("done"), name="agent"), **hooks)


async def log_of(app: Musterd) -> list[Event]:
    """Return what a run of the app's agent told."""
    async with serve(app) as client, client.run_agent("agent", "hello") as run:
        return [event async for event in run]


def refuse_input() -> None:
    raise InputCheckError("no mail addresses, please", "PII_DETECTED", {"found": ["mail"], "when": object})


def refuse_output() -> None:
    raise OutputCheckError("that is a poem", check_trigger="OFF_TOPIC")


async def test_a_check_of_the_input_stops_the_run_before_the_model_is_asked() -> None:
    """H3 (refusal): with the author's words, and the trigger as the cause."""
    log = await log_of(Musterd(agents=[agent(pre_hooks=[refuse_input])]))
    assert isinstance(failed := log[-1], TaskFailed)
    assert (failed.error.reason, failed.error.cause) == ("INPUT_CHECK_FAILED", "PII_DETECTED")
    assert failed.error.message == "no mail addresses, please"
    assert failed.state is TaskState.FAILED
    assert not any(isinstance(event, ModelRequestStarted) for event in log)
    (told_of,) = [event for event in log if isinstance(event, HookFailed)]
    assert (told_of.trigger, told_of.message, told_of.will_retry) == ("PII_DETECTED", failed.error.message, False)
    assert told_of.details == {"found": ["mail"], "when": "<class 'object'>"}


async def test_a_check_of_the_output_stops_the_run_without_one() -> None:
    """H3 (refusal)."""
    app = Musterd(agents=[agent(post_hooks=[refuse_output])])
    async with serve(app) as client:
        async with client.run_agent("agent", "hello") as run:
            log = [event async for event in run]
        task = await client.tasks.status(run.task.task_id)
    assert isinstance(failed := log[-1], TaskFailed)
    assert (failed.error.reason, failed.error.cause) == ("OUTPUT_CHECK_FAILED", "OFF_TOPIC")
    assert (failed.output, task.output) == (None, None)
    assert task.usage.requests == 1


async def test_a_check_names_what_it_found_even_when_its_author_does_not() -> None:
    """H3."""

    def refuse() -> None:
        raise InputCheckError("no")

    log = await log_of(Musterd(agents=[agent(pre_hooks=[refuse])]))
    assert isinstance(failed := log[-1], TaskFailed)
    assert failed.error.cause == "INPUT_NOT_ALLOWED"


async def test_no_hook_is_called_after_one_that_stopped_the_run() -> None:
    """H3."""
    called: list[str] = []

    def later() -> None:
        called.append("later")

    app = Musterd(agents=[agent(pre_hooks=[refuse_input, later], post_hooks=[later])])
    log = await log_of(app)
    assert called == []
    assert told(log) == ["started refuse_input", "failed refuse_input"]


@hook(guardrail=True)
def crashing() -> None:
    raise RuntimeError("the password is 1234")


@hook(guardrail=True)
def returning_nonsense(run_input: RunInput) -> Any:
    return run_input.content


@hook(guardrail=True)
async def crashing_later() -> None:
    raise TimeoutError("the password is 1234")


@pytest.mark.parametrize("guardrail", [crashing, returning_nonsense, crashing_later])
async def test_a_guardrail_that_crashes_stops_the_run(guardrail: Callable[..., Any]) -> None:
    """H3 (refusal): it fails closed, and tells nobody what was raised."""
    log = await log_of(Musterd(agents=[agent(pre_hooks=[guardrail])]))
    assert isinstance(failed := log[-1], TaskFailed)
    assert (failed.error.reason, failed.error.cause) == ("INPUT_CHECK_FAILED", "GUARDRAIL_FAILED")
    assert failed.error.error_id in failed.error.message
    assert "1234" not in repr(log)
    assert not any(isinstance(event, ModelRequestStarted) for event in log)


class OwnError(InputCheckError):
    """A check that is made in a way of its own."""

    def __init__(self, kinds: list[str]) -> None:
        self.kinds = kinds


def plain_check() -> None:
    raise CheckError("neither in nor out", "SOMETHING")


def own_check() -> None:
    raise OwnError(["mail"])


@pytest.mark.parametrize(
    ("check", "message", "cause"),
    [
        (plain_check, "neither in nor out", "SOMETHING"),
        (own_check, "the hook 'own_check' stopped the run", "INPUT_NOT_ALLOWED"),
    ],
)
async def test_a_check_of_any_class_stops_the_run(check: Callable[..., Any], message: str, cause: str) -> None:
    """H3 (refusal)."""
    log = await log_of(Musterd(agents=[agent(pre_hooks=[check])]))
    assert isinstance(failed := log[-1], TaskFailed)
    assert (failed.error.reason, failed.error.message) == ("INPUT_CHECK_FAILED", message)
    assert failed.error.cause == cause


async def test_a_check_among_others_in_a_task_group_stops_the_run() -> None:
    """H3 (refusal): asyncio hands it over in a group."""

    async def refuse() -> None:
        raise InputCheckError("no", "OFF_TOPIC")

    async def check_all() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(Gate().wait())
            group.create_task(refuse())

    log = await log_of(Musterd(agents=[agent(pre_hooks=[check_all])]))
    assert isinstance(failed := log[-1], TaskFailed)
    assert (failed.error.reason, failed.error.cause) == ("INPUT_CHECK_FAILED", "OFF_TOPIC")


class Nameless:
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError


endless: dict[str, Any] = {}
endless["again"] = endless

ADDED: dict[str, tuple[Any, Any]] = {
    "bytes": ({"found": b"\xff"}, {"found": "a bytes, which is no JSON"}),
    "a text that is none": ({"found": "\ud800"}, {"found": "?"}),
    "a name that is none": ({"\ud800": {"\ud800": 1}}, {"?": "a dict, which is no JSON"}),
    "what has no text": ({"found": Nameless(), "sound": 1}, {"found": "a Nameless, which is no JSON", "sound": 1}),
    "what has itself in it": (endless, {"again": "a dict, which is no JSON"}),
    "a number without a double": ({"found": 10**400}, {"found": str(10**400)}),
    "no object": (["mail"], {"data": ["mail"]}),
}


@pytest.mark.parametrize("case", ADDED)
async def test_a_check_stops_the_run_whatever_it_adds(case: str) -> None:
    """H3 (refusal): and everybody can read the log."""
    added, details = ADDED[case]

    def refuse() -> None:
        raise InputCheckError("no", "PII_DETECTED", added)

    log = await log_of(Musterd(agents=[agent(pre_hooks=[refuse])]))
    assert isinstance(failed := log[-1], TaskFailed)
    assert (failed.error.reason, failed.error.cause) == ("INPUT_CHECK_FAILED", "PII_DETECTED")
    assert [event.details for event in log if isinstance(event, HookFailed)] == [details]


async def test_a_guardrail_of_the_output_that_crashes_stops_the_run() -> None:
    """H3 (refusal)."""
    log = await log_of(Musterd(agents=[agent()], post_hooks=[crashing]))
    assert isinstance(failed := log[-1], TaskFailed)
    assert (failed.error.reason, failed.error.cause) == ("OUTPUT_CHECK_FAILED", "GUARDRAIL_FAILED")


async def test_a_guardrail_stays_in_front_when_the_app_moves_hooks_to_the_background() -> None:
    """H2, H3."""

    def plain() -> None:
        """Run after the run."""

    app = Musterd(agents=[agent(pre_hooks=[plain, crashing])], run_hooks_in_background=True)
    async with serve(app) as client, client.run_agent("agent", "hello") as run:
        log = [event async for event in run]
    assert told(log) == ["started crashing", "failed crashing"]
    assert isinstance(log[-1], TaskFailed)


async def test_a_check_in_a_team_within_a_team_fails_that_members_turn() -> None:
    """H1, H3: its leader hears of it."""
    prompts: list[str] = []

    async def lead(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Delta]:
        prompts.append(str(messages[-1]))
        yield "answered"

    inner = Team("inner", [Agent(saying("x"), name="one")], model=saying("x"), pre_hooks=[refuse_input])
    outer = Team("outer", [inner], model=FunctionModel(stream_function=lead), mode="broadcast")
    async with serve(Musterd(teams=[outer])) as client:
        result = await client.run_team("outer", "go").result()
    assert result.text == "answered"
    assert "no mail addresses, please" in prompts[0]


@pytest.mark.parametrize("phase", ["pre_hooks", "post_hooks"])
async def test_a_run_is_canceled_in_the_middle_of_a_hook(phase: str) -> None:
    """H1, R5."""
    gate, over = Gate(), asyncio.Event()

    async def wait() -> None:
        try:
            await gate.wait()
        finally:
            over.set()

    app = Musterd(agents=[agent(**{phase: [wait]})])
    async with serve(app) as client, client.run_agent("agent", "hello") as run:
        await gate.reached.wait()
        await client.tasks.cancel(run.task.task_id, mode=CancelMode.HARD)
        log = [event async for event in run]
        await over.wait()
    assert isinstance(log[-1], TaskCanceled)


async def test_a_soft_cancel_lets_a_hook_end_and_begins_no_other() -> None:
    """H1, R5."""
    gate, called = Gate(), list[str]()

    async def wait() -> None:
        await gate.wait()
        called.append("first")

    def second() -> None:
        called.append("second")

    app = Musterd(agents=[agent(pre_hooks=[wait, second])])
    async with serve(app) as client, client.run_agent("agent", "hello") as run:
        await gate.reached.wait()
        await client.tasks.cancel(run.task.task_id)
        gate.open()
        log = [event async for event in run]
    assert called == ["first"]
    assert isinstance(log[-1], TaskCanceled)


async def test_a_hook_has_no_more_time_than_its_run() -> None:
    """H1, R10."""

    async def wait() -> None:
        await Gate().wait()

    app = Musterd(agents=[agent(pre_hooks=[wait])])
    async with serve(app) as client, client.run_agent("agent", "hello", run_timeout_seconds=0.2) as run:
        log = [event async for event in run]
    assert isinstance(failed := log[-1], TaskFailed)
    assert failed.error.reason == "RUN_TIMEOUT"


async def test_a_hook_that_raises_a_timeout_of_its_own_is_a_failed_hook() -> None:
    """H3: not a run whose time is over."""

    async def impatient() -> None:
        raise TimeoutError

    app = Musterd(agents=[agent(pre_hooks=[impatient])])
    async with serve(app) as client:
        result = await client.run_agent("agent", "hello").result()
        log = await logged(client, result.task.task_id)
    assert told(log) == ["started impatient", "failed impatient"]
    assert isinstance(log[-1], TaskCompleted)
