"""Who does the steps of a workflow, what they are given, and what becomes of what they give."""

import asyncio
import threading
from collections.abc import Awaitable
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext
from tests.support.actors import delegate, saying, steps, what_came
from tests.support.stage import Stage, do, task
from tests.support.trees import tree_of
from tests.support.workflow_runs import run, run_alone

from musterd import Built, Musterd, Parallel, Prototype, Step, StepInput, StepOutput, Team, Workflow, WorkflowFactory
from musterd.runtime.delegation.host import MAX_DESCRIPTION_CHARS
from musterd.testing import serve
from musterd_client import ComponentKind, Priority, StepStarted, SubtaskStarted, TaskState, WorkflowStepKind


def shout(given: StepInput) -> str:
    return (given.previous.content if given.previous else given.request).upper()


async def test_agents_teams_functions_and_workflows_do_steps_one_after_the_other() -> None:
    """W1, W2: each with what the one before gave; a step that is no function is a task of its own."""
    crew = Team("crew", [saying("checked").member("ann")], model=steps([delegate("ann", "check")], what_came).model)
    inner = Workflow("inner", [Step("loud", shout)])
    flow = Workflow("paper", [saying("a draft").member("writer"), shout, crew, Step("polish", inner)])
    async with serve(Musterd(workflows=[flow])) as client:
        ran = await run(client, "paper", "write")
        tree = {each.component.id: each for each in await tree_of(client, ran.task.task_id)}
    assert ran.text == "WRITE\n\nTHE STEP 'CREW' BEFORE THIS ONE GAVE:\nCHECKED"
    assert ran.story[:4] == ["writer starts", "writer: a draft", "shout starts", "shout: A DRAFT"]
    kinds = {each.place.name: each.step_kind for each in ran.steps if isinstance(each, StepStarted)}
    assert kinds == {
        "writer": WorkflowStepKind.AGENT,
        "shout": WorkflowStepKind.FUNCTION,
        "crew": WorkflowStepKind.TEAM,
        "polish": WorkflowStepKind.WORKFLOW,
    }
    assert {name: each.component.kind for name, each in tree.items()} == {
        "paper": ComponentKind.WORKFLOW,
        "writer": ComponentKind.STEP,
        "crew": ComponentKind.TEAM,
        "ann": ComponentKind.MEMBER,
        "polish": ComponentKind.WORKFLOW,
    }
    assert {each.state for each in tree.values()} == {TaskState.COMPLETED}


async def test_the_event_of_a_step_names_its_task_and_its_place() -> None:
    """W2: the child's id is told before the child begins."""
    ran = await run_alone(Workflow("w", [Parallel(shout, saying("hi").member("greeter"), name="both")]))
    (started,) = [each for each in ran.steps if isinstance(each, StepStarted) and each.place.name == "greeter"]
    (subtask,) = [each for each in ran.events if isinstance(each, SubtaskStarted)]
    assert started.subtask_id == subtask.subtask_id
    assert started.sequence < subtask.sequence
    assert (started.place.path, started.place.index, started.place.iteration) == (("both", "greeter"), 1, 0)


class Note(BaseModel):
    """What a function may return."""

    title: str
    pages: int = 1


@pytest.mark.parametrize(
    ("returned", "text", "json"),
    [
        ("a text", "a text", ""),
        (None, "", ""),
        (Note(title="t"), '{"title": "t", "pages": 1}', '{"title": "t", "pages": 1}'),
        ([1, "ü"], '[1, "ü"]', '[1, "ü"]'),
        (StepOutput("said"), "said", ""),
        (StepOutput(value={"a": 1}), '{"a": 1}', '{"a": 1}'),
        (StepOutput("in short", {"a": 1}), '{"a": 1}', '{"a": 1}'),
    ],
)
async def test_what_the_last_step_gives_is_the_result(returned: Any, text: str, json: str) -> None:
    """W1: as text, or as JSON when it is structured."""
    ran = await run_alone(Workflow("w", [Step("only", lambda _: returned)]))
    assert ran.task.output is not None
    assert (ran.task.output.text, ran.task.output.json or "") == (text, json)


async def test_the_structured_output_of_an_agent_is_the_value_of_its_step() -> None:
    """W1: the next function reads it as JSON."""
    author = Agent(steps([("final_result", {"title": "t", "pages": 3})]).model, name="author", output_type=Note)
    read: list[Any] = []

    def look(given: StepInput) -> None:
        read.append(given.previous.value if given.previous else None)

    await run_alone(Workflow("w", [author, look]))
    assert read == [{"title": "t", "pages": 3}]


async def test_a_step_sees_the_request_and_all_that_is_done() -> None:
    """W1: the input, the context and the outputs by name."""
    seen: list[StepInput] = []

    def look(given: StepInput) -> str:
        seen.append(given)
        return "looked"

    flow = Workflow("w", [Step("first", look), Step("second", look), Step("third", look)])
    ran = await run_alone(flow, "go", factory_input={"n": 1})
    first, _, third = seen
    assert (first.request, first.input, first.previous, first.iteration) == ("go", {"n": 1}, None, 0)
    assert dict(first.outputs) == {}
    assert third.previous is not None
    assert (third.previous.name, list(third.outputs)) == ("second", ["first", "second"])
    assert third.context.task_id == ran.task.task_id
    assert third.context.input == {"n": 1}


async def test_of_a_long_prompt_only_the_beginning_is_told() -> None:
    """W2: the agent reads all of it, and lists and streams stay readable."""
    asked = saying("ok")
    length = MAX_DESCRIPTION_CHARS - len("go\n\nThe step 'text' before this one gave:\n")
    for extra in (0, 1):
        asked.readings.clear()
        flow = Workflow("w", [Step("text", lambda _, more=extra: "x" * (length + more)), asked.member("agent")])
        async with serve(Musterd(workflows=[flow])) as client:
            ran = await run(client, "w", "go")
            (task,) = [each for each in await tree_of(client, ran.task.task_id) if not each.is_root]
        (told,) = [event.description for event in ran.events if isinstance(event, SubtaskStarted)]
        ((prompt,),) = [reading.prompts for reading in asked.readings]
        assert len(prompt) == MAX_DESCRIPTION_CHARS + extra
        assert task.description == told == prompt[:MAX_DESCRIPTION_CHARS]


class Typed(BaseModel):
    """The input of a workflow."""

    topic: str


async def test_a_typed_input_needs_no_message() -> None:
    """W1, C6: steps read the instance; an agent is asked about it as JSON."""
    seen: list[Any] = []
    asked = saying("ok")
    flow = Workflow(
        "w", [Step("look", lambda given: seen.append(given.input)), asked.member("agent")], input_schema=Typed
    )
    await run_alone(flow, "", factory_input={"topic": "rain"})
    assert seen == [Typed(topic="rain")]
    ((prompt,),) = [reading.prompts for reading in asked.readings]
    assert prompt.startswith('{"topic": "rain"}')


async def test_an_agent_is_asked_the_request_and_what_the_step_before_gave() -> None:
    """W1: when the step does not say otherwise."""
    asked = saying("fine")
    await run_alone(Workflow("w", [asked.member("a"), Step("b", shout), asked.member("c")]), "the request")
    first, second = [reading.prompts for reading in asked.readings]
    assert list(first) == ["the request"]
    assert list(second) == ["the request\n\nThe step 'b' before this one gave:\nFINE"]


async def test_a_step_may_say_itself_what_is_asked() -> None:
    """W1: by a template, by a function or by a coroutine function."""
    asked = saying("fine")

    async def later(given: StepInput) -> str:
        await asyncio.sleep(0)
        return f"later: {given.previous.content if given.previous else ''}"

    agent = asked.member("any")
    flow = Workflow(
        "w",
        [
            Step("draft", shout),
            Step("template", agent, prompt="{request} / {previous} / {outputs[draft]} / {input[n]} / {iteration}"),
            Step("function", agent, prompt=lambda given: f"now: {given.request}"),
            Step("coroutine", agent, prompt=later),
        ],
    )
    await run_alone(flow, "go", factory_input={"n": 7})
    assert [list(reading.prompts) for reading in asked.readings] == [
        ["go / GO / GO / 7 / 0"],
        ["now: go"],
        ["later: fine"],
    ]


class Functions:
    """Functions of every form, and the thread that each ran in."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def _note(self) -> str:
        self.threads.append(threading.current_thread())
        return "done"

    def sync(self, given: StepInput) -> str:
        return self._note()

    async def coroutine(self, given: StepInput) -> str:
        return self._note()

    def awaitable(self, given: StepInput) -> Awaitable[str]:
        return self.coroutine(given)

    def with_more(self, more: str, given: StepInput) -> str:
        return self._note()

    def __call__(self, given: StepInput) -> str:
        return self._note()


async def test_plain_functions_run_off_the_event_loop() -> None:
    """W1: methods, partials and callable objects too; a coroutine runs on it."""
    functions = Functions()
    flow = Workflow(
        "w",
        [
            Step("sync", functions.sync),
            Step("partial", partial(functions.with_more, "more")),
            Step("object", functions),
            Step("coroutine", functions.coroutine),
            Step("awaitable", functions.awaitable),
        ],
    )
    assert (await run_alone(flow)).text == "done"
    assert [thread is threading.main_thread() for thread in functions.threads] == [False, False, False, True, True]


async def test_agents_in_steps_get_the_deps_of_the_run() -> None:
    """C11, W1: those of a prototype's deps_factory, or what a factory built."""
    seen: list[Any] = []

    def look(ctx: RunContext[Any]) -> str:
        seen.append(ctx.deps)
        return "ok"

    def agent() -> Agent[Any, str]:
        return steps([("look", {})], what_came).member("agent", "", look)

    workflows = [
        Prototype(Workflow("prototype", [agent()]), deps_factory=lambda _: "made"),
        WorkflowFactory(
            "factory", lambda _: Built(Workflow("w", [Step("in", Workflow("x", [agent()]))]), deps="built")
        ),
    ]
    async with serve(Musterd(workflows=workflows)) as client:
        await run(client, "prototype")
        await run(client, "factory")
    assert seen == ["made", "built"]


async def test_subagents_of_an_agent_in_a_step_are_tasks_below_it() -> None:
    """S1, W2: a step is a parent like any other."""
    stage = Stage()
    flow = Workflow("w", [Step("boss", stage.agent())])
    async with serve(Musterd(workflows=[flow])) as client:
        ran = await run(client, "w", do(task(do("worked"), mode="sync")))
        kinds = {each.component.kind for each in await tree_of(client, ran.task.task_id)}
    assert "worked" in ran.text
    assert kinds == {ComponentKind.WORKFLOW, ComponentKind.STEP, ComponentKind.SUBAGENT}


async def test_three_levels_of_workflows_go_through_to_a_team() -> None:
    """W1, W2: with members at the bottom, and the outputs of each level."""
    crew = Team("crew", [saying("deep").member("ann")], model=steps([delegate("ann", "it")], what_came).model)
    third = Workflow("third", [crew, shout])
    second = Workflow("second", [Step("third step", third)])
    first = Workflow("first", [Parallel(Step("second step", second), shout)])
    async with serve(Musterd(workflows=[first])) as client:
        ran = await run(client, "first", "go")
        tree = await tree_of(client, ran.task.task_id)
    names = {each.task_id: each.component.id for each in tree}
    assert {each.component.id: names.get(each.parent_task_id, "") for each in tree} == {
        "first": "",
        "second step": "first",
        "third step": "second step",
        "crew": "third step",
        "ann": "crew",
    }
    assert ran.value == {"second step": "DEEP", "shout": "GO"}


async def test_agents_of_functions_run_in_memory() -> None:
    """W1: what a function does with agents of its own is its own affair."""
    stage = Stage()
    boss = stage.agent()

    async def ask(given: StepInput) -> str:
        return (await boss.run(do(task(do("worked"), mode="sync")))).output

    async with serve(Musterd(workflows=[Workflow("w", [ask])])) as client:
        ran = await run(client, "w")
        assert len(await tree_of(client, ran.task.task_id)) == 1
    assert "worked" in ran.text


async def test_steps_are_as_urgent_as_their_workflow() -> None:
    """R9, W2: also those of a workflow in it."""
    flow = Workflow("w", [Step("in", Workflow("x", [saying("x").member("agent")]))])
    async with serve(Musterd(workflows=[flow])) as client:
        ran = await run(client, "w", priority=Priority.HIGH)
        tree = await tree_of(client, ran.task.task_id)
    assert [task.priority for task in tree] == [Priority.HIGH] * 3


async def test_the_same_agent_may_do_several_steps() -> None:
    """W1: each time as a task of its own."""
    asked = saying("ok")
    agent = asked.member("any")
    await run_alone(Workflow("w", [Step("one", agent), Step("two", agent)]))
    assert len(asked.readings) == 2
