"""The modes of teams: who works, in which order, and whose answer it is."""

from typing import Any, assert_never

from pydantic_ai import ModelRetry, RunContext, ToolOutput

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.task import Output
from musterd.runtime.attempt.endings import output_of
from musterd.runtime.components.nodes import Prompt
from musterd.runtime.teams.leading import FailureCounting, TeamRun, prepared_by_team
from musterd.runtime.teams.texts import answers_text, with_text
from musterd.runtime.teams.todos import work_on_todos
from musterd.subagents.host import DelegationRefused
from musterd.subagents.status import TaskStatus
from musterd.teams.leader_tools import answer_of, create_leader_toolset
from musterd.teams.prompts import TeamMode


async def run_team(run: TeamRun) -> Output:
    """Work on the request in the team's mode, and return the team's answer.

    Raises MusterdError MEMBERS_FAILED when too many turns of members failed.
    """
    control, team = run.scope.control, run.team
    control.check()
    await control.guard(run.board.open(team.name, team.roster))
    match team.mode:
        case TeamMode.COORDINATE:
            toolset = create_leader_toolset(FailureCounting(run), team.roster, prepared_by_team)
            result = await run.lead(run.node.prompt, toolsets=(toolset,))
        case TeamMode.ROUTE:
            result = await run.lead(run.node.prompt, output_type=_handing_over(run))
            # Else the leader would not know in a later run of the session what the member said.
            run.scope.conversation = result.all_messages(output_tool_return_content=result.output)
        case TeamMode.BROADCAST:
            result = await run.lead(await _with_answers(run))
        case TeamMode.TASKS:
            result = await work_on_todos(run)
        case _:
            assert_never(team.mode)
    return output_of(result.output)


def _handing_over(run: TeamRun) -> ToolOutput[Any]:
    """Return the tool by which the leader ends its run: what the member says is the answer."""

    async def delegate_to_member(ctx: RunContext[Any], member: str, task: str) -> str:
        """Hand the request over to one member, whose answer is the team's.

        Args:
            ctx: The run that calls.
            member: The member's name.
            task: The request, with all that the member needs to know.
        """
        if member not in run.team.members:
            raise ModelRetry(f"there is no member {member!r}; there are {', '.join(run.team.members)}")
        if not task.strip():
            raise ModelRetry(f"say what {member!r} is to do")
        try:
            task_id = await run.host.start(ctx, run.delegation(member, task, in_background=False))
        except DelegationRefused as refusal:
            raise MusterdError(reason=Reason.MEMBERS_FAILED, message=str(refusal)) from refusal
        view = await FailureCounting(run).join(ctx, task_id)
        if view.status is not TaskStatus.COMPLETED:
            raise ModelRetry(answer_of(view))
        return view.result or ""

    return ToolOutput(delegate_to_member, name=delegate_to_member.__name__)


async def _with_answers(run: TeamRun) -> Prompt:
    """Give the request to every member at once, and return it with what they said."""
    spec = run.scope.spec
    turn_ids = [run.turn_id("broadcast", name) for name in run.team.members]
    for name, turn_id in zip(run.team.members, turn_ids, strict=True):
        await run.scope.control.guard(run.start_turn(turn_id, name, spec.message, spec.parts))
    turns = await run.join(turn_ids)
    await run.check_failures()
    return with_text(run.node.prompt, answers_text(turns))
