"""What an app may hold, and what clients learn of it without building anything."""

import json
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel, Field
from pydantic_ai import Agent, FunctionToolset, RunContext
from tests.support.gated_model import saying
from tests.support.tokens import AUTH, token

import musterd
from musterd import AgentFactory, Musterd, Prototype, RequestContext
from musterd.testing import serve
from musterd_client import MusterdClient, NotFoundError, PermissionDeniedError


class Wish(BaseModel):
    """What the factory takes."""

    budget_cents: int = Field(description="Most that it may cost.")


def add(left: int, right: int = 0) -> int:
    """Add two numbers."""
    return left + right


async def look_up(ctx: RunContext[Any], name: str) -> str:
    """Look a name up.

    Args:
        ctx: What is known of the run.
        name: The name to look up.
    """
    return name


def never(context: RequestContext) -> Agent:
    raise AssertionError("discovery must not call a factory")


def named(name: str | None) -> Agent:
    return Agent(saying("hello"), name=name)


def app() -> Musterd:
    shared = Agent(saying("hello"), name="shared", description="Says hello.", tools=[add, look_up])
    return Musterd(
        agents=[
            AgentFactory("made", never, name="Made to measure", description="For you alone.", input_schema=Wish),
            Prototype(Agent(saying("hello"), name="prototype", toolsets=[FunctionToolset([add], id="sums")])),
            AgentFactory("bare", never),
            shared,
        ]
    )


def test_the_public_names_of_the_package_are_these() -> None:
    """C1, C2, C7, C11, H1, W1: adding to them is a decision."""
    assert musterd.__all__ == [
        "AgentFactory",
        "Built",
        "Condition",
        "FactoryPermissionError",
        "FactoryValidationError",
        "InputCheckError",
        "Loop",
        "Musterd",
        "OutputCheckError",
        "Parallel",
        "Prototype",
        "RequestContext",
        "Review",
        "Router",
        "RunInput",
        "RunOutput",
        "Step",
        "StepInput",
        "StepOutput",
        "Steps",
        "Team",
        "TeamFactory",
        "TrustedContext",
        "Workflow",
        "WorkflowFactory",
        "hook",
    ]
    assert all(getattr(musterd, name).__name__ == name for name in musterd.__all__)
    assert not hasattr(musterd, "Agent")


@pytest.mark.parametrize(
    "twins",
    [
        [named("a"), named("a")],
        [named("a"), Prototype(named("a"))],
        [named("a"), AgentFactory("a", never)],
        [AgentFactory("a", never), AgentFactory("a", never)],
    ],
    ids=["two agents", "agent and prototype", "agent and factory", "two factories"],
)
def test_two_components_cannot_share_an_id(twins: list[Any]) -> None:
    """C1 (refusal)."""
    with pytest.raises(ValueError, match="two agents have the id 'a'"):
        Musterd(agents=twins)


@pytest.mark.parametrize("unfit", ["a" * 129, "a\0b"], ids=["long", "NUL"])
def test_a_component_that_no_caller_could_name_is_refused(unfit: str) -> None:
    """C1 (refusal): prototypes and factories."""
    for agent in (named(unfit), AgentFactory(unfit, never)):
        with pytest.raises(ValueError, match="ids have at most 128 characters, and no NUL"):
            Musterd(agents=[agent])
    assert Musterd(agents=[named("a" * 128)])


@pytest.mark.parametrize("nameless", [named(None), named(""), Prototype(named(None))], ids=["none", "empty", "wrapped"])
def test_a_prototype_without_a_name_is_refused_with_the_cure(nameless: Any) -> None:
    """C1 (refusal)."""
    with pytest.raises(ValueError, match="name="):
        Musterd(agents=[nameless])


def test_a_factory_without_an_id_is_refused() -> None:
    """C2 (refusal)."""
    with pytest.raises(ValueError, match="id"):
        AgentFactory("", never)


@pytest.mark.parametrize("thing", ["agent", never, Agent, partial(never)], ids=["text", "function", "class", "partial"])
def test_what_is_no_agent_is_refused_with_what_is_taken(thing: Any) -> None:
    """C1 (refusal)."""
    with pytest.raises(TypeError, match=f"AgentFactory objects, not {type(thing).__name__}"):
        Musterd(agents=[thing])


async def test_the_list_tells_what_there_is_and_calls_no_factory() -> None:
    """C8."""
    async with serve(app()) as client:
        agents = {agent.agent_id: agent async for agent in client.agents.list(page_size=1)}
    assert list(agents) == ["bare", "made", "prototype", "shared"]
    assert [agents[name].is_factory for name in agents] == [True, True, False, False]
    assert (agents["made"].name, agents["made"].description) == ("Made to measure", "For you alone.")
    assert (agents["bare"].name, agents["bare"].description) == ("bare", "")
    assert (agents["shared"].name, agents["shared"].description) == ("shared", "Says hello.")
    assert agents["bare"].tools == agents["made"].tools == ()


async def test_an_agent_is_told_alike_alone_and_in_the_list() -> None:
    """C8."""
    async with serve(app()) as client:
        async for listed in client.agents.list():
            assert await client.agents.get(listed.agent_id) == listed
        with pytest.raises(NotFoundError, match="COMPONENT_NOT_FOUND"):
            await client.agents.get("other")


async def test_a_factory_tells_the_schema_of_its_input() -> None:
    """C8."""
    async with serve(app()) as client:
        made, bare = [await client.agents.get(agent_id) for agent_id in ("made", "bare")]
    assert json.loads(made.input_schema_json) == Wish.model_json_schema()
    assert bare.input_schema_json == ""


async def test_a_prototype_tells_its_tools() -> None:
    """C8."""
    async with serve(app()) as client:
        shared, prototype = [await client.agents.get(agent_id) for agent_id in ("shared", "prototype")]
    assert [(tool.name, tool.description) for tool in shared.tools] == [
        ("add", "Add two numbers."),
        ("look_up", "Look a name up."),
    ]
    schema = json.loads(shared.tools[0].parameters_schema_json)
    assert schema["properties"]["left"] == {"type": "integer"}
    assert schema["required"] == ["left"]
    assert "ctx" not in shared.tools[1].parameters_schema_json
    assert [tool.name for tool in prototype.tools] == ["add"]


async def test_the_list_holds_what_the_caller_may_run() -> None:
    """C8, I4."""
    some = token(scopes="agents:made:run agents:shared:run agents:bare:read")
    async with serve(app(), auth=AUTH) as server:
        for caller, expected in (
            (some, ["made", "shared"]),
            (token(scopes="agents:run"), ["bare", "made", "prototype", "shared"]),
            (token(scopes="musterd:admin"), ["bare", "made", "prototype", "shared"]),
            (token(scopes="agents:read"), []),
        ):
            async with MusterdClient(server.target, token=caller) as client:
                assert [agent.agent_id async for agent in client.agents.list()] == expected


async def test_a_caller_without_a_scope_for_agents_learns_of_none() -> None:
    """C8 (refusal): not even whether one is there."""
    stranger = token(scopes="tasks:read teams:run")
    async with serve(app(), auth=AUTH) as server, MusterdClient(server.target, token=stranger) as client:
        assert [agent async for agent in client.agents.list()] == []
        refusals: list[str] = []
        for agent_id in ("shared", "nobody"):
            with pytest.raises(PermissionDeniedError) as refused:
                await client.agents.get(agent_id)
            refusals.append(str(refused.value).replace(agent_id, "…"))
    assert refusals[0] == refusals[1]


async def test_one_agent_is_told_to_who_may_read_or_run_it() -> None:
    """C8, I4."""
    async with (
        serve(app(), auth=AUTH) as server,
        MusterdClient(server.target, token=token(scopes="agents:made:run agents:bare:read")) as client,
    ):
        for agent_id in ("made", "bare"):
            assert (await client.agents.get(agent_id)).agent_id == agent_id
        with pytest.raises(PermissionDeniedError, match="agents:shared:read"):
            await client.agents.get("shared")
