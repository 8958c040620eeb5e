"""Teams in a plain pydantic-ai agent, without a server."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, DeferredToolRequests, RunContext, Tool
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel
from tests.blackbox.teams import CHECK, Crew, Ended, RunParent, TeamToolsetBehaviour, assign, lead, spawn, tell, until
from tests.blackbox.teams_of_subagents import TeamOfSubagentsBehaviour
from tests.support.gated_model import Gate
from tests.support.scripts import Script

from musterd.subagents import SubAgentConfig, TaskManager
from musterd.subagents.host import Delegator
from musterd.subagents.registry import MAX_NAME_CHARS
from musterd.teams import create_team_toolset
from musterd.teams.leading import MEMBER_NESTING
from musterd.teams.recruits import MAX_TEAM_MEMBERS


class Page(BaseModel):
    title: str


class TestTeamsInMemory(TeamToolsetBehaviour, TeamOfSubagentsBehaviour):
    @pytest.fixture
    def run_parent(self) -> RunParent:
        async def run(agent: Agent[Any, str], prompt: str) -> str:
            return (await agent.run(prompt)).output

        return run


async def test_a_failed_run_of_the_leader_ends_its_members() -> None:
    """T5: however it ends."""
    gate = Gate()
    crew = Crew.of(ann=[gate, "never"])

    def fail(_: list[str]) -> Any:
        raise RuntimeError("the leader is lost")

    script = Script(spawn("ann"), assign("ann", "write"), gate.reached, fail)
    with pytest.raises(RuntimeError, match="the leader is lost"):
        await lead(script, create_team_toolset(agent_factory=crew.build)).run("go")
    assert crew.ended["ann"].was_canceled


async def test_members_run_in_the_callers_task_manager() -> None:
    """T5: where a program can see and stop them."""
    tasks = TaskManager()
    gate = Gate()
    crew = Crew.of(ann=[gate, "never"])
    script = Script(spawn("ann"), assign("ann", "write"), gate.reached, CHECK, "done")
    toolset = create_team_toolset(agent_factory=crew.build, task_manager=tasks)
    running = asyncio.create_task(lead(script, toolset).run("go"))
    await gate.reached.wait()
    (task_id,) = tasks.list_active_tasks()
    await tasks.hard_cancel(task_id)
    await running
    assert crew.ended["ann"].was_canceled


def starter(text: str | Callable[[], str]) -> Any:
    async def task_fn(ctx: RunContext[Any], *, description: str, subagent_type: str, mode: str) -> str:
        assert (description, subagent_type, mode) == ("write", "ann", "async")
        return text if isinstance(text, str) else text()

    return task_fn


async def test_members_can_be_started_by_another_engine() -> None:
    """T5: task_fn starts them; its text names the task."""
    script = Script(spawn("ann"), assign("ann", "write"), "done")
    toolset = create_team_toolset(
        agent_factory=Crew.of(ann=[]).build, task_fn=starter("Task started in background.\nTask ID: 42\nSubagent: ann")
    )
    await lead(script, toolset).run("go")
    assert script.returned_to()[-1].endswith("Agent running in background.\nTask ID: 42")


def refuse() -> str:
    raise RuntimeError("engine off")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Error: too busy", "the subagent engine did not start a background task.\nError: too busy"),
        ("Task ID:", "the subagent engine did not start a background task.\nTask ID:"),
        (refuse, "engine off"),
    ],
)
async def test_a_task_that_another_engine_does_not_start_leaves_no_todo(
    text: str | Callable[[], str], told: str
) -> None:
    """T5: the member is idle as before."""
    script = Script(spawn("ann"), assign("ann", "write"), CHECK, tell("ann", "hello"), "done")
    toolset = create_team_toolset(agent_factory=Crew.of(ann=[]).build, task_fn=starter(text))
    await lead(script, toolset).run("go")
    _, started, status, recorded = script.returned_to()
    assert started == f"Error starting task for 'ann': {told}"
    assert status == "Team 'crew' status:\n\nMembers:\n- ann: idle"
    assert "no running task" in recorded


async def test_a_member_without_a_model_of_its_own_uses_its_leaders() -> None:
    """T5: without an agent_factory a member is made from what the leader says of it."""
    ann = Script("a page")
    leader = Script(
        ("spawn_team", {"team_name": "crew", "members": [{"name": "ann", "instructions": "Rhyme always."}]}),
        assign("ann", "write"),
        until("Result: a page"),
        "done",
    )

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return await (ann if "Rhyme always." in (info.instructions or "") else leader).respond(messages, info)

    await Agent(FunctionModel(answer), toolsets=[create_team_toolset()]).run("go")
    assert ann.said_to() == ["write"]


async def test_an_unknown_model_is_refused_when_the_team_is_spawned() -> None:
    """T5: and not when the member is to work."""
    members = [{"name": "ann", "model": "nobody:nothing"}]
    script = Script(("spawn_team", {"team_name": "crew", "members": members}), CHECK, "done")
    await lead(script, create_team_toolset()).run("go")
    refused, status = script.returned_to()
    assert refused.startswith("Error: ")
    assert "nobody" in refused
    assert status == "No team is active."


def test_the_toolset_has_its_tools_and_texts() -> None:
    """T5: descriptions replace a tool's text by its name; the id is deep-team unless another is given."""
    toolset = create_team_toolset(descriptions={"spawn_team": "Make a crew.", "list_todos": "Look."})
    assert list(toolset.tools) == [
        "spawn_team",
        "assign_task",
        "check_teammates",
        "message_teammate",
        "dissolve_team",
        "list_todos",
        "add_todo",
        "claim_todo",
        "complete_todo",
        "remove_todo",
    ]
    assert toolset.tools["spawn_team"].description == "Make a crew."
    assert toolset.tools["list_todos"].description == "Look."
    assert toolset.tools["dissolve_team"].description
    assert (toolset.id, create_team_toolset(id="crew").id) == ("deep-team", "crew")
    assert isinstance(toolset, Delegator)


def test_texts_for_tools_that_are_not_there_are_refused() -> None:
    """T5: with the names of those that are."""
    with pytest.raises(ValueError, match=r"descriptions name unknown tools: spawn\. The tools are: spawn_team, "):
        create_team_toolset(descriptions={"spawn": "Make a crew."})


async def test_a_todo_has_the_text_that_its_members_task_has() -> None:
    """T5: of an output that is no text, its JSON."""
    ann = TestModel(call_tools=[], custom_output_args={"title": "Spring"})
    toolset = create_team_toolset(agent_factory=lambda _: Agent(ann, name="ann", output_type=Page))
    script = Script(spawn("ann"), assign("ann", "write"), until("ann: completed"), "done")
    await lead(script, toolset).run("go")
    status = script.returned_to()[-1]
    assert '- ann: completed\n  Result: {"title":"Spring"}' in status
    assert '[completed] write (@ann)\n  Result: {"title":"Spring"}' in status


async def test_a_member_that_needs_an_approval_frees_its_todo() -> None:
    """T5, N2: without a server nobody can give it, so the task fails."""

    async def publish() -> str:
        raise AssertionError

    def build(_: SubAgentConfig) -> Agent[Any, Any]:
        output_type = [str, DeferredToolRequests]
        tools = [Tool(publish, requires_approval=True)]
        return Agent(Script(("publish", {})).model, name="ann", output_type=output_type, tools=tools)

    script = Script(spawn("ann"), assign("ann", "write"), until("ann: failed"), "done")
    await lead(script, create_team_toolset(agent_factory=build)).run("go")
    assert "[pending] write" in script.returned_to()[-1]


def test_a_member_nothing_is_known_of_cannot_be_prepared() -> None:
    """T5: a server that runs a member elsewhere has its definition."""
    with pytest.raises(LookupError, match="nothing is known of a member 'ann'"):
        create_team_toolset().prepare("ann", description="write", definition_json="", deps=None, model=None)


async def test_a_member_may_lead_a_team_of_its_own_but_not_its_members() -> None:
    """T5: how deep teams go is limited."""
    bob = Script(spawn("cid"), assign("cid", "write"), "bob is done")
    ann = Script(spawn("bob"), assign("bob", "write"), until("bob: completed"), "ann is done")
    script = Script(spawn("ann"), assign("ann", "write"), until("ann: completed"), "done")
    bobs = create_team_toolset(agent_factory=Crew.of(cid=[]).build)
    anns = create_team_toolset(agent_factory=lambda _: Agent(bob.model, name="bob", toolsets=[bobs]))
    top = create_team_toolset(agent_factory=lambda _: Agent(ann.model, name="ann", toolsets=[anns]))
    await lead(script, top).run("go")
    assert "Result: ann is done" in script.returned_to()[-1]
    assert "Result: bob is done" in ann.returned_to()[-1]
    assert bob.returned_to()[-1] == "Error starting task for 'cid': this run may not have others work for it"


@dataclass(frozen=True)
class Wallet:
    depth: int = 9

    def clone_for_subagent(self, max_depth: int = 0) -> "Wallet":
        return Wallet(max_depth)


async def test_a_member_gets_deps_of_its_own() -> None:
    """T5: from deps that can be cloned for a subagent."""
    seen: list[Wallet] = []
    ann = Script(("look", {}), "a page")

    async def look(ctx: RunContext[Wallet]) -> str:
        seen.append(ctx.deps)
        return "seen"

    toolset = create_team_toolset(agent_factory=lambda _: Agent(ann.model, name="ann", deps_type=Wallet, tools=[look]))
    script = Script(spawn("ann"), assign("ann", "write"), until("ann: completed"), "done")
    await Agent(script.model, toolsets=[toolset], deps_type=Wallet).run("go", deps=Wallet())
    assert seen == [Wallet(MEMBER_NESTING)]


async def test_a_factory_that_makes_no_agent_is_refused() -> None:
    """T5: when the team is spawned."""
    script = Script(spawn("ann"), CHECK, "done")
    await lead(script, create_team_toolset(agent_factory=lambda _: "ann")).run("go")
    assert script.returned_to() == [
        "Error: the agent_factory returned a str and not an agent",
        "No team is active.",
    ]


async def test_a_team_has_so_many_members_and_no_more() -> None:
    """T5: the limit, at its edge."""
    names = [f"m{number}" for number in range(MAX_TEAM_MEMBERS + 1)]
    script = Script(spawn(*names), spawn(*names[1:]), "done")
    crew = Crew({name: Script() for name in names}, {name: Ended() for name in names})
    await lead(script, create_team_toolset(agent_factory=crew.build)).run("go")
    too_many, spawned = script.returned_to()
    assert too_many == f"Error: A team has at most {MAX_TEAM_MEMBERS} members, not {MAX_TEAM_MEMBERS + 1}."
    assert spawned.startswith(f"Team 'crew' created with {MAX_TEAM_MEMBERS} members:")


async def test_a_name_is_one_that_can_be_stored() -> None:
    """T5 (refusal): the longest one, and any script, will do."""
    longest = "ß" * MAX_NAME_CHARS
    script = Script(spawn("ann", "a\0nn"), spawn("a\nn"), spawn(longest + "ß"), spawn(longest, "日 👩‍💻"), "done")
    crew = Crew({name: Script() for name in (longest, "日 👩‍💻")}, {name: Ended() for name in (longest, "日 👩‍💻")})
    await lead(script, create_team_toolset(agent_factory=crew.build)).run("go")
    assert script.returned_to() == [
        "Error: A member cannot be called 'a\\x00nn'.",
        "Error: A member cannot be called 'a\\nn'.",
        f"Error: A member's name has at most {MAX_NAME_CHARS} characters, not {MAX_NAME_CHARS + 1}.",
        f"Team 'crew' created with 2 members:\n- {longest}\n- 日 👩‍💻",
    ]


async def test_a_call_with_the_id_of_an_earlier_one_is_another_call() -> None:
    """T5 (refusal): some models give the calls of each response the same ids again."""
    toolset = create_team_toolset(agent_factory=Crew.of(ann=[Gate()]).build)
    calls = [spawn("ann"), spawn("ann"), assign("ann", "write"), assign("ann", "write")]

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        said = [part.content for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
        if len(said) < len(calls):
            return ModelResponse(parts=[ToolCallPart(*calls[len(said)], tool_call_id="call-0")])
        return ModelResponse(parts=[TextPart("\n---\n".join(map(str, said)))])

    result = await Agent(FunctionModel(answer), toolsets=[toolset]).run("go")
    spawned, again, assigned, while_running = result.output.split("\n---\n")
    assert spawned == "Team 'crew' created with 1 members:\n- ann"
    assert again == "Error: A team is already active. Dissolve it first."
    assert assigned.startswith("Task assigned to 'ann'")
    assert while_running == "Error: Member 'ann' is already running. Check status first."
