"""The tool with which a team's leader gives work to members."""

from collections.abc import Callable, Sequence
from typing import Any

from pydantic_ai import FunctionToolset, RunContext

from musterd.domain.board import BoardMember
from musterd.subagents.descriptions import REPEATABLE
from musterd.subagents.host import Delegation, DelegationRefused, PreparedSubagent, Starter, TaskView
from musterd.subagents.status import TaskStatus

LEADER_TOOLSET_ID = "musterd-leader"

NO_ANSWER = "(the member gave no answer)"
"""What the leader reads when a member ended its turn with an empty text."""


def create_leader_toolset(
    host: Starter,
    members: Sequence[BoardMember],
    prepare: Callable[[str, str], PreparedSubagent],
    *,
    nesting_left: int = 0,
) -> FunctionToolset[Any]:
    """Return the toolset of a team's leader, with the tool delegate_to_member.

    The tool waits for the member; calls in one response run side by side. `prepare(member, task)` is called in this
    process when the host starts the member here.
    """
    names = [member.name for member in members]

    async def delegate_to_member(ctx: RunContext[Any], member: str, task: str) -> str:
        """Give a member something to do, and wait for what comes of it. Call it several times at once to save time.

        Args:
            ctx: The run that calls.
            member: The member's name.
            task: All that the member needs to know: it sees nothing else of this conversation.
        """
        if member not in names:
            return f"Error: Member '{member}' not found. Available: {', '.join(names)}"
        if not task.strip():
            return f"Error: Say what '{member}' is to do."
        delegation = Delegation(
            subagent=member,
            description=task,
            prepare=lambda: prepare(member, task),
            toolset_id="",
            nesting_left=nesting_left,
            is_member=True,
        )
        try:
            task_id = await host.start(ctx, delegation)
        except DelegationRefused as refusal:
            return f"Error: {refusal}"
        return answer_of(await host.join(ctx, task_id))

    toolset = FunctionToolset[Any](id=LEADER_TOOLSET_ID, metadata=REPEATABLE)
    toolset.add_function(delegate_to_member)
    return toolset


def answer_of(view: TaskView) -> str:
    """Return what the leader reads of a member's turn that has ended."""
    if view.status is TaskStatus.COMPLETED:
        return view.result or NO_ANSWER
    if view.status is TaskStatus.CANCELLED:
        return f"Error: Member '{view.subagent}' was canceled."
    return f"Error: Member '{view.subagent}' failed: {view.error or 'no reason was given'}"
