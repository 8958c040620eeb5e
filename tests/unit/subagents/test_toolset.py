"""The toolset itself: its tools, their texts, and what it refuses."""

from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.models.test import TestModel
from pydantic_ai.toolsets import FunctionToolset
from pydantic_ai.usage import RunUsage, UsageLimits
from tests.blackbox.subagent_scripts import over
from tests.support.turns import taking

import musterd.subagents
from musterd.subagents import (
    DynamicAgentRegistry,
    SubAgentConfig,
    SubAgentToolset,
    create_agent_factory_toolset,
    create_subagent_toolset,
    get_subagent_system_prompt,
    get_task_instructions_prompt,
)
from musterd.subagents.asking import asking_toolset
from musterd.subagents.host import Delegator
from musterd.subagents.preparing import StoredSubagent


def named_a(**config: Any) -> SubAgentConfig:
    return SubAgentConfig(name="a", description="is a", instructions="", **config)


PLAIN = named_a(model="test")
TOOLS = [
    "task",
    "check_task",
    "answer_subagent",
    "send_message_to_subagent",
    "list_active_tasks",
    "wait_tasks",
    "soft_cancel_task",
    "hard_cancel_task",
]


def test_the_toolset_has_the_tools_of_the_contract() -> None:
    """S1."""
    subagents = create_subagent_toolset()
    assert isinstance(subagents, SubAgentToolset)
    assert isinstance(subagents, FunctionToolset)
    assert isinstance(subagents, Delegator)
    assert list(subagents.tools) == TOOLS
    assert subagents.id == "subagents"
    assert create_subagent_toolset(id="mine").id == "mine"


@pytest.mark.parametrize(
    "toolset",
    [
        create_subagent_toolset(),
        create_agent_factory_toolset(DynamicAgentRegistry()),
        asking_toolset(),
    ],
)
def test_all_tools_may_be_called_again_after_a_crash(toolset: FunctionToolset[Any]) -> None:
    """S13."""
    assert [tool.name for tool in toolset.tools.values() if tool.metadata != {"musterd_repeatable": True}] == []


def test_the_task_tool_lists_the_subagents() -> None:
    """S1, S2: with the general-purpose one unless it is switched off."""
    text = create_subagent_toolset([PLAIN]).tools["task"].description or ""
    assert "\n- a: is a\n- general-purpose: " in text
    assert "general-purpose" not in (over(PLAIN).tools["task"].description or "")


def test_own_descriptions_replace_ours() -> None:
    """S1."""
    subagents = over(PLAIN, descriptions={"task": "mine"})
    assert subagents.tools["task"].description == "mine"
    assert subagents.tools["check_task"].description == musterd.subagents.CHECK_TASK_DESCRIPTION.strip()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"subagents": [PLAIN, PLAIN]}, "two subagents are named 'a'"),
        ({"descriptions": {"tsak": "x"}}, "descriptions name unknown tools: tsak"),
        ({"max_nesting_depth": -1}, "max_nesting_depth must be 0 or more, it is -1"),
        ({"ask_timeout_seconds": 0}, "ask_timeout_seconds must be more than 0, it is 0"),
        ({"max_running_tasks": 0}, "max_running_tasks must be 1 or more, it is 0"),
        ({"subagents": [named_a(max_retries=-1)]}, "max_retries must be 0 or more, it is -1"),
        ({"subagents": [named_a(preferred_mode="later")]}, "must be one of sync, async, auto, it is 'later'"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(wrong: dict[str, Any], text: str) -> None:
    """S1, S2, S4 (refusal)."""
    with pytest.raises(ValueError, match=text):
        create_subagent_toolset(**wrong)


def test_what_is_no_agent_is_refused() -> None:
    """S2 (refusal)."""
    with pytest.raises(TypeError, match="the agent of subagent 'a' must be a pydantic-ai agent"):
        create_subagent_toolset([named_a(agent="me")])


def test_a_new_agent_gets_what_its_config_says() -> None:
    """S2: agent_kwargs are arguments of Agent, and toolsets of both places count."""
    one, two = FunctionToolset[Any](id="one"), FunctionToolset[Any](id="two")
    config = named_a(model="test", toolsets=[one], agent_kwargs={"name": "other", "toolsets": [two]})
    agent = over(config).prepare("a", description="x", definition_json="", deps=None, model=None).agent
    assert agent.name == "other"
    assert [toolset.id for toolset in agent.toolsets][-2:] == ["one", "two"]


@pytest.mark.parametrize(
    ("config", "default", "model"),
    [
        (PLAIN, "other", None),
        (named_a(agent=Agent(TestModel())), "other", None),
        (named_a(agent=Agent(), model="own"), "default", "own"),
        (named_a(agent=Agent()), "default", "default"),
        (named_a(agent=Agent()), None, "callers"),
    ],
)
def test_a_subagent_keeps_its_own_model(config: SubAgentConfig, default: str | None, model: str | None) -> None:
    """S1, S2: its agent's, its config's, the toolset's, its caller's."""
    prepared = over(config, default_model=default).prepare(
        config["name"], description="x", definition_json="", deps=None, model="callers"
    )
    assert prepared.model == model


def test_limits_that_depend_on_the_call_are_stored_with_the_delegation() -> None:
    """S1: another process has no call to ask for."""

    def one_request(_: RunContext[Any], config: SubAgentConfig) -> UsageLimits:
        return UsageLimits(request_limit=1)

    subagents = over(PLAIN, usage_limits=one_request)
    stored = StoredSubagent(usage_limits=UsageLimits(request_limit=1, tool_calls_limit=2)).to_json()
    prepared = subagents.prepare("a", description="x", definition_json=stored, deps=None, model=None)
    assert prepared.usage_limits == UsageLimits(request_limit=1, tool_calls_limit=2)
    assert StoredSubagent().to_json() == ""
    assert StoredSubagent.from_json("") == StoredSubagent()


def test_usage_adds_up() -> None:
    """S1."""
    subagents = over(PLAIN)
    prepared = subagents.prepare("a", description="x", definition_json="", deps=None, model=None)
    prepared.report(RunUsage(requests=1, input_tokens=2, output_tokens=3))
    prepared.report(RunUsage(requests=1, input_tokens=2))
    assert subagents.get_total_usage() == {"input_tokens": 4, "output_tokens": 3, "total_tokens": 7, "requests": 2}


def test_prompts_say_who_is_there_and_whether_one_may_ask() -> None:
    """S12."""
    mute = SubAgentConfig(name="b", description="is b", instructions="", can_ask_questions=False)
    lines = get_subagent_system_prompt([PLAIN, mute]).splitlines()
    assert lines[0] == "## Available Subagents"
    assert lines[-2:] == ["- **a**: is a", "- **b**: is b *(cannot ask clarifying questions)*"]
    assert "In async mode" in get_subagent_system_prompt([PLAIN], include_dual_mode=True)
    asks = get_task_instructions_prompt("do it", max_questions=2)
    assert asks.startswith("## Your Task\n\ndo it\n\n## Asking Questions\n")
    assert "up to 2 questions" in asks
    assert "## Note" in get_task_instructions_prompt("do it", can_ask_questions=False)


async def test_an_agent_may_list_its_subagents_in_its_instructions() -> None:
    """S12: the prompt fits where an Agent takes instructions."""
    agent = Agent(taking("done"), instructions=get_subagent_system_prompt([PLAIN]), toolsets=[over(PLAIN)])
    assert (await agent.run("go")).output == "done"


def test_the_public_names_are_there_and_sorted() -> None:
    """S12."""
    names = musterd.subagents.__all__
    assert [name for name in names if not hasattr(musterd.subagents, name)] == []
    assert {"TaskManager", "TaskHandle", "TaskStatus", "TaskPriority", "AgentMessage", "run_with_retry"} <= set(names)
