"""What comes about while a tree is being given up, or is: nothing that can go on waits for what others may decide."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.actors import add_todo, delegate, saying, steps, what_came
from tests.support.gated_model import Gate
from tests.support.lot import parking
from tests.support.payments import Till, asked_of, result_of
from tests.support.stage import Stage, do, task

from musterd import Musterd, Parallel, Step, StepInput, Steps, Team, Workflow
from musterd.subagents import SubAgentConfig
from musterd_client import Resolution, TaskState, TodoStatus


async def test_a_run_whose_child_ends_while_it_is_given_up_goes_on(tmp_path: Path) -> None:
    """N2, S3: another child of it waits in the background, perhaps for days."""
    till, stage = Till(), Stage()
    worker = SubAgentConfig(name="worker", description="pays", instructions="pay", agent=till.payer(name="worker"))
    plan = do([task("one"), task("two", mode="sync")], "done")
    async with parking(tmp_path, Musterd(agents=[stage.agent(stage.delegating(worker))])) as (client, lot):
        lot.parks = Gate()
        async with client.run_agent("boss", plan) as run:
            asked = await asked_of(run, times=2)
        descriptions = {each.task_id: (await client.tasks.status(each.task_id)).description for each in asked}
        first, second = sorted(asked, key=lambda each: descriptions[each.task_id])
        await lot.holds(first.task_id)
        await lot.parks.reached.wait()
        await client.tasks.resolve(run.task.task_id, [Resolution.approve(second.approval_id)])
        await client.tasks.wait([second.task_id])
        lot.parks.open()
        ended = await client.tasks.watch(run.task.task_id).result()
        left = await client.tasks.status(first.task_id)
    assert (ended.text, till.paid, left.state) == ("done", [3], TaskState.CANCELED)


async def test_a_team_that_is_given_up_works_on_what_is_put_on_its_list(tmp_path: Path) -> None:
    """N2, T7: by a member who is free; then it is given up again."""
    till = Till()
    leader = steps([add_todo("pay it")], "planned", "all done")
    team = Team("desk", [till.payer(), saying("dug").member("digger")], mode="tasks", model=leader.model)
    async with parking(tmp_path, Musterd(teams=[team])) as (client, lot):
        async with client.run_team("desk", "go") as run:
            await asked_of(run)
        await lot.holds(run.task.task_id)
        added = await client.teams.add_todo(run.task.task_id, "dig")
        states: dict[str, TodoStatus] = {}
        while states.get(added.todo_id) is not TodoStatus.COMPLETED:
            board = await client.teams.board(run.task.task_id)
            states = {todo.todo_id: todo.status for todo in board.todos}
        await lot.holds(run.task.task_id)
        assert till.paid == []
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        text = await result_of(client, run.task.task_id)
    assert (text, till.paid) == ("all done", [3])


async def test_a_tree_that_is_canceled_while_the_queue_is_looked_through_ends(tmp_path: Path) -> None:
    """R5, N2: that look has passed it over."""
    till = Till()
    team = Team("desk", [till.payer()], model=steps([delegate("payer", "pay it")], what_came).model)
    async with parking(tmp_path, Musterd(agents=[till.payer(name="alone")], teams=[team])) as (client, lot):
        async with client.run_agent("alone", "go") as other, client.run_team("desk", "go") as run:
            await asked_of(other)
            await asked_of(run)
        await lot.holds(other.task.task_id)
        await lot.holds(run.task.task_id)
        lot.claims = Gate()
        await client.tasks.cancel(other.task.task_id)
        await lot.claims.reached.wait()
        await client.tasks.cancel(run.task.task_id)
        lot.claims.open()
        await client.tasks.wait([run.task.task_id])
        ended = await client.tasks.status(run.task.task_id)
    assert ended.state is TaskState.CANCELED


@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_branch_with_branches_of_its_own_goes_on_beside_one_that_waits(
    tmp_path: Path, *, goes_on: bool
) -> None:
    """N2, W1: it is given up only once nothing else is left."""
    till, gate, done = Till(), Gate(), list[str]()

    def work(name: str, waits: Gate | None = None) -> Step:
        async def do_it(given: StepInput) -> str:
            if waits is not None:
                await waits.wait()
            done.append(name)
            return name

        return Step(name, do_it)

    inner = Parallel(work("left", gate), work("right"), name="both")
    after: list[Any] = [work("after")] if goes_on else []
    flow = Workflow("w", [Parallel(till.payer(), Steps([inner, *after], name="branch"))])
    async with parking(tmp_path, Musterd(workflows=[flow])) as (client, lot):
        async with client.run_workflow("w", "go") as run:
            (asked,) = await asked_of(run)
        await lot.holds(asked.task_id)
        gate.open()
        await lot.holds(run.task.task_id)
        assert sorted(done) == sorted(["left", "right", *(["after"] if goes_on else [])])
        await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
        await client.tasks.wait([run.task.task_id])
        ended = await client.tasks.status(run.task.task_id)
    assert (ended.state, till.paid, len(done)) == (TaskState.COMPLETED, [3], 3 if goes_on else 2)
