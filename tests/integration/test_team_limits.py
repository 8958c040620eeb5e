"""The limits of a team's run: its budget, its rounds, and how often a member may fail."""

from collections.abc import Sequence

import pytest
from pydantic_ai import Agent
from tests.support.actors import Actor, Answer, Reading, add_todo, crashing, delegate, saying, steps
from tests.support.gated_model import Gate, stopping

from musterd import Musterd, Team
from musterd.runtime.teams.todos import MAX_FAILURES_OF_MEMBER, MAX_ROUNDS
from musterd.testing import serve
from musterd_client import TaskFailedError, TaskState, TodoStatus, UsageLimits


async def plan_one_in_each_round(reading: Reading) -> Answer:
    if len(reading.returns) < len(reading.prompts):
        return [add_todo(f"todo {len(reading.prompts)}")]
    return f"after {len(reading.prompts) - 1} rounds"


async def test_a_leader_that_never_has_enough_is_asked_a_last_time() -> None:
    """T1: in mode tasks; what it adds then stays on the list."""
    team = Team("ta", [saying("did it").member("ann")], model=Actor(plan_one_in_each_round).model, mode="tasks")
    async with serve(Musterd(teams=[team])) as client:
        result = await client.run_team("ta", "go").result()
        board = await client.teams.board(result.task.task_id)
    assert result.text == f"after {MAX_ROUNDS} rounds"
    assert [todo.status for todo in board.todos] == [TodoStatus.COMPLETED] * MAX_ROUNDS + [TodoStatus.PENDING]


async def test_a_member_that_failed_too_often_gets_no_more_todos() -> None:
    """T1, T2: in mode tasks, at the edge of what is borne of one member."""
    leader = steps([add_todo("it")], "planned", "given up")
    team = Team("ta", [crashing("bad")], model=leader.model, mode="tasks", max_member_failures=100)
    async with serve(Musterd(teams=[team])) as client:
        result = await client.run_team("ta", "go").result()
        board = await client.teams.board(result.task.task_id)
    assert result.text == "given up"
    assert [turn.state for turn in board.members[0].tasks] == [TaskState.FAILED] * MAX_FAILURES_OF_MEMBER
    assert [(todo.status, todo.attempts) for todo in board.todos] == [(TodoStatus.PENDING, MAX_FAILURES_OF_MEMBER)]


PLANS: dict[str, Sequence[Answer]] = {
    "coordinate": ([delegate("ann", "it")], "combined"),
    "route": ([delegate("ann", "it")],),
    "broadcast": ("combined",),
    "tasks": ([add_todo("it")], "planned", "combined"),
}
"""What the leader does in each mode, with one request for each; ann's one is beside that."""


@pytest.mark.parametrize("mode", PLANS)
async def test_the_requests_of_members_count_into_the_budget_of_the_team(mode: str) -> None:
    """R10, T1: exactly as many as are needed are enough."""
    needed = len(PLANS[mode]) + 1
    team = Team("it", [saying("done").member("ann")], model=steps(*PLANS[mode]).model, mode=mode)
    async with serve(Musterd(teams=[team])) as client:
        limits = UsageLimits(requests=needed)
        result = await client.run_team("it", "go", usage_limits=limits).result()
        task = await client.tasks.status(result.task.task_id)
    assert task.tree_usage is not None
    assert task.tree_usage.requests == needed


@pytest.mark.parametrize(
    ("mode", "fewer"), [("coordinate", 1), ("coordinate", 2), ("broadcast", 1), ("tasks", 1), ("tasks", 2)]
)
async def test_a_team_that_has_spent_its_budget_ends_for_that_reason(mode: str, fewer: int) -> None:
    """R10, T1: whether the leader or a member has nothing left."""
    needed = len(PLANS[mode]) + 1
    team = Team("it", [saying("done").member("ann")], model=steps(*PLANS[mode]).model, mode=mode)
    async with serve(Musterd(teams=[team])) as client:
        with pytest.raises(TaskFailedError) as failed:
            await client.run_team("it", "go", usage_limits=UsageLimits(requests=needed - fewer)).result()
    assert failed.value.reason == "USAGE_LIMIT_EXCEEDED"


async def test_a_broadcast_for_which_there_is_no_room_says_so() -> None:
    """R9, T1: what was started of it is canceled."""
    # One that waits for its turn may get it when the leader has failed: then it must not be done before it is canceled.
    members = [Agent(stopping(Gate()), name=name) for name in ("ann", "bob")]
    team = Team("it", members, model=saying("never").model, mode="broadcast")
    async with serve(Musterd(teams=[team]), runtime={"max_running_tasks": 1, "max_queued_tasks": 1}) as client:
        with pytest.raises(TaskFailedError) as failed:
            await client.run_team("it", "go").result()
        turns = [task async for task in client.tasks.list(parent_task_id=failed.value.task.task_id)]
    assert failed.value.reason == "CAPACITY_EXHAUSTED"
    assert [turn.state for turn in turns] == [TaskState.CANCELED]
