"""What the stores do about approvals that only a driven clock, or the planner, shows."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.approving import CARL, approve, ask_one, resolve
from tests.contract.parking import is_claimable, park
from tests.contract.values import ADMIN, ANNA, LATER_OWNER, claim, start
from tests.support.clocks import DrivenClock

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.full_store import FullStore
from musterd.domain.ports import TaskQuery
from musterd.domain.principal import Viewer
from musterd.domain.queueing import Caps
from musterd.domain.task import TaskState
from musterd.store.postgres import PostgresStore, listing
from musterd.store.postgres.connection import Database
from musterd.store.postgres.statements import load_statement
from musterd.store.sqlite import SqliteStore

OF_APPROVALS = (
    "close_approval",
    "close_task",
    "count_children",
    "find_open_requests",
    "find_within",
    "has_claimable",
    "is_any_over",
    "park_task",
    "read_approvals",
    "read_open_approvals",
    "read_open_approvals_in_tree",
    "read_shown_tasks",
    "read_task",
    "set_wake_time",
    "unpark_task",
    "wake_task",
    "wake_tasks",
    "wake_tasks_above",
)


@pytest.fixture
def clock() -> DrivenClock:
    return DrivenClock()


@pytest.fixture(params=["sqlite", "postgres"])
def closed_store(request: pytest.FixtureRequest, clock: DrivenClock, tmp_path: Path) -> FullStore:
    if request.param == "sqlite":
        return SqliteStore(tmp_path / "musterd.db", clock.now)
    return PostgresStore(request.getfixturevalue("postgres_database"), clock.now)


@pytest.fixture
async def store(closed_store: FullStore) -> AsyncIterator[FullStore]:
    """Return a store whose time stands still until the test lets it go on."""
    await closed_store.open(lambda _: None)
    yield closed_store
    await closed_store.close()


async def test_the_time_without_a_process_is_that_until_somebody_takes_the_task(
    store: FullStore, clock: DrivenClock
) -> None:
    """N2: it is added up."""
    task = await start(store)
    for number in (1, 2):
        await ask_one(store, task)
        clock.advance(5.0)
        await park(store, task)
        clock.advance(100.0)
        await resolve(store, task, approve())
        clock.advance(10.5)
        (claimed,) = await claim(store, LATER_OWNER)
        task = claimed.task
        assert task.parked_seconds == 110.5 * number
        assert await store.get_task(ANNA, task.task_id) == task


async def test_a_parked_task_wakes_up_when_its_first_open_approval_is_over(
    store: FullStore, clock: DrivenClock
) -> None:
    """N2: not of those that were decided by then."""
    task = await start(store)
    first, second = await ask_one(store, task, seconds=100.0), await ask_one(store, task, seconds=200.0)
    await park(store, task)
    clock.advance(99.0)
    assert not await is_claimable(store)
    await resolve(store, task, approve(first.approval_id))
    clock.advance(100.999999)
    assert not await is_claimable(store)
    clock.advance(0.000001)
    assert await store.has_claimable(LATER_OWNER)
    (claimed,) = await claim(store, LATER_OWNER)
    assert claimed.task.state is TaskState.WORKING
    assert await store.expire_approvals(task.task_id, 2) == await store.get_approvals([second.approval_id])


async def test_a_task_that_woke_up_and_has_to_wait_for_a_cap_can_be_taken_later(
    store: FullStore, clock: DrivenClock
) -> None:
    """N2, R9: decided or not."""
    task = await start(store)
    await ask_one(store, task, seconds=10.0)
    later = await ask_one(store, task, seconds=99.0)
    await park(store, task)
    clock.advance(10.0)
    assert not await store.claim(LATER_OWNER, 10, Caps(in_all=10, per_tenant=1), {("tenant", "acme"): 1})
    assert await store.has_claimable(LATER_OWNER)
    resolved = await resolve(store, task, approve(later.approval_id))
    assert resolved.task.state is TaskState.INPUT_REQUIRED
    assert await is_claimable(store)


async def test_an_approval_may_be_decided_until_its_time_is_over(store: FullStore, clock: DrivenClock) -> None:
    """N2."""
    task = await start(store)
    late, in_time = await ask_one(store, task, seconds=10.0), await ask_one(store, task, seconds=10.000001)
    clock.advance(10.0)
    await resolve(store, task, approve(in_time.approval_id))
    with pytest.raises(MusterdError) as refused:
        await resolve(store, task, approve(late.approval_id))
    assert refused.value.reason is Reason.APPROVAL_CONFLICT


@pytest.mark.parametrize("name", OF_APPROVALS)
async def test_postgres_finds_approvals_and_what_is_parked_along_an_index(
    postgres_database: Database, name: str
) -> None:
    """R3, N2: in empty tables too, where each index looks as good as the others."""
    await check_plan(postgres_database, load_statement(name))


@pytest.mark.parametrize("viewer", [ANNA, ADMIN, CARL])
async def test_postgres_lists_what_waits_along_an_index(postgres_database: Database, viewer: Viewer) -> None:
    """R4, N2."""
    query = TaskQuery(viewer=viewer, limit=10, has_open_approvals=True, states=frozenset((TaskState.WORKING,)))
    statement, _ = listing.build_statement(query)
    lines = await check_plan(postgres_database, statement)
    assert any("approval_open_in_tenant" in line for line in lines), "\n".join(lines)


async def check_plan(database: Database, statement: str) -> list[str]:
    """Return the plan of a statement, having checked that each look at what there can be much of has a condition."""
    store = PostgresStore(database)
    await store.open(lambda _: None)
    await store.close()
    connection = await database.connect()
    try:
        await connection.execute(f"PREPARE one AS {statement}")
        count = await connection.fetchval(
            "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'one'"
        )
        rows = await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE one ({', '.join(['NULL'] * count)})")
    finally:
        await connection.close()
    lines = [row[0].strip(" ->") for row in rows]
    for line, condition in zip(lines, [*lines[1:], ""], strict=True):
        if " Scan " in line and not line.startswith(("CTE", "Function", "Subquery", "WorkTable")):
            assert condition.startswith("Index Cond") or "task_unowned" in line, "\n".join(lines)
    return lines
