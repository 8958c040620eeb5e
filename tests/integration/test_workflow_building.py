"""Workflows as components: prototypes and factories, their input, who may run them, and what clients learn of them."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from pydantic import BaseModel, Field
from pydantic_ai import Agent
from structlog.testing import capture_logs
from tests.support.actors import saying
from tests.support.tokens import AUTH, TASK_SCOPES, token
from tests.support.workflow_runs import run, run_alone

from musterd import (
    Built,
    Condition,
    FactoryPermissionError,
    FactoryValidationError,
    Loop,
    Musterd,
    Parallel,
    Prototype,
    RequestContext,
    Step,
    StepInput,
    Team,
    Workflow,
    WorkflowFactory,
)
from musterd.testing import serve
from musterd_client import (
    CallError,
    InvalidArgumentError,
    MusterdClient,
    NotFoundError,
    PermissionDeniedError,
    ServerFailedError,
    WorkflowStepKind,
)


def echo(given: StepInput) -> str:
    return given.request


class Order(BaseModel):
    """What a run is given beside its message."""

    topic: str = Field(min_length=1)
    pages: int = 1


class Papers:
    """A factory that gives callers of the gold tier a second draft, and refuses who has no tier."""

    def __init__(self) -> None:
        self.calls = 0

    @property
    def app(self) -> Musterd:
        return Musterd(workflows=[WorkflowFactory("papers", self.build, description="writes", input_schema=Order)])

    def build(self, context: RequestContext) -> Workflow:
        self.calls += 1
        tier = context.trusted.claims.get("tier")
        if tier is None:
            raise FactoryPermissionError("customers only")
        drafts = ["first", "second"] if tier == "gold" else ["first"]
        topic = context.input.topic
        return Workflow(
            "whatever", [Parallel([Step(each, lambda _, each=each: f"{each} of {topic}") for each in drafts])]
        )

    @asynccontextmanager
    async def serving(self, **claims: Any) -> AsyncGenerator[MusterdClient]:
        """Serve the app to one caller with these claims."""
        scopes = f"workflows:run {TASK_SCOPES}"
        async with serve(self.app, auth=AUTH, token=token("ada", scopes=scopes, **claims)) as client:
            yield client


@pytest.mark.parametrize(
    ("tier", "value"),
    [("gold", {"first": "first of rain", "second": "second of rain"}), ("silver", {"first": "first of rain"})],
)
async def test_a_claim_decides_which_steps_there_are(tier: str, value: Any) -> None:
    """C2, C3, C10, W2: the factory is called once, and builds another graph for another claim."""
    papers = Papers()
    async with papers.serving(tier=tier) as client:
        ran = await run(client, "papers", factory_input={"topic": "rain"})
    assert ran.value == value
    assert papers.calls == 1
    # C4: the id of the factory wins over the name of what it builds.
    assert ran.task.component.id == "papers"


async def test_a_factory_that_refuses_leaves_no_task() -> None:
    """C7 (refusal): with its own words."""
    papers = Papers()
    async with papers.serving() as client:
        with pytest.raises(PermissionDeniedError, match="customers only"):
            await client.run_workflow("papers", "go", factory_input={"topic": "rain"}).result()
        assert [task async for task in client.tasks.list()] == []


async def test_a_factory_may_refuse_its_input() -> None:
    """C7 (refusal)."""

    def build(context: RequestContext) -> Workflow:
        raise FactoryValidationError("no such topic")

    async with serve(Musterd(workflows=[WorkflowFactory("it", build)])) as client:
        with pytest.raises(InvalidArgumentError, match="no such topic"):
            await client.run_workflow("it", "go").result()


@pytest.mark.parametrize("as_factory", [True, False], ids=["a factory", "a prototype"])
async def test_input_that_does_not_fit_is_refused_field_by_field(as_factory: bool) -> None:
    """C6 (refusal): before anything is built or runs; a missing input counts as an empty one."""
    flow = Workflow("it", [echo], input_schema=Order)
    component = WorkflowFactory("it", lambda _: flow, input_schema=Order) if as_factory else flow
    async with serve(Musterd(workflows=[component])) as client:
        with pytest.raises(InvalidArgumentError) as wrong:
            await client.run_workflow("it", "go", factory_input={"topic": "", "pages": "many"}).result()
        with pytest.raises(InvalidArgumentError) as missing:
            await client.run_workflow("it", "go").result()
        assert [task async for task in client.tasks.list()] == []
    assert [each.path for each in wrong.value.violations] == ["factory_input.topic", "factory_input.pages"]
    assert [(each.path, each.rule) for each in missing.value.violations] == [("factory_input.topic", "missing")]


async def test_a_run_needs_a_message_or_an_input() -> None:
    """W1: for a workflow an input is enough, for nothing else."""
    flow = Workflow("it", [Step("look", lambda given: [given.request, given.input])])
    app = Musterd(workflows=[flow], agents=[saying("x").member("agent")])
    async with serve(app) as client:
        ran = await run(client, "it", "", factory_input={"a": 1})
        assert ran.value == ["", {"a": 1}]
        for refused in (client.run_workflow("it", ""), client.run_agent("agent", "", factory_input={"a": 1})):
            with pytest.raises(InvalidArgumentError, match="give a message or at least one part"):
                await refused.result()


async def test_the_schema_of_the_factory_counts_and_not_that_of_what_it_builds() -> None:
    """C6, W1."""
    built = Workflow("x", [Step("look", lambda given: given.input)], input_schema=Order)
    ran = await run_alone(WorkflowFactory("it", lambda _: built), factory_input={"other": 1})
    assert ran.value == {"other": 1}


@pytest.mark.parametrize(
    "made",
    [None, "a text", Workflow, Agent(name="x"), Built(Team("x", [Agent(name="x")])), Step("x", echo)],
    ids=["nothing", "a text", "a class", "an agent", "a team, built", "a step"],
)
async def test_what_is_no_workflow_is_told_to_the_log_alone(made: Any) -> None:
    """C4 (refusal)."""
    with capture_logs() as logs:
        async with serve(Musterd(workflows=[WorkflowFactory("it", lambda _: made)])) as client:
            with pytest.raises(ServerFailedError) as failed:
                await client.run_workflow("it", "go").result()
    error = cast("CallError", failed.value)
    assert (error.reason, "Workflow" in error.message) == ("FACTORY_FAILED", False)
    (entry,) = [entry for entry in logs if entry.get("error_id") == error.metadata["error_id"]]
    assert "the factory 'it' must return a Workflow (or Built), but returned" in entry["exception"]


async def test_a_factory_in_the_steps_of_what_a_factory_builds_is_refused() -> None:
    """C5 (refusal): when it is built; the caller learns nothing of it."""
    inner: Any = WorkflowFactory("inner", lambda _: None)
    with capture_logs() as logs:
        async with serve(Musterd(workflows=[WorkflowFactory("it", lambda _: Workflow("w", [inner]))])) as client:
            with pytest.raises(ServerFailedError) as failed:
                await client.run_workflow("it", "go").result()
    assert "a WorkflowFactory is no step" not in failed.value.message
    assert any("a WorkflowFactory is no step" in entry.get("exception", "") for entry in logs)


async def test_a_factory_builds_asynchronously_and_is_taken_down() -> None:
    """C3: the context ends with the attempt."""
    happened: list[str] = []

    @asynccontextmanager
    async def build(context: RequestContext) -> AsyncGenerator[Workflow]:
        yield Workflow("w", [Step("work", lambda _: happened.append("worked"))])
        happened.append("taken down")

    await run_alone(WorkflowFactory("it", build))
    assert happened == ["worked", "taken down"]


async def test_looking_for_workflows_calls_no_factory() -> None:
    """C8: its steps are not known in advance, its input is."""
    papers = Papers()
    async with papers.serving(tier="gold") as client:
        (listed,) = [flow async for flow in client.workflows.list()]
        got = await client.workflows.get("papers")
    assert listed == got
    assert (got.workflow_id, got.description, got.is_factory, got.steps) == ("papers", "writes", True, ())
    assert json.loads(got.input_schema_json)["required"] == ["topic"]
    assert papers.calls == 0


async def test_a_prototype_tells_its_steps() -> None:
    """C8, W1: with those inside containers and workflows."""
    inner = Workflow("inner", [echo], description="inner one")
    flow = Workflow(
        "outer",
        [
            Step("nested", inner, description="goes down"),
            Loop(Parallel(saying("x").member("ann"), echo), 3, name="again"),
            Condition(lambda _: True, Step("yes", echo), Step("no", echo), name="if"),
        ],
        description="outer one",
        input_schema=Order,
    )
    async with serve(Musterd(workflows=[Prototype(flow)])) as client:
        got = await client.workflows.get("outer")
    assert (got.name, got.description, got.is_factory) == ("outer", "outer one", False)
    assert json.loads(got.input_schema_json)["required"] == ["topic"]
    nested, again, choice = got.steps
    assert (nested.kind, nested.description) == (WorkflowStepKind.WORKFLOW, "goes down")
    assert [each.name for each in nested.steps] == ["echo"]
    assert (again.kind, again.max_iterations) == (WorkflowStepKind.LOOP, 3)
    assert [each.kind for each in again.steps] == [WorkflowStepKind.PARALLEL]
    assert [each.kind for each in again.steps[0].steps] == [WorkflowStepKind.AGENT, WorkflowStepKind.FUNCTION]
    assert ([each.name for each in choice.steps], [each.name for each in choice.else_steps]) == (["yes"], ["no"])


async def test_the_list_holds_what_the_caller_may_run() -> None:
    """C8: and one alone is for who may read or run it."""
    app = Musterd(workflows=[Workflow(name, [echo]) for name in "abc"])
    allowed = token("ada", scopes="workflows:a:run workflows:b:read workflows:c:run")
    async with serve(app, auth=AUTH, token=allowed) as client:
        assert [flow.workflow_id async for flow in client.workflows.list(page_size=1)] == ["a", "c"]
        assert (await client.workflows.get("b")).name == "b"
        with pytest.raises(PermissionDeniedError, match="lacks the scope workflows:b:run"):
            await client.run_workflow("b", "go").result()
        with pytest.raises(PermissionDeniedError):
            await client.workflows.get("d")


async def test_a_workflow_that_is_not_there_is_not_found() -> None:
    """C8 (refusal)."""
    async with serve(Musterd()) as client:
        with pytest.raises(NotFoundError, match="no workflow 'it' is registered here"):
            await client.run_workflow("it", "go").result()
        with pytest.raises(NotFoundError):
            await client.workflows.get("it")


def test_workflows_need_ids_of_their_own() -> None:
    """C1, C2: an agent and a workflow may share one."""
    flow = Workflow("it", [echo])
    with pytest.raises(ValueError, match="two workflows have the id 'it'"):
        Musterd(workflows=[flow, WorkflowFactory("it", lambda _: flow)])
    with pytest.raises(ValueError, match="needs an id"):
        WorkflowFactory("", lambda _: flow)
    Musterd(agents=[saying("x").member("it")], workflows=[flow])


@pytest.mark.parametrize(
    "component",
    [Prototype(Agent(name="x")), Agent(name="x"), Step("x", echo), Workflow],
    ids=["a prototype of an agent", "an agent", "a step", "the class"],
)
def test_what_is_no_workflow_cannot_be_registered_as_one(component: Any) -> None:
    """C1 (refusal)."""
    with pytest.raises(
        TypeError, match=r"workflows=\[…\] takes Workflow, Prototype and WorkflowFactory objects, not \w+"
    ):
        Musterd(workflows=[component])
