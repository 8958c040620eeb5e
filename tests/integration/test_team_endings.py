"""Ending a team early: its leader and all who work for it end with it, each once."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import pytest
from tests.support.actors import Actor, Answer, Reading, add_todo, delegate, steps, what_came
from tests.support.boards import FoldedBoard
from tests.support.followers import Follower
from tests.support.gated_model import Gate

from musterd import Musterd, Team
from musterd.testing import serve
from musterd_client import (
    CallError,
    CancelMode,
    CancelOutcome,
    Event,
    MusterdClient,
    SubtaskStarted,
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
    TaskState,
)

TERMINAL = (TaskCanceled, TaskCompleted, TaskFailed)
SECONDS = 3
"""The time of a run that is to be over while its members are at work."""

MODES = ("coordinate", "route", "broadcast", "tasks", "nested")


class Crew:
    """A team whose two members wait at gates in the middle of their work, in any mode, or in a team of the team."""

    def __init__(self, mode: str, name: str = "crew") -> None:
        self.gates = {"ann": Gate(), "bob": Gate()}
        members = [Actor(self._working(name)).member(name) for name in self.gates]
        if mode == "nested":
            inner = Team("inner", members, model=_leader("tasks").model, mode="tasks")
            self.team = Team(name, [inner], model=steps([delegate("inner", "it")], what_came).model)
        else:
            self.team = Team(name, members, model=_leader(mode).model, mode=mode)
        # A route has one member at work, and nobody else.
        self.at_work = [gate for name, gate in self.gates.items() if mode != "route" or name == "ann"]

    def _working(self, name: str) -> Callable[[Reading], Awaitable[Answer]]:
        async def work(_: Reading) -> Answer:
            await self.gates[name].wait()
            return "done"

        return work

    async def all_at_work(self) -> None:
        for gate in self.at_work:
            await gate.reached.wait()


def _leader(mode: str) -> Actor:
    match mode:
        case "tasks":
            return steps([add_todo("one"), add_todo("two"), add_todo("three")], "planned", "never")
        case "route":
            return steps([delegate("ann", "it")])
        case _:
            return steps([delegate("ann", "it"), delegate("bob", "it")], "never")


async def ends_of(client: MusterdClient, task_id: str, events: Sequence[Event]) -> dict[str, TaskState]:
    """Return how each task of a tree ended. Fails unless each has one terminal event, and that of the root is last."""
    tasks = {task.task_id: task async for task in client.tasks.list(root_task_id=task_id)}
    ends = Counter(event.task_id for event in events if isinstance(event, TERMINAL))
    assert ends == dict.fromkeys(tasks, 1)
    assert events[-1].task_id == task_id
    FoldedBoard.of(task_id, events).assert_is(await client.teams.board(task_id))
    ended = {task.component.id: task.state for task in tasks.values()}
    assert len(ended) == len(tasks), "somebody had a second turn"
    return ended


@pytest.mark.parametrize("mode", MODES)
async def test_a_hard_cancel_of_a_team_ends_all_at_once(mode: str) -> None:
    """R5, T1: children before their parents; the reason is told of the team."""
    crew = Crew(mode)
    async with serve(Musterd(teams=[crew.team])) as client, Follower(client.run_team("crew", "go")) as follower:
        await crew.all_at_work()
        task_id = await follower.task_id()
        canceled = await client.tasks.cancel(task_id, mode=CancelMode.HARD, reason="enough")
        events = await follower.ended()
        ends = await ends_of(client, task_id, events)
    assert canceled.outcome is CancelOutcome.CANCELED
    assert set(ends.values()) == {TaskState.CANCELED}
    assert len(ends) == len(crew.at_work) + (2 if mode == "nested" else 1)
    assert isinstance(events[-1], TaskCanceled)
    assert events[-1].reason == "enough"


@pytest.mark.parametrize("mode", MODES)
async def test_a_soft_cancel_of_a_team_lets_members_end_their_step(mode: str) -> None:
    """R5, T1: and begins no other; in mode tasks no further todo is started."""
    crew = Crew(mode)
    async with serve(Musterd(teams=[crew.team])) as client, Follower(client.run_team("crew", "go")) as follower:
        await crew.all_at_work()
        task_id = await follower.task_id()
        canceled = await client.tasks.cancel(task_id, grace_seconds=3_000)
        assert canceled.outcome is CancelOutcome.CANCELING
        for gate in crew.at_work:
            gate.open()
        events = await follower.ended()
        ends = await ends_of(client, task_id, events)
    assert sum(isinstance(event, SubtaskStarted) for event in events) == len(ends) - 1
    # The step that lets a member end in mode route is the last of the team too.
    assert ends.pop("crew") is (TaskState.COMPLETED if mode == "route" else TaskState.CANCELED)
    # The step of a member that says something is its last.
    assert {ends.pop(name) for name in list(ends) if name in crew.gates} <= {TaskState.COMPLETED, TaskState.CANCELED}
    assert set(ends.values()) <= {TaskState.CANCELED}


async def test_a_team_whose_time_is_over_ends_its_members() -> None:
    """R10, T1: in any mode; they have no more time than the team, and are interrupted where they stand."""
    crews = {mode: Crew(mode, name=mode) for mode in MODES}
    async with serve(Musterd(teams=[crew.team for crew in crews.values()])) as client:

        async def run_out_of_time(mode: str) -> None:
            async with Follower(client.run_team(mode, "go", run_timeout_seconds=SECONDS)) as follower:
                events = await follower.ended()
                ends = await ends_of(client, events[0].task_id, events)
            assert all(gate.reached.is_set() for gate in crews[mode].at_work), "the machine is too slow for this"
            assert isinstance(events[-1], TaskFailed)
            assert (ends.pop(mode), events[-1].error.reason) == (TaskState.FAILED, "RUN_TIMEOUT")
            # Their own time is over in the same moment: whichever is noticed first.
            failed = [event for event in events if isinstance(event, TaskFailed)]
            assert {event.error.reason for event in failed} == {"RUN_TIMEOUT"}
            assert set(ends.values()) <= {TaskState.CANCELED, TaskState.FAILED}
            assert len(ends) == len(crews[mode].at_work) + (mode == "nested")

        async with asyncio.TaskGroup() as group:
            for mode in crews:
                group.create_task(run_out_of_time(mode))


async def test_canceling_one_turn_leaves_the_team_running() -> None:
    """R5, T1: its leader reads that the member was canceled."""
    crew = Crew("coordinate")
    leader = steps([delegate("ann", "it"), delegate("bob", "it")], what_came)
    crew.team.model = leader.model
    async with serve(Musterd(teams=[crew.team])) as client, Follower(client.run_team("crew", "go")) as follower:
        await crew.all_at_work()
        task_id = await follower.task_id()
        (ann,) = [task async for task in client.tasks.list(parent_task_id=task_id) if task.component.id == "ann"]
        await client.tasks.cancel(ann.task_id, mode=CancelMode.HARD)
        crew.gates["bob"].open()
        events = await follower.ended()
        ends = await ends_of(client, task_id, events)
    assert ends == {"crew": TaskState.COMPLETED, "ann": TaskState.CANCELED, "bob": TaskState.COMPLETED}
    assert isinstance(events[-1], TaskCompleted)
    assert events[-1].output.text == "Error: Member 'ann' was canceled. | done"


async def test_a_team_that_ended_takes_neither_todos_nor_messages() -> None:
    """T7: nor after it was canceled."""
    crew = Crew("tasks")
    async with serve(Musterd(teams=[crew.team])) as client, Follower(client.run_team("crew", "go")) as follower:
        await crew.all_at_work()
        task_id = await follower.task_id()
        await client.tasks.cancel(task_id, mode=CancelMode.HARD)
        await follower.ended()
        for call in (client.teams.add_todo(task_id, "late"), client.teams.send_message(task_id, "late")):
            with pytest.raises(CallError) as refused:
                await call
            assert refused.value.reason == "TEAM_ENDED"
