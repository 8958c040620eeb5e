"""Boards of teams from outside, on a real store."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.runtime_kernel import Kernel
from tests.support.stored_runs import begin_task

from musterd import Musterd
from musterd.domain.board import BoardMember, Todo
from musterd.domain.ports import RequestKey
from musterd.domain.principal import Viewer
from musterd.domain.team_board import OpenBoard, RemoveTodo
from musterd.runtime.boards import Boards

ADA = Viewer(tenant_id="acme", user_id="ada")


@dataclass(frozen=True, slots=True)
class World:
    """A team's task with its board."""

    kernel: Kernel
    boards: Boards
    task_id: str


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    kernel = Kernel(Musterd(), tmp_path / "boards.db")
    await kernel.real_store.open(kernel.hub.publish)
    task = await begin_task(kernel.real_store)
    await kernel.real_store.change_board(task.task_id, OpenBoard(team="press", members=(BoardMember(name="writer"),)))
    yield World(kernel, Boards(store=kernel.real_store, supervisor=kernel.supervisor), task.task_id)
    kernel.builder.close()
    await kernel.real_store.close()


def key(request_id: str) -> RequestKey:
    return RequestKey(tenant_id="acme", user_id="ada", method="m", request_id=request_id, body_sha256=b"1")


async def add(world: World, request: RequestKey | None) -> Todo:
    return await world.boards.add_todo(
        ADA, task_id=world.task_id, content="write", blocked_by=(), user_id="ada", request=request
    )


async def test_a_repeated_call_for_a_todo_that_was_removed_does_not_add_it_again(world: World) -> None:
    """R8, T7: it gets the item as it was added."""
    added = await add(world, key("r-1"))
    await world.kernel.real_store.change_board(world.task_id, RemoveTodo(todo_id=added.id))
    assert await add(world, key("r-1")) == added
    board, _ = await world.boards.get(ADA, world.task_id)
    assert not board.todos


async def test_ids_follow_from_the_request(world: World) -> None:
    """R8, T7: the same one each time, another one for each other."""
    ids = [(await add(world, request)).id for request in (key("r-1"), key("r-2"), key("r-1"), None, None)]
    assert ids[0] == ids[2]
    assert len(set(ids)) == 4
