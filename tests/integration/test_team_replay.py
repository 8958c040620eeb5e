"""Wherever the run of a team is cut, its board and its answer are what they would have been."""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.support.actors import (
    Actor,
    Answer,
    Reading,
    add_todo,
    claim_todo,
    complete_todo,
    content_of_todo,
    id_of_todo,
    list_todos,
    tell,
)
from tests.support.cutting import Cut
from tests.support.gated_model import Gate
from tests.support.runtime_kernel import Kernel

from musterd import Musterd, RequestContext, Team, TeamFactory
from musterd.domain.errors import MusterdError
from musterd.domain.event import TaskCanceled, TaskCompleted, TaskFailed
from musterd.domain.ids import new_id
from musterd.domain.principal import Identity, Viewer
from musterd.domain.task import ComponentKind, ComponentRef, TaskState
from musterd.domain.team_board import AddTodo
from musterd.runtime.runs import RunRequest

VIEWER = Viewer(tenant_id="acme", user_id="ada")
TERMINAL = (TaskCompleted, TaskFailed, TaskCanceled)


class Life:
    """What one process knows: the id of the team's task."""

    def __init__(self) -> None:
        self.task_id = ""

    @property
    def app(self) -> Musterd:
        """The app anew, as a fresh process would build it."""
        return Musterd(teams=[TeamFactory("crew", self._build)])

    def _build(self, context: RequestContext) -> Team:
        self.task_id = context.task_id
        members = [Actor(self._work).member(name) for name in ("ann", "bob")]
        return Team("crew", members, model=Actor(lead).model, mode="tasks")

    async def _work(self, reading: Reading) -> Answer:
        """Two todos at once, the second of which is told of by a message; a third, from which a fourth comes."""
        content = content_of_todo(reading.prompts[0])
        match content, reading.turn:
            case "cut", 1:
                return [tell("leader", "I cut")]
            case "glue", 1:
                return [add_todo("paint", id_in(reading.prompts[0]))]
            case "glue", 2:
                return [complete_todo(id_in(reading.prompts[0]), "did glue")]
            case _:
                return f"did {content}"


async def lead(reading: Reading) -> Answer:
    """Plan three todos, the last of which waits for the others; answer with all that was heard."""
    match reading.turn:
        case 1:
            return [add_todo("cut")]
        case 2:
            return [add_todo("saw")]
        case 3:
            return [add_todo("glue", *map(id_of_todo, reading.returns))]
        case 4:
            return "planned"
        case _:
            return f"{reading.turn}\n" + "\n".join(reading.prompts)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is left of a team's run when all is over. Its board is without ids and times."""

    state: TaskState
    output: str
    todos: Sequence[Any]
    messages: Sequence[Any]
    turns: Counter[tuple[str, TaskState]]


async def begin(kernel: Kernel) -> str:
    identity = Identity(tenant_id="acme", user_id="ada", captured_at=await kernel.real_store.now())
    request = RunRequest(
        component=ComponentRef(kind=ComponentKind.TEAM, id="crew"), identity=identity, message="a chair"
    )
    started = await kernel.runs.start(request)
    kernel.hub.leave(started.follower)
    return started.task.task_id


async def finish(kernel: Kernel, task_id: str) -> Outcome:
    waited = await kernel.tasks.wait(VIEWER, [task_id], wait_for_any=False, seconds=30)
    assert not waited.timed_out
    task = waited.tasks[0]
    children = await kernel.real_store.get_descendants(task_id)
    log = await kernel.log_of(task_id)
    assert [event.sequence for event in log] == list(range(1, len(log) + 1))
    ends = Counter(event.task_id for event in log if isinstance(event.payload, TERMINAL))
    assert ends == dict.fromkeys([task_id, *(child.task_id for child in children)], 1)
    board = await kernel.real_store.get_board(VIEWER, task_id)
    contents = {todo.id: todo.content for todo in board.todos.values()}
    return Outcome(
        state=task.state,
        output=task.output.text if task.output else str(task.error),
        todos=[
            (
                todo.content,
                todo.status,
                todo.assigned_to,
                [contents[each] for each in todo.blocked_by],
                todo.created_by,
                todo.attempts,
                todo.result,
            )
            for todo in board.todos.values()
        ],
        messages=[(message.sender, message.receiver, message.content) for message in board.messages],
        turns=Counter((child.component.id, child.state) for child in children),
    )


async def run_uncut(folder: Path) -> Outcome:
    life = Life()
    kernel = Kernel(life.app, folder / "uncut.db")
    await kernel.start()
    outcome = await finish(kernel, await begin(kernel))
    await kernel.stop()
    return outcome


async def first_life(database: Path, cut: Cut) -> tuple[Life, bool]:
    """Run until the cut. Returns whether the run was cut, or ended before."""
    life = Life()
    kernel = Kernel(life.app, database, cut=cut)
    await kernel.start()
    cutting = asyncio.ensure_future(cut.happened.wait())
    running = asyncio.ensure_future(_run(kernel))
    await asyncio.wait({running, cutting}, return_when=asyncio.FIRST_COMPLETED)
    for task in (running, cutting):
        task.cancel()
    await asyncio.gather(running, cutting, return_exceptions=True)
    was_cut = cut.happened.is_set()
    await kernel.die()
    return life, was_cut


async def _run(kernel: Kernel) -> None:
    await finish(kernel, await begin(kernel))


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
async def test_a_team_that_is_cut_at_any_commit_comes_to_the_same_end(tmp_path: Path, after: bool) -> None:
    """T1, T2, T7, R3: same board, same answer, each turn and each message once."""
    uncut = await run_uncut(tmp_path)
    assert uncut.state is TaskState.COMPLETED
    assert uncut.output.count("[Message from ann] I cut") == 1
    assert uncut.turns == {("ann", TaskState.COMPLETED): 2, ("bob", TaskState.COMPLETED): 2}
    assert [(content, attempts) for content, *_, attempts, _ in uncut.todos] == [
        ("cut", 1),
        ("saw", 1),
        ("glue", 1),
        ("paint", 1),
    ]
    cuts = 0
    # Before a commit and after it are two stored states: every other commit is enough for all of them.
    for at in count(1, 2):
        database = tmp_path / f"cut-{at}.db"
        first, was_cut = await first_life(database, Cut(at, after=after))
        if not was_cut:
            break
        cuts += 1
        kernel = Kernel(Life().app, database)
        await kernel.start()
        task_id = first.task_id if await is_stored(kernel, first.task_id) else await begin(kernel)
        outcome = await finish(kernel, task_id)
        await kernel.stop()
        assert outcome == uncut, f"cut at commit {at}"
    assert cuts >= 15


async def is_stored(kernel: Kernel, task_id: str) -> bool:
    try:
        await kernel.tasks.get(VIEWER, task_id)
    except MusterdError:
        return False
    return True


class Pair:
    """A team of two. Ann says that the key is done before her turn ends; bob, at the wall, takes on the door then."""

    def __init__(self, *, is_open: bool) -> None:
        self.ann_waits, self.bob_waits = Gate(), Gate()
        self.task_id = ""
        if is_open:
            self.ann_waits.open()

    @property
    def app(self) -> Musterd:
        return Musterd(teams=[TeamFactory("crew", self._build)])

    def _build(self, context: RequestContext) -> Team:
        self.task_id = context.task_id
        members = [Actor(self._work).member(name) for name in ("ann", "bob")]
        return Team("crew", members, model=Actor(self._lead).model, mode="tasks")

    async def _lead(self, reading: Reading) -> Answer:
        match reading.turn:
            case 1:
                return [add_todo("key")]
            case 2:
                return [add_todo("door", id_of_todo(reading.returns[0]))]
            case 3:
                return [add_todo("wall")]
            case 4:
                return "planned"
            case _:
                return "built"

    async def _work(self, reading: Reading) -> Answer:
        content = content_of_todo(reading.prompts[0])
        match content, reading.turn:
            case "key", 1:
                return [complete_todo(id_in(reading.prompts[0]), "did key")]
            case "key", _:
                await self.ann_waits.wait()
            case "wall", 1:
                await self.ann_waits.reached.wait()
                return [list_todos()]
            case "wall", 2:
                return [claim_todo(door_in(reading.returns[0]))]
            case "wall", 3:
                await self.bob_waits.wait()
                return [complete_todo(door_in(reading.returns[0]), "did door")]
            case _:
                pass
        return f"did {content}"


def id_in(prompt: str) -> str:
    """Return the id of the item that a member is given."""
    return re.findall(r"\((.+?)\)", prompt)[0]


def door_in(todos: str) -> str:
    """Return the id of the door in a list of todos."""
    return re.findall(r"- (\S+) \[\w+\] door", todos)[0]


async def test_a_member_with_two_todos_in_hand_goes_on_with_the_turn_that_it_is_in(tmp_path: Path) -> None:
    """T2, R3: it gets no second turn at the same time for the one that comes first on the list."""
    first = Pair(is_open=False)
    kernel = Kernel(first.app, tmp_path / "musterd.db")
    await kernel.start()
    task_id = await begin(kernel)
    await first.bob_waits.reached.wait()
    await kernel.die()

    second = Pair(is_open=True)
    kernel = Kernel(second.app, tmp_path / "musterd.db")
    await kernel.start()
    # Somebody does this one: by then the leader is back at its list.
    command = AddTodo(todo_id=new_id(), content="paint", created_by="user:ada")
    with kernel.changes.watch([task_id]) as changed:
        await kernel.store.change_board(task_id, command, viewer=VIEWER)
        while (await kernel.store.get_board(VIEWER, task_id)).todos[command.todo_id].result != "did paint":
            await changed.wait()
            changed.clear()
    second.bob_waits.open()
    outcome = await finish(kernel, task_id)
    await kernel.stop()
    assert outcome.output == "built"
    assert [(content, who, result) for content, _, who, *_, result in outcome.todos] == [
        ("key", "ann", "did key"),
        ("door", "bob", "did door"),
        ("wall", "bob", "did wall"),
        ("paint", "ann", "did paint"),
    ]
    assert outcome.turns == {("ann", TaskState.COMPLETED): 2, ("bob", TaskState.COMPLETED): 1}


class Lingering:
    """A team of two. Ann says that the key is done, and stays in her turn; the leader tells whether she still does."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.is_over = False

    @property
    def app(self) -> Musterd:
        members = [Actor(self._work).member(name) for name in ("ann", "bob")]
        return Musterd(teams=[Team("crew", members, model=Actor(self._lead).model, mode="tasks")])

    async def _lead(self, reading: Reading) -> Answer:
        match reading.turn:
            case 1:
                return [add_todo("key")]
            case 2:
                return "planned"
            case _:
                return "built" if self.is_over else "built too early"

    async def _work(self, reading: Reading) -> Answer:
        content = content_of_todo(reading.prompts[0])
        if content == "key" and reading.turn == 1:
            return [complete_todo(id_in(reading.prompts[0]), "did key")]
        if content == "key":
            await self.gate.wait()
        return f"did {content}"


async def test_a_turn_goes_on_whose_todo_was_done_before_the_server_stopped(tmp_path: Path) -> None:
    """T1, R3: the leader waits for it as it did before."""
    first = Lingering()
    kernel = Kernel(first.app, tmp_path / "musterd.db")
    await kernel.start()
    task_id = await begin(kernel)
    await first.gate.reached.wait()
    await kernel.die()

    second = Lingering()
    kernel = Kernel(second.app, tmp_path / "musterd.db")
    await kernel.start()
    # Bob does these: by then the leader is back at its list, and has seen more than once that nothing is left on it.
    for content in ("paint", "polish", "pack"):
        command = AddTodo(todo_id=new_id(), content=content, created_by="user:ada")
        with kernel.changes.watch([task_id]) as changed:
            await kernel.store.change_board(task_id, command, viewer=VIEWER)
            while not (await kernel.store.get_board(VIEWER, task_id)).todos[command.todo_id].result:
                await changed.wait()
                changed.clear()
    second.is_over = True
    second.gate.open()
    outcome = await finish(kernel, task_id)
    await kernel.stop()
    assert outcome.output == "built"
    assert outcome.turns == {("ann", TaskState.COMPLETED): 1, ("bob", TaskState.COMPLETED): 3}
