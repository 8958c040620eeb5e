import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from tests.support.gated_model import Gate
from tests.support.scripts import Call, Script

from musterd.subagents.host import Delegator, PreparedSubagent, TaskView
from musterd.subagents.manager import TaskManager
from musterd.subagents.memory import MemoryHost
from musterd.subagents.status import TaskStatus
from musterd.teams import Team, TeamMode
from musterd.teams.leader_tools import answer_of, create_leader_toolset
from musterd.teams.prompts import leader_instructions


def delegate(member: str, task: str) -> Call:
    return "delegate_to_member", {"member": member, "task": task}


def leading(script: Script | FunctionModel, members: Mapping[str, Script], *, max_queued: int = 10) -> Agent[None, str]:
    team = Team("crew", [Agent(script.model, name=name) for name, script in members.items()])

    def prepare(member: str, task: str) -> PreparedSubagent:
        agent: Any = team.members[member]
        return PreparedSubagent(agent=agent, deps=None, prompt=task)

    host = MemoryHost(TaskManager(max_running=10, max_queued=max_queued))
    model = script.model if isinstance(script, Script) else script
    return Agent(model, toolsets=[create_leader_toolset(host, team.roster, prepare)])


async def test_a_leader_gets_what_a_member_makes_of_a_task() -> None:
    """T1: the member sees nothing but the task."""
    ann = Script("a page")
    leader = Script(delegate("ann", "write"), "done")
    await leading(leader, {"ann": ann}).run("go")
    assert leader.returned_to() == ["a page"]
    assert ann.said_to() == ["write"]


async def test_members_that_are_given_work_in_one_response_work_side_by_side() -> None:
    """T1: each waits for the other to have begun."""
    ann_began, bob_began = Gate(), Gate()

    def meet(mine: Gate, other: Gate) -> Script:
        mine.open()
        return Script(mine, other.reached, "met")

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        returned = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
        if returned:
            return await Script("done").respond(messages, info)
        calls = (delegate("ann", "meet bob"), delegate("bob", "meet ann"))
        return ModelResponse(parts=[ToolCallPart(*call) for call in calls])

    members = {"ann": meet(ann_began, bob_began), "bob": meet(bob_began, ann_began)}
    assert (await leading(FunctionModel(respond), members).run("go")).output == "done"


async def test_a_leader_is_told_what_is_wrong() -> None:
    """T1: unknown members, tasks without a text, members that fail or say nothing."""

    def fail(_: list[str]) -> Call:
        raise RuntimeError("no ink")

    leader = Script(delegate("cid", "write"), delegate("ann", " "), delegate("ann", "write"), "done")
    await leading(leader, {"ann": Script(fail), "bob": Script()}).run("go")
    assert leader.returned_to() == [
        "Error: Member 'cid' not found. Available: ann, bob",
        "Error: Say what 'ann' is to do.",
        "Error: Member 'ann' failed: RuntimeError: no ink",
    ]


@pytest.mark.parametrize(
    ("status", "result", "error", "answer"),
    [
        (TaskStatus.COMPLETED, "a page", None, "a page"),
        (TaskStatus.COMPLETED, "", None, "(the member gave no answer)"),
        (TaskStatus.CANCELLED, None, "Task was cancelled", "Error: Member 'ann' was canceled."),
        (TaskStatus.FAILED, None, None, "Error: Member 'ann' failed: no reason was given"),
    ],
)
def test_each_ending_has_its_text(status: TaskStatus, result: str | None, error: str | None, answer: str) -> None:
    """T1: the leader can tell an answer from a failure."""
    view = TaskView(task_id="1", subagent="ann", description="write", status=status, result=result, error=error)
    assert answer_of(view) == answer


async def test_a_member_is_canceled_with_its_leader() -> None:
    """T1: nobody goes on working for a run that is over."""
    gate = Gate()
    running = asyncio.create_task(leading(Script(delegate("ann", "write")), {"ann": Script(gate)}).run("go"))
    await gate.reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (TeamMode.COORDINATE, "answer the request yourself"),
        (TeamMode.ROUTE, "hand the request over"),
        (TeamMode.BROADCAST, "Every member was given the request"),
        (TeamMode.TASKS, "Plan the work as todos"),
    ],
)
def test_a_leader_is_told_who_is_in_the_team_and_what_its_mode_asks(mode: TeamMode, words: str) -> None:
    """T1: in each mode."""
    team = Team("crew", [Agent(name="ann", description="writes"), Agent(name="bob")])
    told = leader_instructions(team.name, team.roster, mode)
    assert "You lead the team 'crew'." in told
    assert "- ann: writes\n- bob" in told
    assert words in told


def prepare_nobody(member: str, task: str) -> PreparedSubagent:
    raise AssertionError(f"{member} is not to be prepared for {task}")


def test_the_leaders_toolset_is_no_delegator() -> None:
    """T1: its members are those of the team, which a server finds there."""
    toolset = create_leader_toolset(MemoryHost(TaskManager()), (), prepare_nobody)
    assert not isinstance(toolset, Delegator)
    assert toolset.tools["delegate_to_member"].metadata == {"musterd_repeatable": True}
