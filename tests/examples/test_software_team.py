"""examples/software_team.py: todos that wait for each other, worked off by two members."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from examples.software_team import MEMBERS, PLAN, app, inside, main, make_app, play
from pydantic_ai import ModelRetry

from musterd.domain.task import ComponentKind
from musterd.testing import serve
from musterd.testing.model import FakeModel
from musterd_client import (
    Event,
    MusterdClient,
    SubtaskStarted,
    TeamBoard,
    TeamMode,
    TodoChange,
    TodoChanged,
    TodoStatus,
)

REQUEST = "Write a program."


@asynccontextmanager
async def serve_in(folder: Path) -> AsyncGenerator[MusterdClient]:
    async with FakeModel(play) as model, serve(make_app(model.as_model(), folder)) as client:
        yield client


async def run_in(folder: Path) -> tuple[Sequence[Event], TeamBoard]:
    async with serve_in(folder) as client:
        async with client.run_team("software", REQUEST) as run:
            events = [event async for event in run]
        assert (await run.result()).text == "All files are written."
        return events, await client.teams.board(run.task.task_id)


def files_in(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def changes_in(events: Sequence[Event]) -> list[tuple[TodoChange, str]]:
    changes = [event for event in events if isinstance(event, TodoChanged)]
    return [(event.change, event.todo.content.removeprefix("Write ")) for event in changes]


async def test_no_todo_is_begun_before_what_it_waits_for_is_done(tmp_path: Path) -> None:
    """T2."""
    events, _ = await run_in(tmp_path)
    changes = changes_in(events)
    for name, blockers in PLAN.items():
        claimed = changes.index((TodoChange.CLAIMED, name))
        assert all(changes.index((TodoChange.COMPLETED, each)) < claimed for each in blockers), name


async def test_all_todos_are_done_and_their_results_are_on_the_board(tmp_path: Path) -> None:
    """T1, T7: the board is readable after the run."""
    _, board = await run_in(tmp_path)
    assert {todo.content.removeprefix("Write "): todo.result for todo in board.todos} == {
        name: f"{name} is done" for name in PLAN
    }
    assert {todo.status for todo in board.todos} == {TodoStatus.COMPLETED}
    assert {todo.created_by for todo in board.todos} == {"leader"}
    assert [member.name for member in board.members] == list(MEMBERS)
    assert sum(len(member.tasks) for member in board.members) == len(PLAN)


async def test_every_turn_writes_its_file(tmp_path: Path) -> None:
    """T1, T6: members have their own tools beside those of the team."""
    events, _ = await run_in(tmp_path)
    assert files_in(tmp_path) == {name: f"This is {name}." for name in PLAN}
    assert {event.subtask.id for event in events if isinstance(event, SubtaskStarted)} == set(MEMBERS)


async def test_the_team_says_who_is_in_it(tmp_path: Path) -> None:
    """C8."""
    async with serve_in(tmp_path) as client:
        team = await client.teams.get("software")
    assert (team.mode, team.is_factory) == (TeamMode.TASKS, False)
    assert [(member.name, member.description) for member in team.members] == [
        (name, "Writes software.") for name in MEMBERS
    ]


@pytest.mark.parametrize("name", ["../secrets", "/etc/passwd"])
def test_members_cannot_leave_the_folder(name: str, tmp_path: Path) -> None:
    """T6: what a model says is not trusted."""
    with pytest.raises(ModelRetry, match="outside of the project"):
        inside(tmp_path, name)
    assert inside(tmp_path, "src/code.py") == tmp_path.resolve() / "src" / "code.py"


async def test_the_example_runs_without_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    """T1: also the app with the model of a provider is made without one."""
    await main()
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("COMPLETED")]) == len(PLAN)
    assert lines[-1] == "All files are written."
    assert [info.ref.id for info in app.registry.list(ComponentKind.TEAM)] == ["software"]
