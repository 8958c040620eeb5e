"""The modes of teams over gRPC: who works, whose answer it is, and what happens when members fail."""

import asyncio

import pytest
from tests.support.actors import (
    Actor,
    Answer,
    Reading,
    add_todo,
    content_of_todo,
    crashing,
    delegate,
    id_of_todo,
    saying,
    steps,
    what_came,
)

from musterd import Musterd, Team
from musterd.testing import serve
from musterd_client import SubtaskStarted, Task, TaskFailedError, TaskResult, TaskState, TodoStatus

TOOL_FAILURE = "a tool of the agent raised an unexpected error"


async def result_of(team: Team) -> TaskResult:
    async with serve(Musterd(teams=[team])) as client:
        return await client.run_team(team.name, "the request").result()


async def failure_of(team: Team) -> TaskFailedError:
    with pytest.raises(TaskFailedError) as caught:
        await result_of(team)
    return caught.value


async def test_a_leader_gives_work_to_members_side_by_side_and_combines_what_they_say() -> None:
    """T1: in mode coordinate; each member ends only after the other has begun."""
    meeting = asyncio.Barrier(2)

    async def meet(reading: Reading) -> Answer:
        await meeting.wait()
        return f"did {reading.prompts[0]}"

    alice, bob = Actor(meet), Actor(meet)
    leader = steps([delegate("alice", "part 1"), delegate("bob", "part 2")], what_came)
    result = await result_of(Team("co", [alice.member("alice", "counts"), bob.member("bob")], model=leader.model))
    assert result.text == "did part 1 | did part 2"
    assert leader.readings[0].prompts == ["the request"]
    assert "alice: counts" in leader.readings[0].instructions
    assert [reading.prompts for reading in alice.readings] == [["part 1"]]


async def test_a_leader_reads_how_a_member_failed_and_goes_on() -> None:
    """T1: in mode coordinate."""
    leader = steps([delegate("bad", "it")], [delegate("good", "it")], what_came)
    team = Team("co", [crashing("bad"), saying("fine").member("good")], model=leader.model)
    result = await result_of(team)
    error, answer = result.text.split(" | ")
    assert error.startswith(f"Error: Member 'bad' failed: {TOOL_FAILURE}")
    assert "boom" not in error
    assert answer == "fine"


@pytest.mark.parametrize("unknown", [delegate("carl", "it"), delegate("", "it"), delegate("good", " ")])
async def test_a_leader_that_names_nobody_or_nothing_is_told_so(unknown: tuple[str, dict[str, str]]) -> None:
    """T1 (refusal): in mode coordinate; no turn is started."""
    leader = steps([unknown], what_came)
    async with serve(Musterd(teams=[Team("co", [saying("fine").member("good")], model=leader.model)])) as client:
        result = await client.run_team("co", "go").result()
        turns = [task async for task in client.tasks.list(parent_task_id=result.task.task_id)]
    assert result.text in (
        "Error: Member 'carl' not found. Available: good",
        "Error: Member '' not found. Available: good",
        "Error: Say what 'good' is to do.",
    )
    assert turns == []


@pytest.mark.parametrize("failures", [0, 1, 2])
async def test_as_many_failures_as_the_team_bears_do_not_end_it(failures: int) -> None:
    """T1: in mode coordinate, at the edge of max_member_failures."""
    again: Answer = [delegate("bad", "it")]
    leader = steps(*[again] * failures, "done without")
    team = Team("co", [crashing("bad")], model=leader.model, max_member_failures=failures)
    assert (await result_of(team)).text == "done without"


@pytest.mark.parametrize("failures", [0, 1, 2])
async def test_one_failure_more_than_the_team_bears_ends_it(failures: int) -> None:
    """T1 (refusal): in mode coordinate; the reason names who failed."""
    leader = steps([delegate("bad", "it")])
    failed = await failure_of(Team("co", [crashing("bad")], model=leader.model, max_member_failures=failures))
    assert (failed.reason, failed.task.state) == ("MEMBERS_FAILED", TaskState.FAILED)
    assert failed.error.message == (f"{failures + 1} turns of members failed, and the team 'co' bears {failures}: bad")
    assert len(leader.readings) == failures + 1


async def test_what_the_chosen_member_says_is_the_answer() -> None:
    """T1: in mode route, unchanged; the leader is asked once, and only one member works."""
    leader, alice, bob = steps([delegate("bob", "all of it")]), saying("never"), saying("  as it\nis ")
    team = Team("ro", [alice.member("alice"), bob.member("bob")], model=leader.model, mode="route")
    assert (await result_of(team)).text == "  as it\nis "
    assert (len(leader.readings), len(alice.readings), len(bob.readings)) == (1, 0, 1)
    assert bob.readings[0].prompts == ["all of it"]
    assert leader.readings[0].output_tools == ["delegate_to_member"]


async def test_a_leader_chooses_another_member_when_the_first_fails() -> None:
    """T1: in mode route."""
    leader = steps([delegate("carl", "it")], [delegate("bad", "it")], [delegate("good", "it")])
    team = Team("ro", [crashing("bad"), saying("fine").member("good")], model=leader.model, mode="route")
    assert (await result_of(team)).text == "fine"
    unknown, failed = leader.readings[2].returns
    assert "there is no member 'carl'; there are bad, good" in unknown
    assert f"Member 'bad' failed: {TOOL_FAILURE}" in failed


async def test_a_leader_that_hands_over_nothing_is_told_so() -> None:
    """T1: in mode route too, no member is started with an empty task."""
    leader, ann = steps([delegate("ann", " ")], [delegate("ann", "it")]), saying("fine")
    team = Team("ro", [ann.member("ann")], model=leader.model, mode="route")
    assert (await result_of(team)).text == "fine"
    assert "say what 'ann' is to do" in leader.readings[1].returns[0]
    assert [reading.prompts for reading in ann.readings] == [["it"]]


async def test_a_route_ends_when_too_many_members_fail() -> None:
    """T1: one failure is borne here, the second is not."""
    leader = steps([delegate("bad", "it")])
    team = Team("ro", [crashing("bad")], model=leader.model, mode="route", max_member_failures=1)
    failed = await failure_of(team)
    assert (failed.reason, len(leader.readings)) == ("MEMBERS_FAILED", 2)


async def test_every_member_gets_the_request_and_the_leader_what_they_said() -> None:
    """T1: in mode broadcast, all at once."""
    meeting = asyncio.Barrier(3)

    def guest(name: str) -> Actor:
        async def answer(_: Reading) -> Answer:
            await meeting.wait()
            return f"{name} agrees"

        return Actor(answer)

    guests = {name: guest(name) for name in ("alice", "bob", "carl")}
    leader = saying("all agree")
    team = Team("br", [actor.member(name) for name, actor in guests.items()], model=leader.model, mode="broadcast")
    assert (await result_of(team)).text == "all agree"
    assert all(actor.readings[0].prompts == ["the request"] for actor in guests.values())
    (reading,) = leader.readings
    (prompt,) = reading.prompts
    assert prompt.startswith("the request\n\n")
    assert [line for line in prompt.splitlines() if "agrees" in line] == [f"{name} agrees" for name in guests]


async def test_a_leader_is_told_which_member_gave_no_answer() -> None:
    """T1: in mode broadcast."""
    leader = saying("so be it")
    team = Team("br", [saying("yes").member("good"), crashing("bad")], model=leader.model, mode="broadcast")
    assert (await result_of(team)).text == "so be it"
    (prompt,) = leader.readings[0].prompts
    assert "## good\nyes" in prompt
    assert f"## bad\n(no answer: {TOOL_FAILURE}" in prompt


@pytest.mark.parametrize(("borne", "is_over"), [(2, False), (1, True)])
async def test_a_broadcast_that_nobody_answers_ends_when_that_is_too_many(borne: int, is_over: bool) -> None:
    """T1: at the edge of max_member_failures."""
    leader = saying("nobody knows")
    members = [crashing("one"), crashing("two")]
    team = Team("br", members, model=leader.model, mode="broadcast", max_member_failures=borne)
    if not is_over:
        assert (await result_of(team)).text == "nobody knows"
        return
    failed = await failure_of(team)
    assert failed.reason == "MEMBERS_FAILED"
    assert failed.error.message.endswith("bears 1: one, two")
    assert leader.readings == []


async def test_members_work_off_what_the_leader_plans() -> None:
    """T1: in mode tasks; what waits for another todo is told what came of it, and the leader of all."""
    worker = Actor(_do_todo)
    leader = Actor(_plan_two)
    team = Team("ta", [worker.member("ann")], model=leader.model, mode="tasks")
    async with serve(Musterd(teams=[team])) as client:
        result = await client.run_team("ta", "bake a cake").result()
        board = await client.teams.board(result.task.task_id)
    assert [(todo.content, todo.status, todo.result) for todo in board.todos] == [
        ("mix", TodoStatus.COMPLETED, "mix is done"),
        ("bake", TodoStatus.COMPLETED, "bake is done"),
    ]
    first, second = (reading.prompts[0] for reading in worker.readings)
    assert "bake a cake" in first
    assert "- mix: mix is done" in second
    assert "- mix [completed]: mix is done\n- bake [completed]: bake is done" in result.text


async def test_a_leader_may_add_todos_until_it_has_enough() -> None:
    """T1: in mode tasks; it is told of each todo once."""

    async def lead(reading: Reading) -> Answer:
        rounds = len(reading.prompts)
        if rounds > 3:
            return "enough"
        return [add_todo(f"todo {rounds}")] if len(reading.returns) < rounds else "wait"

    leader, worker = Actor(lead), Actor(_do_todo)
    result = await result_of(Team("ta", [worker.member("ann")], model=leader.model, mode="tasks"))
    assert result.text == "enough"
    told = leader.readings[-1].prompts[1:]
    assert [text.count("[completed]") for text in told] == [1, 1, 1]
    assert [f"todo {number} [completed]" in text for number, text in enumerate(told, start=1)] == [True] * 3


async def test_a_leader_that_plans_nothing_has_answered() -> None:
    """T1: in mode tasks."""
    leader, worker = saying("nothing to do"), saying("never")
    result = await result_of(Team("ta", [worker.member("ann")], model=leader.model, mode="tasks"))
    assert result.text == "nothing to do"
    assert (len(leader.readings), worker.readings) == (1, [])


async def test_a_todo_of_a_member_that_failed_is_done_by_another() -> None:
    """T1, T2: in mode tasks; the one that failed twice gets none any more."""
    leader = Actor(_plan_two)
    good = Actor(_do_todo)
    async with serve(
        Musterd(teams=[Team("ta", [crashing("bad"), good.member("good")], model=leader.model, mode="tasks")])
    ) as client:
        result = await client.run_team("ta", "bake a cake").result()
        board = await client.teams.board(result.task.task_id)
    assert {todo.assigned_to for todo in board.todos} == {"good"}
    assert {todo.status for todo in board.todos} == {TodoStatus.COMPLETED}
    turns = {member.name: [task.state for task in member.tasks] for member in board.members}
    assert turns["bad"] in ([TaskState.FAILED], [TaskState.FAILED] * 2)
    assert turns["good"] == [TaskState.COMPLETED] * 2


async def test_a_todo_that_nobody_can_do_is_reported_and_does_not_end_the_team() -> None:
    """T1, T2: in mode tasks, as long as the team bears the failures; what waits for it stays undone."""
    leader = Actor(_plan_two)
    team = Team("ta", [crashing("bad")], model=leader.model, mode="tasks")
    async with serve(Musterd(teams=[team])) as client:
        result = await client.run_team("ta", "bake a cake").result()
        board = await client.teams.board(result.task.task_id)
    assert [todo.status for todo in board.todos] == [TodoStatus.PENDING, TodoStatus.PENDING]
    assert result.text.count("nobody could do it") == 2


async def test_a_list_ends_when_too_many_turns_fail() -> None:
    """T1: in mode tasks."""
    team = Team("ta", [crashing("bad")], model=Actor(_plan_two).model, mode="tasks", max_member_failures=1)
    failed = await failure_of(team)
    assert (failed.reason, failed.error.message) == (
        "MEMBERS_FAILED",
        "2 turns of members failed, and the team 'ta' bears 1: bad",
    )


async def test_events_of_members_are_in_the_stream_of_the_team() -> None:
    """T1: each with its own task id and name, and the id of the team's task as its parent."""
    leader = steps([delegate("alice", "part 1"), delegate("bob", "part 2")], what_came)
    team = Team("co", [saying("a").member("alice"), saying("b").member("bob")], model=leader.model)
    async with serve(Musterd(teams=[team])) as client:
        async with client.run_team("co", "go") as run:
            events = [event async for event in run]
        children = {task.task_id: task async for task in client.tasks.list(parent_task_id=run.task.task_id)}
        task = await client.tasks.status(run.task.task_id)
    told = {event.subtask_id: event for event in events if isinstance(event, SubtaskStarted)}
    assert told.keys() == children.keys()
    for task_id, child in children.items():
        own = [event for event in events if event.task_id == task_id]
        assert {event.component for event in own} == {child.component}
        assert [event.kind for event in own][:1] == ["task_started"]
        assert own[0].kind == "task_started"
        assert (child.parent_task_id, child.root_task_id) == (run.task.task_id, run.task.task_id)
        assert (told[task_id].task_id, told[task_id].subtask) == (run.task.task_id, child.component)
        assert [event.kind for event in own][-1] == "task_completed"
    assert sorted(child.component.id for child in children.values()) == ["alice", "bob"]
    assert spent(task, *children.values()) == (4, 4)


def spent(root: Task, *children: Task) -> tuple[int, int]:
    """Return how many requests the tree counts, and how many its tasks count together."""
    assert root.tree_usage is not None
    return root.tree_usage.requests, sum(task.usage.requests for task in (root, *children))


async def _do_todo(reading: Reading) -> Answer:
    return f"{content_of_todo(reading.prompts[0])} is done"


async def _plan_two(reading: Reading) -> Answer:
    match reading.turn:
        case 1:
            return [add_todo("mix")]
        case 2:
            return [add_todo("bake", id_of_todo(reading.returns[0]))]
        case 3:
            return "planned"
        case _:
            return reading.prompts[-1]
