"""Hooks in front of and behind a run: when they are called, with what, and what they change."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel
from tests.support.gated_model import Delta, prompts_in, saying
from tests.support.hook_runs import logged, told
from tests.support.scripted import call_then_say

from musterd import (
    AgentFactory,
    Built,
    Musterd,
    Prototype,
    RequestContext,
    RunInput,
    RunOutput,
    Step,
    StepInput,
    Team,
    TeamFactory,
    Workflow,
    WorkflowFactory,
)
from musterd.domain.session import SessionKey
from musterd.domain.task import ComponentKind, Task, TaskState
from musterd.testing import serve
from musterd_client import HookFailed, HookStarted, MusterdClient, TaskCompleted, TaskFailed, WatchUntil

ECHO_TEXT = "you said: "


def echo() -> FunctionModel:
    """Return a model that repeats what the user said."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Delta]:
        yield ECHO_TEXT + " | ".join(prompts_in(messages))

    return FunctionModel(stream_function=stream)


def agent(**options: Any) -> Agent[Any, Any]:
    return Agent(echo(), name="agent", **options)


def noting(notes: list[str], name: str) -> Callable[..., None]:
    """Return a hook that notes its name."""

    def note() -> None:
        notes.append(name)

    return note


async def text_of(app: Musterd, message: str = "hello", **options: Any) -> str:
    async with serve(app) as client:
        return (await client.run_agent("agent", message, **options).result()).text


async def test_hooks_are_called_in_the_order_of_their_lists_the_apps_first() -> None:
    """H1: app, registration, then the team's own; pre before the run, post after it."""
    notes: list[str] = []
    hook = partial(noting, notes)
    member = Agent(saying("done"), name="member")

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Delta]:
        notes.append("run")
        yield "done"

    team = Team(
        "team",
        [member],
        model=FunctionModel(stream_function=stream),
        mode="coordinate",
        pre_hooks=[hook("team 1"), hook("team 2")],
        post_hooks=[hook("team post")],
    )
    registered = Prototype(team, pre_hooks=[hook("own 1"), hook("own 2")], post_hooks=[hook("own post")])
    app = Musterd(teams=[registered], pre_hooks=[hook("app 1"), hook("app 2")], post_hooks=[hook("app post")])
    async with serve(app) as client:
        await client.run_team("team", "go").result()
    before = ["app 1", "app 2", "own 1", "own 2", "team 1", "team 2"]
    assert notes == [*before, "run", "app post", "own post", "team post"]


async def test_a_hook_gets_all_that_there_is_of_a_run() -> None:
    """H1."""
    seen: dict[str, Any] = {}

    def before(run_input: RunInput, **others: Any) -> None:
        seen["input"], seen["before"] = run_input, others

    async def after(run_output: RunOutput, context: RequestContext, **others: Any) -> None:
        seen["output"], seen["context"] = run_output, context

    component = agent()
    app = Musterd(agents=[Prototype(component, pre_hooks=[before], post_hooks=[after])])
    async with serve(app) as client:
        run = client.run_agent("agent", "hello", session_id="s1", user_id="ada", factory_input={"a": 1})
        task_id = (await run.result()).task.task_id
    given: RunInput = seen["input"]
    assert (given.run_id, given.content, given.input, given.messages) == (task_id, "hello", {"a": 1}, [])
    others = seen["before"]
    assert others["component"] is others["agent"] is component
    assert (others["team"], others["workflow"]) == (None, None)
    task, session = others["task"], others["session"]
    assert isinstance(task, Task)
    assert (task.task_id, task.state) == (task_id, TaskState.WORKING)
    assert isinstance(session, SessionKey)
    assert (session.session_id, session.user_id, session.component.kind) == ("s1", "ada", ComponentKind.AGENT)
    output: RunOutput = seen["output"]
    assert (output.run_id, output.content) == (task_id, ECHO_TEXT + "hello")
    assert [type(message) for message in output.messages] == [ModelRequest, ModelResponse]
    assert output.usage.requests == 1
    assert (seen["context"].user_id, seen["context"].task_id) == ("ada", task_id)


async def test_a_pre_hook_sees_the_session_and_a_post_hook_what_the_run_added() -> None:
    """H1, N1: what a hook has made of the input is in the history, with the answer as the model gave it."""
    before: list[list[str]] = []
    after: list[int] = []

    def remember(run_input: RunInput) -> None:
        before.append(prompts_in(run_input.messages))
        run_input.content += "!"
        run_input.messages.clear()

    def count(run_output: RunOutput) -> None:
        after.append(len(run_output.messages))
        run_output.content = "changed"

    app = Musterd(agents=[Prototype(agent(), pre_hooks=[remember], post_hooks=[count])])
    async with serve(app) as client:
        for message in ("one", "two"):
            await client.run_agent("agent", message, session_id="s").result()
        history = [entry async for entry in client.sessions.entries("s")]
    assert before == [[], ["one!"]]
    assert after == [2, 2]
    assert "one!" in str(history)
    assert "changed" not in str(history)


async def test_a_run_without_a_session_gives_none() -> None:
    """H1."""
    sessions: list[object] = []

    def note(session: object) -> None:
        sessions.append(session)

    await text_of(Musterd(agents=[agent()], pre_hooks=[note], post_hooks=[note]))
    assert sessions == [None, None]


async def test_a_team_and_a_workflow_are_given_under_their_own_names() -> None:
    """H1."""
    seen: list[Any] = []

    def note(component: Any, agent: Any, team: Any, workflow: Any) -> None:
        seen.append((component.name, agent, team, workflow))

    team = Team("team", [agent()], model=saying("done"))
    flow = Workflow("flow", [Step("step", agent())])
    async with serve(Musterd(teams=[team], workflows=[flow], pre_hooks=[note])) as client:
        await client.run_team("team", "go").result()
        await client.run_workflow("flow", "go").result()
    assert seen == [("team", None, team, None), ("flow", None, None, flow)]


def assigning(run_input: RunInput) -> None:
    run_input.content = f"{run_input.content}, assigned"


def returning(run_input: RunInput) -> RunInput:
    return RunInput(run_id="another", content=f"{run_input.content}, returned")


async def assigning_later(run_input: RunInput) -> None:
    run_input.content = f"{run_input.content}, later"


async def test_pre_hooks_change_the_input_by_assigning_or_returning() -> None:
    """H1: each gets what the one before has left."""
    hooks = [assigning, returning, assigning_later]
    said = await text_of(Musterd(agents=[Prototype(agent(), pre_hooks=hooks)]))
    assert said == ECHO_TEXT + "hello, assigned, returned, later"


async def test_post_hooks_change_the_output_of_the_task() -> None:
    """H1: in the result, in the task and in the terminal event."""

    def polite(run_output: RunOutput) -> None:
        run_output.content += ", please"

    def loud(run_output: RunOutput) -> RunOutput:
        return RunOutput(run_id=run_output.run_id, content=run_output.content.upper())

    app = Musterd(agents=[Prototype(agent(), post_hooks=[polite, loud])])
    async with serve(app) as client:
        result = await client.run_agent("agent", "hello").result()
        task = await client.tasks.status(result.task.task_id)
        last = (await logged(client, task.task_id))[-1]
    expected = "YOU SAID: HELLO, PLEASE"
    assert task.output is not None
    assert isinstance(last, TaskCompleted)
    assert (result.text, task.output.text, last.output.text) == (expected, expected, expected)


class City(BaseModel):
    """A structured output."""

    name: str
    people: int


async def test_a_structured_output_is_a_json_value_to_hooks() -> None:
    """H1."""
    seen: list[object] = []

    def grow(run_output: RunOutput) -> None:
        seen.append(dict(run_output.content))
        run_output.content["people"] += 1

    model = TestModel(custom_output_args={"name": "Bern", "people": 1})
    app = Musterd(agents=[Prototype(Agent(model, name="agent", output_type=City), post_hooks=[grow])])
    async with serve(app) as client:
        result = await client.run_agent("agent", "go").result()
    assert seen == [{"name": "Bern", "people": 1}]
    assert json.loads(result.output.json) == {"name": "Bern", "people": 2}


@pytest.mark.parametrize(("content", "text"), [("plain", "plain"), ({"a": [1, None]}, '{"a":[1,null]}')])
async def test_a_hook_may_turn_text_into_json_and_back(content: Any, text: str) -> None:
    """H1."""

    def turn(run_output: RunOutput) -> None:
        run_output.content = content

    assert await text_of(Musterd(agents=[Prototype(agent(), post_hooks=[turn])])) == text


def breaking(run_input: RunInput) -> None:
    run_input.content = "broken"
    raise RuntimeError("the password is 1234")


def returning_text(run_input: RunInput) -> Any:
    return run_input.content


def with_number(run_input: Any) -> None:
    run_input.content = 5


def with_surrogate(run_input: RunInput) -> None:
    run_input.content = "\ud800"


def stopping_iteration(run_input: RunInput) -> None:
    raise StopIteration(run_input.content)


def exiting() -> None:
    raise SystemExit(1)


async def canceling() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    "hook",
    [
        breaking,
        returning_text,
        with_number,
        with_surrogate,
        stopping_iteration,
        exiting,
        canceling,
    ],
)
async def test_a_hook_that_fails_is_recorded_and_changes_nothing(hook: Callable[..., Any]) -> None:
    """H3: the run goes on, and nobody reads what was raised."""
    app = Musterd(agents=[Prototype(agent(), pre_hooks=[hook, assigning])])
    async with serve(app) as client:
        result = await client.run_agent("agent", "hello").result()
        log = await logged(client, result.task.task_id)
    assert result.text == ECHO_TEXT + "hello, assigned"
    name = hook.__name__
    assert told(log) == [f"started {name}", f"failed {name}", "started assigning", "completed assigning"]
    (failed,) = [event for event in log if isinstance(event, HookFailed)]
    assert failed.message.startswith(f"the hook {name!r} failed; the server's log has it as ")
    assert (failed.in_background, failed.will_retry, failed.hook_run_id) == (False, False, "")


async def test_an_output_that_is_no_json_is_a_failure_of_the_hook() -> None:
    """H3."""

    def confuse(run_output: RunOutput) -> None:
        run_output.content = object()

    app = Musterd(agents=[Prototype(agent(), post_hooks=[confuse])])
    assert await text_of(app) == ECHO_TEXT + "hello"


async def test_plain_hooks_run_in_a_thread_and_async_ones_on_the_loop() -> None:
    """H1."""
    threads: list[int] = []

    def plain() -> None:
        threads.append(threading.get_ident())

    async def on_loop() -> None:
        threads.append(threading.get_ident())

    await text_of(Musterd(agents=[agent()], pre_hooks=[plain, on_loop]))
    assert threads[0] != threads[1] == threading.get_ident()


async def test_what_a_hook_does_to_messages_reaches_nobody() -> None:
    """H1."""
    counts: list[int] = []

    def clear(run_output: RunOutput) -> None:
        counts.append(len(run_output.messages))
        run_output.messages.clear()

    await text_of(Musterd(agents=[agent()], post_hooks=[clear, clear]))
    assert counts == [2, 2]


def built(component: Any) -> Callable[[RequestContext], Any]:
    return lambda context: Built(component, deps=context)


@pytest.mark.parametrize("factory", [True, False])
@pytest.mark.parametrize("kind", ["agent", "team", "workflow"])
async def test_hooks_of_every_kind_reach_every_kind_of_component(kind: str, factory: bool) -> None:
    """H1, C2: prototypes and what factories build."""
    notes: list[str] = []
    given: dict[str, Any] = {
        "pre_hooks": [noting(notes, "registered before")],
        "post_hooks": [noting(notes, "registered after")],
    }
    components: dict[str, Any] = {
        "agent": agent(),
        "team": Team("team", [agent()], model=saying("done")),
        "workflow": Workflow("workflow", [Step("step", agent())]),
    }
    factories: dict[str, Any] = {"agent": AgentFactory, "team": TeamFactory, "workflow": WorkflowFactory}
    component = components[kind]
    source = factories[kind](kind, built(component), **given) if factory else Prototype(component, **given)
    sources: dict[str, Any] = {f"{kind}s": [source]}
    app = Musterd(**sources, pre_hooks=[noting(notes, "app before")], post_hooks=[noting(notes, "app after")])
    async with serve(app) as client:
        await _run(client, kind)
    assert notes == ["app before", "registered before", "app after", "registered after"]


async def _run(client: MusterdClient, kind: str) -> None:
    runs: dict[str, Any] = {"agent": client.run_agent, "team": client.run_team, "workflow": client.run_workflow}
    await runs[kind](kind, "go").result()


async def test_a_team_within_a_team_has_its_own_hooks_and_no_others() -> None:
    """H1: those of the app and the registration are for the run as a whole."""
    notes: list[str] = []

    def delegating(member: str) -> FunctionModel:
        arguments = f'{{"member": "{member}", "task": "do it"}}'
        return call_then_say("delegate_to_member", "done", arguments=arguments)

    inner = Team(
        "inner",
        [agent()],
        model=saying("inner is done"),
        pre_hooks=[noting(notes, "inner before"), assigning],
        post_hooks=[noting(notes, "inner after")],
    )
    outer = Team("outer", [inner], model=delegating("inner"), pre_hooks=[noting(notes, "outer before")])
    app = Musterd(teams=[Prototype(outer, pre_hooks=[noting(notes, "registered")])], pre_hooks=[noting(notes, "app")])
    async with serve(app) as client:
        result = await client.run_team("outer", "go").result()
        async with client.tasks.watch(result.task.task_id, until=WatchUntil.TREE) as watch:
            log = [event async for event in watch]
    assert notes == ["app", "registered", "outer before", "inner before", "inner after"]
    tellers = {event.name: event.component.id for event in log if isinstance(event, HookStarted)}
    assert tellers["assigning"] == "inner"


async def test_a_pre_hook_of_a_workflow_changes_its_message_and_input() -> None:
    """H1: what is left is validated like the request's."""
    seen: list[Any] = []

    class Order(BaseModel):
        """What the workflow takes."""

        pieces: int

    def read(step_input: StepInput) -> str:
        seen.append((step_input.request, step_input.input))
        return "read"

    def double(run_input: RunInput) -> None:
        run_input.content = "changed"
        run_input.input = {"pieces": run_input.input["pieces"] * 2}

    flow = Workflow("flow", [Step("read", read)], input_schema=Order, pre_hooks=[double])
    async with serve(Musterd(workflows=[flow])) as client:
        await client.run_workflow("flow", "go", factory_input={"pieces": 2}).result()
    assert seen == [("changed", Order(pieces=4))]


async def test_an_input_that_a_hook_has_spoiled_fails_the_workflow() -> None:
    """H1 (refusal)."""

    class Order(BaseModel):
        """What the workflow takes."""

        pieces: int

    def spoil(run_input: RunInput) -> None:
        run_input.input = {"pieces": "many"}

    flow = Workflow("flow", [Step("step", agent())], input_schema=Order, pre_hooks=[spoil])
    async with (
        serve(Musterd(workflows=[flow])) as client,
        client.run_workflow("flow", "go", factory_input={"pieces": 2}) as run,
    ):
        events = [event async for event in run]
    assert isinstance(failed := events[-1], TaskFailed)
    assert failed.error.reason == "INVALID_INPUT"
