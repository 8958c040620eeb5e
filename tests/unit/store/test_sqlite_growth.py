"""What does not grow: the work of a query with the number of tasks, and the space of equal inputs."""

import asyncio
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.approving import CARL, ask_one
from tests.contract.parking import park
from tests.contract.values import ADMIN, ANNA, ANNA_ELSEWHERE, GREETER, OWNER, make_root, make_spec, start

from musterd.domain.ids import new_id
from musterd.domain.ports import NewTask, TaskQuery
from musterd.domain.principal import Viewer
from musterd.domain.queueing import Group
from musterd.domain.session import SessionKey, SessionQuery
from musterd.domain.task import ComponentKind, ComponentRef, Part, TaskState
from musterd.store.blobs import INLINE_PART_MAX_BYTES
from musterd.store.sqlite import SqliteStore
from musterd.store.sqlite.claiming import count_queued, find_claimable, has_claimable
from musterd.store.sqlite.events import read_events
from musterd.store.sqlite.inbox import read_inbox
from musterd.store.sqlite.journal import load_journal
from musterd.store.sqlite.listing import list_tasks
from musterd.store.sqlite.question_rows import read_open_questions
from musterd.store.sqlite.rows import read_descendants, read_many_shown, read_visible
from musterd.store.sqlite.sessions import get_session, list_sessions

Look = Callable[[sqlite3.Connection], object]


def make_roots(count: int) -> list[NewTask]:
    """Return new tasks, half of them of one component, and half in sessions of one name, none of which has to wait."""
    others = (ComponentRef(kind=ComponentKind.AGENT, id=new_id()) for _ in range(count // 2))
    in_sessions = [make_root(spec=make_spec(component=other, session_id="s1")) for other in others]
    return [each for pair in zip(in_sessions, [make_root() for _ in in_sessions], strict=True) for each in pair]


FEW = make_roots(20)
QUERY = TaskQuery(viewer=ANNA, limit=10)
SESSION = SessionKey(tenant_id="acme", user_id="anna", session_id="s1", component=GREETER)
SESSIONS = SessionQuery(tenant_id="acme", user_id="anna", limit=10)
ENDED = frozenset((TaskState.COMPLETED, TaskState.FAILED))
FULL: Collection[Group] = (("tenant", "umbrella"), ("user", "acme", "bert"), ("tree", "another"))
LOOKS: dict[str, Look] = {
    "task": lambda found: read_visible(found, ANNA, FEW[7].task_id),
    "tasks": lambda found: read_many_shown(found, ADMIN, [new.task_id for new in FEW[5:9]]),
    "descendants": lambda found: read_descendants(found, FEW[7].task_id),
    "events": lambda found: read_events(found, FEW[7].task_id, 0, 10),
    "journal": lambda found: load_journal(found, FEW[7].task_id),
    "inbox": lambda found: read_inbox(found, FEW[7].task_id),
    "claim": lambda found: find_claimable(found, OWNER, 10, FULL),
    "queue": count_queued,
    "questions": lambda found: read_open_questions(found, [FEW[7].task_id]),
}
LOOKS_AT_PARKED: dict[str, Look] = {
    "page": lambda found: list_tasks(found, replace(QUERY, viewer=CARL, has_open_approvals=True)),
    "claim": lambda found: has_claimable(found, OWNER, 0),
    "tasks of others": lambda found: read_many_shown(found, CARL, [new.task_id for new in FEW[5:9]]),
}
LOOKS_AT_SESSIONS: dict[str, Look] = {
    "session": lambda found: get_session(found, SESSION),
    "page": lambda found: list_sessions(found, SESSIONS),
    "page of a component": lambda found: list_sessions(found, replace(SESSIONS, component=GREETER)),
    "by id": lambda found: list_sessions(found, replace(SESSIONS, session_id="s1")),
    "claim": lambda found: has_claimable(found, OWNER, 0),
}


async def open_store(path: Path) -> SqliteStore:
    """Return an open store."""
    store = SqliteStore(path)
    await store.open(lambda _: None)
    return store


def count_steps(connection: sqlite3.Connection, look: Look) -> int:
    """Return how many steps of its machine SQLite takes to answer."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    # The first time the schema is read too.
    look(connection)
    connection.set_progress_handler(count, 1)
    look(connection)
    connection.set_progress_handler(None, 1)
    return steps


async def count_with_few_and_many(path: Path, look: Look) -> tuple[int, int]:
    """Return the steps of an answer with 20 tasks, among which is all that it finds, and with 520."""
    steps: list[int] = []
    store = await open_store(path)
    with closing(sqlite3.connect(path)) as connection:
        for new in (FEW, make_roots(500)):
            await asyncio.gather(*map(store.create_task, new))
            steps.append(count_steps(connection, look))
    await store.close()
    return steps[0], steps[1]


@pytest.mark.parametrize("viewer", [ANNA, ADMIN], ids=["user", "administrator"])
@pytest.mark.parametrize(
    "query",
    [
        QUERY,
        replace(QUERY, states=frozenset((TaskState.WORKING,))),
        replace(QUERY, states=ENDED),
        replace(QUERY, states=ENDED | {TaskState.WORKING}),
        replace(QUERY, component=GREETER),
        replace(QUERY, session_id="s1"),
    ],
    ids=["all", "state", "no such state", "states", "component", "session"],
)
async def test_a_page_costs_the_same_with_few_and_with_many_tasks(path: Path, query: TaskQuery, viewer: Viewer) -> None:
    """R4."""
    few, many = await count_with_few_and_many(path, lambda found: list_tasks(found, replace(query, viewer=viewer)))
    assert few == many


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
async def test_a_look_at_a_task_costs_the_same_with_few_and_with_many(path: Path, look: Look) -> None:
    """R4."""
    few, many = await count_with_few_and_many(path, look)
    assert few == many


@pytest.mark.parametrize("look", LOOKS_AT_PARKED.values(), ids=LOOKS_AT_PARKED)
async def test_a_look_costs_the_same_with_few_and_with_many_tasks_that_are_parked(path: Path, look: Look) -> None:
    """N2, R4."""
    steps: list[int] = []
    store = await open_store(path)
    with closing(sqlite3.connect(path)) as connection:
        for new in (FEW, make_roots(500)):
            for created in await asyncio.gather(*map(store.create_task, new)):
                await ask_one(store, created.task)
                await park(store, created.task)
            steps.append(count_steps(connection, look))
    await store.close()
    assert steps[0] == steps[1]


@pytest.mark.parametrize("look", LOOKS_AT_SESSIONS.values(), ids=LOOKS_AT_SESSIONS)
async def test_a_look_at_sessions_costs_the_same_with_few_and_with_many(path: Path, look: Look) -> None:
    """N1, R4: with many of the user's own, and while many runs wait for theirs."""
    steps: list[int] = []
    store = await open_store(path)
    with closing(sqlite3.connect(path)) as connection:
        for first, count in ((0, 20), (20, 500)):
            ids = [f"s{number}" for number in range(first, first + count) for _ in range(2)]
            await asyncio.gather(*[store.create_task(make_root(spec=make_spec(session_id=one))) for one in ids])
            steps.append(count_steps(connection, look))
    await store.close()
    assert steps[0] == steps[1]


async def test_equal_large_parts_of_one_tenant_are_stored_once(path: Path) -> None:
    """C9."""
    large = b"\x00\xff" * INLINE_PART_MAX_BYTES
    parts = (Part(data=large), Part(data=large[:INLINE_PART_MAX_BYTES]), Part(data=large))
    store = await open_store(path)
    for viewer in (ANNA, ANNA, ANNA_ELSEWHERE):
        await start(store, make_root(spec=make_spec(viewer, parts=parts)))
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        kept = connection.execute("SELECT tenant_id, length(data) FROM blob ORDER BY tenant_id").fetchall()
    assert kept == [("acme", len(large)), ("umbrella", len(large))]
