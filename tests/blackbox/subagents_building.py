"""How subagents are built, how they fail, and how deep they may go."""

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage
from pydantic_ai.toolsets import AbstractToolset
from tests.blackbox.subagent_scripts import RunParent, child, on_last, over, parent, task, wait_all
from tests.support.turns import Call, Said, all_returned, prompts, report, taking

from musterd.subagents import (
    DynamicAgentRegistry,
    SubAgentConfig,
    create_agent_factory_toolset,
    create_subagent_toolset,
)
from musterd.subagents.registry import MAX_NAME_CHARS


def failing(times: int, status: int = 503) -> Any:
    """Return a turn that fails so often, and then says done."""
    left = times

    def turn(_: list[ModelMessage]) -> str:
        nonlocal left
        if left:
            left -= 1
            raise ModelHTTPError(status, "fake")
        return "done"

    return turn


class BuildingBehaviour:
    """Subagents come from configs, factories and other subagents, and fail."""

    async def test_a_subagent_without_a_model_uses_its_callers(self, run_parent: RunParent) -> None:
        """S1: default_model=None."""

        def both(messages: list[ModelMessage]) -> Said:
            if "## Your Task" in prompts(messages)[0]:
                return "said by the caller's model"
            return report(messages) if all_returned(messages) else task()

        config = SubAgentConfig(name="worker", description="works", instructions="work")
        assert await run_parent(parent(over(config), both), "go") == "said by the caller's model"

    async def test_a_name_that_a_model_gives_is_so_long_and_no_longer(self, run_parent: RunParent) -> None:
        """S10: the limit, at its edge."""
        registry, longest = DynamicAgentRegistry(), "p" * MAX_NAME_CHARS
        factory = create_agent_factory_toolset(registry, default_model=taking("made for it"))
        creates: list[Call] = [
            ("create_agent", {"name": name, "description": "writes", "instructions": "rhyme"})
            for name in (longest + "p", longest)
        ]
        agent = parent(over(registry=registry), creates, task(name=longest), report, more=[factory])
        refused, made, said = (await run_parent(agent, "go")).split("\n---\n")
        assert refused == f"Error: Name must have at most {MAX_NAME_CHARS} characters, not {MAX_NAME_CHARS + 1}"
        assert made.startswith(f"Agent '{longest}' created successfully.")
        assert said == "made for it"

    async def test_an_agent_goes_before_a_factory_and_a_factory_before_a_new_agent(self, run_parent: RunParent) -> None:
        """S2."""

        def build(config: SubAgentConfig) -> Agent[Any, str]:
            return Agent(taking(f"factory of {config['name']}"), name="built")

        given = child(taking("agent"), agent_factory=build)
        made = SubAgentConfig(name="made", description="", instructions="", agent_factory=build, model=taking("new"))
        new = SubAgentConfig(name="new", description="", instructions="", model=taking("new"))
        calls = [task(), task(name="made"), task(name="new")]
        said = await run_parent(parent(over(given, made, new), calls, report), "go")
        assert said.split("\n---\n") == ["agent", "factory of made", "new"]

    async def test_a_failure_is_told_to_the_callers_model(self, run_parent: RunParent) -> None:
        """S2: contain_errors."""
        config = child(taking(failing(9)), max_retries=0)
        said = await run_parent(parent(over(config), task(), report), "go")
        assert said.startswith("Error: Subagent 'worker' failed: ")

    async def test_on_failure_replaces_the_error(self, run_parent: RunParent) -> None:
        """S2."""
        config = child(taking(failing(9)), max_retries=0, on_failure="do it yourself")
        assert await run_parent(parent(over(config), task(), report), "go") == "do it yourself"

    async def test_a_background_failure_is_found_when_it_is_looked_for(self, run_parent: RunParent) -> None:
        """S5, S6."""
        config = child(taking(failing(9)), max_retries=0, contain_errors=False)
        agent = parent(over(config), task("async"), wait_all(), on_last("check_task"), report)
        _, waited, checked = (await run_parent(agent, "go")).split("\n---\n")
        assert "(worker): FAILED - " in waited
        assert "Status: failed\n" in checked
        assert "\nError: " in checked

    async def test_transient_failures_are_tried_again_and_all_usage_counts(self, run_parent: RunParent) -> None:
        """S12, S1."""
        subagents = over(child(taking(failing(2)), retry_initial_delay=0, max_retries=2))
        assert await run_parent(parent(subagents, task(), report), "go") == "done"
        total = subagents.get_total_usage()
        assert total["requests"] == 1
        assert total["total_tokens"] == total["input_tokens"] + total["output_tokens"] > 0

    async def test_usage_of_a_failed_task_counts(self, run_parent: RunParent) -> None:
        """S12: what was spent before the failure."""
        subagents = over(child(taking(("no_such_tool", {}), failing(9, 400))))
        await run_parent(parent(subagents, task(), report), "go")
        assert subagents.get_total_usage()["requests"] == 1

    async def test_a_child_may_not_delegate_by_default(self, run_parent: RunParent) -> None:
        """S13 (refusal): depth is enforced."""
        inner = over(child(taking("never")))
        middle = child(taking(task(), report), agent_arguments={"toolsets": [inner]})
        said = await run_parent(parent(over(middle), task(), report), "go")
        assert said == "Error: you are a subagent and may not delegate any further. Do the work yourself"

    async def test_children_may_delegate_as_deep_as_their_parent_allows(self, run_parent: RunParent) -> None:
        """S13: the allowed depth itself works, one more does not, whatever the toolset further down allows."""

        def deeper(_: Any) -> list[AbstractToolset[Any]]:
            return [over(recursive, toolsets_factory=deeper, max_nesting_depth=9)]

        recursive = child(taking(task(), report))
        top = create_subagent_toolset(
            [recursive], include_general_purpose=False, toolsets_factory=deeper, max_nesting_depth=1
        )
        said = await run_parent(parent(top, task(), report), "go")
        assert said == "Error: you are a subagent and may not delegate any further. Do the work yourself"

        leaf = over(child(taking("leaf")))
        allowed = create_subagent_toolset(
            [recursive], include_general_purpose=False, toolsets_factory=lambda _: [leaf], max_nesting_depth=1
        )
        assert await run_parent(parent(allowed, task(), report), "go") == "leaf"

    async def test_an_agent_that_was_made_works_like_any_other(self, run_parent: RunParent) -> None:
        """S10, S11."""
        registry = DynamicAgentRegistry()
        factory = create_agent_factory_toolset(registry, default_model=taking("made for it"))
        create: Call = ("create_agent", {"name": "poet", "description": "writes", "instructions": "rhyme"})
        agent = parent(
            over(registry=registry),
            create,
            [task(name="poet"), ("list_agents", {}), ("get_agent_info", {"name": "poet"})],
            ("remove_agent", {"name": "poet"}),
            task(name="poet"),
            report,
            more=[factory],
        )
        created, worked, listed, info, removed, gone = (await run_parent(agent, "go")).split("\n---\n")
        assert created.startswith("Agent 'poet' created successfully.\nModel: ")
        assert worked == "made for it"
        assert listed.startswith("Dynamic Agents (1):\n- poet [")
        assert [line.split(":")[0] for line in info.splitlines()] == [
            "Agent",
            "Description",
            "Model",
            "Can ask questions",
            "Instructions",
        ]
        assert removed == "Agent 'poet' has been removed."
        assert gone == "Error: Unknown subagent 'poet'. Available: none"
