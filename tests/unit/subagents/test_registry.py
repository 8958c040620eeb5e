"""Agents that are made while others run, and whose they are."""

import gc
import weakref
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.test import TestModel
from pydantic_ai.toolsets import FunctionToolset
from pydantic_ai.usage import RunUsage
from tests.blackbox.subagent_scripts import child, over, parent, task
from tests.support.turns import Call, Said, all_returned, report, taking

from musterd.subagents import DynamicAgentRegistry, SubAgentConfig, create_agent_factory_toolset
from musterd.subagents.preparing import StoredSubagent
from musterd.subagents.registry import AgentDefinition
from musterd.subagents.scope import end_scope, registry_scope


def config(name: str) -> SubAgentConfig:
    return SubAgentConfig(name=name, description=f"is {name}", instructions="")


def create(name: str = "poet", **more: Any) -> Call:
    return "create_agent", {"name": name, "description": "writes", "instructions": "rhyme", **more}


async def asked(factory: FunctionToolset[Any], *calls: Call, deps: Any = None) -> list[str]:
    """Return what the tools answer to these calls, one after the other."""
    agent = Agent(taking(*calls, report), toolsets=[factory])
    return (await agent.run("go", deps=deps)).output.split("\n---\n")


def test_a_registry_holds_agents_by_name() -> None:
    """S11."""
    registry, agent = DynamicAgentRegistry(), Agent(TestModel())
    assert registry.get_summary() == "No dynamically created agents."
    registry.register(config("a"), agent)
    registry.register(SubAgentConfig(name="b", description="is b", instructions="", model="fake:b"), agent)
    with pytest.raises(ValueError, match="Agent 'a' already exists"):
        registry.register(config("a"), agent)
    assert registry.get("a") is agent
    assert registry.get_config("a") == config("a")
    compiled = registry.get_compiled("a")
    assert compiled is not None
    assert (compiled.name, compiled.description, compiled.agent) == ("a", "is a", agent)
    assert registry.list_agents() == ["a", "b"]
    assert [each["name"] for each in registry.list_configs()] == ["a", "b"]
    assert [each.name for each in registry.list_compiled()] == ["a", "b"]
    assert registry.get_summary() == "Dynamic Agents (2):\n- a [default]: is a\n- b [fake:b]: is b"
    assert registry.remove("a")
    assert not registry.remove("a")
    assert (registry.exists("a"), registry.exists("b"), registry.count()) == (False, True, 1)
    registry.clear()
    assert (registry.get("b"), registry.get_config("b"), registry.count()) == (None, None, 0)


@pytest.mark.parametrize("most", [0, 1])
def test_no_more_agents_than_the_limit(most: int) -> None:
    """S11 (refusal): the limit itself fits."""
    registry = DynamicAgentRegistry(max_agents=most)
    for number in range(most):
        registry.register(config(f"a{number}"), None)
    with pytest.raises(ValueError, match=rf"Maximum number of agents \({most}\) reached\."):
        registry.register(config("more"), None)


def test_trees_of_tasks_do_not_see_each_others_agents() -> None:
    """S11: but all see those of the application, and none removes these."""
    registry = DynamicAgentRegistry()
    registry.register(config("ours"), None)
    token = registry_scope.set("tenant-a/1")
    registry.register(config("secret"), None)
    assert registry.list_agents() == ["ours", "secret"]
    assert not registry.remove("ours")
    registry_scope.set("tenant-b/2")
    assert registry.list_agents() == ["ours"]
    assert registry.get("secret") is None
    registry.register(config("secret"), None)
    end_scope("tenant-b/2")
    assert registry.list_agents() == ["ours"]
    registry_scope.set("tenant-a/1")
    assert registry.list_agents() == ["ours", "secret"]
    registry_scope.reset(token)
    assert registry.list_agents() == ["ours"]


async def test_what_cannot_be_made_is_refused_in_this_order() -> None:
    """S10 (refusal): name, exists, model, capabilities, factory, room."""
    registry = DynamicAgentRegistry()
    registry.register(config("there"), None)

    def build(_: SubAgentConfig) -> Agent[Any, str]:
        return Agent(TestModel())

    factory = create_agent_factory_toolset(
        registry,
        allowed_models=["fake:a", "fake:b"],
        max_agents=1,
        capabilities_map={"files": lambda _: []},
        default_agent_factory=build,
    )
    wrong: dict[str, Any] = {"model": "fake:c", "capabilities": ["web", "files"]}
    said = await asked(
        factory,
        create("not a name", **wrong),
        create("there", **wrong),
        create(**wrong),
        create(),
        create(capabilities=["web", "files"], model="fake:a"),
        create(capabilities=["files"], model="fake:a"),
        create(model="fake:a"),
    )
    starts = [
        "Error: Name must contain only letters, numbers, and hyphens",
        "Error: Agent 'there' already exists",
        "Error: Model 'fake:c' is not allowed. Use one of: fake:a, fake:b",
        "Error: Model 'function:turns' is not allowed. Use one of: fake:a, fake:b",
        "Error: Unknown capabilities: web. Available: files",
        "Error: capabilities are not supported here",
        "Error: Maximum number of agents (1) reached.",
    ]
    assert [text[: len(start)] for text, start in zip(said, starts, strict=True)] == starts
    assert registry.list_agents() == ["there"]


async def test_no_agent_is_made_under_the_name_of_a_subagent() -> None:
    """S10 (refusal): `task` would give its tasks to the subagent, and nobody would know."""
    registry = DynamicAgentRegistry()
    over(child(taking("x")), registry=registry)
    factory = create_agent_factory_toolset(registry, default_model=taking("x"))
    refused, listed = await asked(factory, create("worker"), ("list_agents", {}))
    assert refused == "Error: Agent 'worker' already exists"
    assert listed == "No dynamically created agents."
    with pytest.raises(ValueError, match="Agent 'worker' already exists"):
        registry.register(config("worker"), None)


class CallId(str):
    """A text of which one can see whether somebody still has it."""

    __slots__ = ("__weakref__",)


def test_without_a_server_no_call_is_remembered() -> None:
    """S11: the registry lives as long as the application, and applies no earlier call again."""
    registry = DynamicAgentRegistry()
    call_id = CallId("call-1")
    has_it = weakref.ref(call_id)
    registry.note(RunContext[None](deps=None, model=TestModel(), usage=RunUsage(), tool_call_id=call_id))
    del call_id
    gc.collect()
    assert has_it() is None


async def test_capabilities_without_a_map_are_refused() -> None:
    """S10 (refusal): not ignored."""
    factory = create_agent_factory_toolset(DynamicAgentRegistry())
    assert await asked(factory, create(capabilities=["files"])) == [
        "Error: Unknown capabilities: files. Available: none"
    ]


async def test_an_agent_gets_the_toolsets_of_its_capabilities() -> None:
    """S10: made with the deps of the run that makes it."""
    seen: list[Any] = []

    def files(deps: Any) -> list[FunctionToolset[Any]]:
        tools = FunctionToolset[Any]()

        @tools.tool_plain
        def read() -> str:
            seen.append(deps)
            return "read"

        return [tools]

    registry = DynamicAgentRegistry()
    factory = create_agent_factory_toolset(
        registry, default_model=taking(("read", {}), "done"), capabilities_map={"files": files}
    )
    agent = parent(over(registry=registry), create(capabilities=["files"]), task(name="poet"), report, more=[factory])
    created, worked = (await agent.run("go", deps="deps")).output.split("\n---\n")  # pyright: ignore[reportArgumentType, reportCallIssue] - any deps do
    assert "\nCapabilities: files\n" in created
    assert (worked, seen) == ("done", ["deps"])


async def test_what_goes_wrong_while_an_agent_is_made_is_told() -> None:
    """S10."""

    def broken(_: SubAgentConfig) -> Any:
        return "no agent"

    factory = create_agent_factory_toolset(DynamicAgentRegistry(), default_agent_factory=broken)
    (said,) = await asked(factory, create())
    assert said.startswith("Error creating agent: the agent of subagent 'poet' must be a pydantic-ai agent")


async def test_unknown_agents_are_not_found() -> None:
    """S10."""
    factory = create_agent_factory_toolset(DynamicAgentRegistry())
    calls: list[Call] = [("list_agents", {}), ("remove_agent", {"name": "x"}), ("get_agent_info", {"name": "x"})]
    assert await asked(factory, *calls) == [
        "No dynamically created agents.",
        "Error: Agent 'x' not found.",
        "Error: Agent 'x' not found.",
    ]


async def test_get_agent_info_shows_all_instructions() -> None:
    """S5: nothing is cut."""
    registry = DynamicAgentRegistry()
    long = "word " * 1_000
    registry.register(
        SubAgentConfig(name="a", description="d", instructions=long, model="fake:a", can_ask_questions=False), None
    )
    factory = create_agent_factory_toolset(registry)
    assert await asked(factory, ("get_agent_info", {"name": "a"})) == [
        f"Agent: a\nDescription: d\nModel: fake:a\nCan ask questions: False\nInstructions: {long}"
    ]


def test_a_negative_limit_is_refused() -> None:
    """S10."""
    with pytest.raises(ValueError, match="max_agents must be 0 or more, it is -1"):
        create_agent_factory_toolset(DynamicAgentRegistry(), max_agents=-1)


async def history_of(*turns: Call) -> list[ModelMessage]:
    """Return the conversation of a run that made these calls, whose process is gone."""
    factory = create_agent_factory_toolset(DynamicAgentRegistry(), default_model=taking("before"))
    return (await Agent(taking(*turns, "bye"), toolsets=[factory]).run("go")).all_messages()


async def test_agents_come_back_from_the_conversation_in_another_process() -> None:
    """S11: calls that were made before are not made again; what they did is there all the same, once."""
    history = await history_of(create("poet"), create("critic"), ("remove_agent", {"name": "critic"}))
    registry = DynamicAgentRegistry()
    factory = create_agent_factory_toolset(registry, default_model=taking("after"))
    subagents = over(registry=registry)
    steps: list[Said] = [
        task(name="poet"),
        task(name="critic"),
        ("remove_agent", {"name": "poet"}),
        ("list_agents", {}),
    ]

    def go_on(messages: list[ModelMessage]) -> Said:
        return steps.pop(0) if steps else "\n---\n".join(all_returned(messages)[-4:])

    agent = Agent(taking(go_on), toolsets=[subagents, factory])
    token = registry_scope.set("tenant/root")
    said = (await agent.run("go on", message_history=history)).output
    registry_scope.reset(token)
    assert said.split("\n---\n") == [
        "after",
        "Error: Unknown subagent 'critic'. Available: poet",
        "Agent 'poet' has been removed.",
        "No dynamically created agents.",
    ]


async def test_an_agent_that_cannot_be_made_again_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """S11."""
    history = await history_of(create("poet"))
    registry = DynamicAgentRegistry()
    subagents = over(registry=registry)
    agent = Agent(taking(*["never"] * 2, task(name="poet"), report), toolsets=[subagents])
    token = registry_scope.set("tenant/other")
    said = (await agent.run("go on", message_history=history)).output
    registry_scope.reset(token)
    assert said.endswith("Error: Unknown subagent 'poet'. Available: none")
    assert "no toolset 'agent_factory' makes agents for this registry" in caplog.text


async def test_without_a_server_the_conversation_makes_no_agents() -> None:
    """S11: the registry is the application's, which may have removed one."""
    history = await history_of(create("poet"))
    registry = DynamicAgentRegistry()
    factory = create_agent_factory_toolset(registry)
    agent = Agent(taking(*["never"] * 2, ("list_agents", {}), report), toolsets=[factory])
    said = (await agent.run("go on", message_history=history)).output
    assert said.endswith("No dynamically created agents.")


async def test_a_delegation_to_an_agent_that_was_made_can_be_prepared_from_its_definition() -> None:
    """S11, S10: another process has the toolsets, but not the agent."""
    registry = DynamicAgentRegistry()
    create_agent_factory_toolset(registry, default_model=taking("after"))
    subagents = over(child(taking("x")), registry=registry)
    definition = AgentDefinition(name="poet", description="writes", instructions="rhyme", maker="agent_factory")
    prepared = subagents.prepare(
        "poet",
        description="a sonnet",
        definition_json=StoredSubagent(agent=definition).to_json(),
        deps=None,
        model=None,
    )
    assert (prepared.agent.name, "a sonnet" in prepared.prompt) == ("poet", True)
    with pytest.raises(LookupError, match="there is no subagent 'poet'"):
        subagents.prepare("poet", description="", definition_json="", deps=None, model=None)
