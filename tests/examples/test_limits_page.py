"""docs/limits.md says of subagents, teams and workflows what the code says; the server's own limits are generated."""

import inspect
import re
from collections.abc import Callable
from typing import Any

from tests.examples.snippets import ROOT

from musterd.runtime.delegation.children import MAX_LISTED_CHILDREN
from musterd.runtime.delegation.host import MAX_DESCRIPTION_CHARS
from musterd.runtime.teams.todos import MAX_FAILURES_OF_MEMBER, MAX_ROUNDS
from musterd.subagents import RetryConfig, SubAgentToolset, TaskManager, create_agent_factory_toolset
from musterd.subagents.memory import MAX_PAST_TASKS
from musterd.subagents.registry import MAX_NAME_CHARS
from musterd.subagents.slots import AGING_SECONDS
from musterd.teams import Team, TeamMessageBus
from musterd.teams.recruits import MAX_TEAM_MEMBERS
from musterd.workflows.checking import MAX_STEP_NAME_CHARS
from musterd.workflows.plan import MAX_DEPTH, MAX_STEPS
from musterd.workflows.review import MAX_REVIEW_RETRIES
from musterd.workflows.steps import MAX_LOOP_ITERATIONS, MAX_RETRY_DELAY_SECONDS, MAX_STEP_RETRIES

ROW = re.compile(r"^\| (?P<what>[^|]+) \| (?P<value>[\d,]+) \| (?P<where>[^|]+) \|$", re.MULTILINE)


def default(function: Callable[..., Any], name: str) -> Any:
    return inspect.signature(function).parameters[name].default


def test_the_limits_of_subagents_teams_and_workflows_are_those_of_the_code() -> None:
    """S2, S10, S13, T1, T5, W1."""
    page = (ROOT / "docs" / "limits.md").read_text()
    written = {found["what"]: int(found["value"].replace(",", "")) for found in ROW.finditer(page)}
    assert written == {
        "Levels that a subagent may delegate to": default(SubAgentToolset, "max_nesting_depth"),
        "Seconds that a question of a subagent stays open": default(SubAgentToolset, "ask_timeout_seconds"),
        "Seconds that the tool `wait_tasks` waits": default(SubAgentToolset.wait_tasks, "timeout"),
        "Retries of a subagent's model request": RetryConfig().max_retries,
        "Agents that a model may make, in one tree": default(create_agent_factory_toolset, "max_agents"),
        "Characters of a name that a model gives to an agent or a member": MAX_NAME_CHARS,
        "Characters of what a child is to do, as it is listed": MAX_DESCRIPTION_CHARS,
        "Live children that `list_active_tasks` shows": MAX_LISTED_CHILDREN,
        "Members of a team that a model puts together": MAX_TEAM_MEMBERS,
        "Turns of members that may fail in one run": default(Team, "max_member_failures"),
        "Failed turns after which a member gets no more todos, in mode `tasks`": MAX_FAILURES_OF_MEMBER,
        "Times that a leader may add todos after the list was done": MAX_ROUNDS,
        "Steps and containers of a workflow": MAX_STEPS,
        "Levels of nesting, workflows in workflows counted": MAX_DEPTH,
        "Characters of a step's name": MAX_STEP_NAME_CHARS,
        "Turns that a loop may be given": MAX_LOOP_ITERATIONS,
        "Retries that a step may be given": MAX_STEP_RETRIES,
        "Longest time in seconds between two tries of a step": MAX_RETRY_DELAY_SECONDS,
        "Denials in a review that are followed by another try": MAX_REVIEW_RETRIES,
        "Tasks that run at once": default(SubAgentToolset, "max_running_tasks"),
        "Tasks that wait for their turn": default(TaskManager, "max_queued"),
        "Seconds after which a waiting task goes before a new one of the next priority": AGING_SECONDS,
        "Tasks that are kept of runs that have ended": MAX_PAST_TASKS,
        "Seconds of a soft cancel's grace": default(TaskManager, "soft_cancel_grace_seconds"),
        "Seconds after which a canceled task that does not stop is given up": default(
            TaskManager, "cancel_abandon_seconds"
        ),
        "Unread messages of a task, or of a team's member": default(TeamMessageBus, "inbox_max_messages"),
    }
