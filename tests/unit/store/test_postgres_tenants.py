"""The second wall between tenants: what the database itself refuses to a role that its policies bind."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, TypeAlias

import asyncpg
import pytest
from tests.contract.approving import CARL, approve, ask_one, resolve
from tests.contract.claiming import EXPIRED, RENEWED
from tests.contract.hooking import end_with, kill, make_hook_run
from tests.contract.questioning import ask
from tests.contract.queueing import make_queued
from tests.contract.sessions import add, make_run, session
from tests.contract.teams import BOB, OPEN, send, start_turn
from tests.contract.values import (
    ADMIN,
    ADMIN_ELSEWHERE,
    ANNA,
    ANNA_ELSEWHERE,
    HARD,
    claim,
    complete,
    make_child,
    make_identity,
    make_key,
    make_root,
    make_spec,
    make_steer,
    read_log,
    say,
    start,
)
from tests.unit.store.retaining import Clock

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.full_store import FullStore
from musterd.domain.hook_store import HookQuery
from musterd.domain.ports import TaskQuery
from musterd.domain.principal import Viewer
from musterd.domain.session import SessionQuery
from musterd.domain.step import ModelStep, ToolStatus, ToolStep
from musterd.domain.task import Part, Task
from musterd.domain.team_board import AddTodo
from musterd.store.blobs import INLINE_PART_MAX_BYTES
from musterd.store.postgres import PostgresStore
from musterd.store.postgres.connection import Database, quote
from musterd.store.postgres.sessions import build_statement
from musterd.store.postgres.statements import load_statement
from musterd.store.retention import Retention

TABLES = (
    "tree",
    "task",
    "task_spec",
    "blob",
    "event",
    "model_step",
    "tool_step",
    "inbox",
    "question",
    "approval",
    "board",
    "todo",
    "team_message",
    "request",
    "hook_run",
    "hook_payload",
    "session",
    "session_entry",
)
STATEMENTS = sorted(entry.name.removesuffix(".sql") for entry in (files("musterd.store.postgres") / "sql").iterdir())
SERVER = {"musterd.all_tenants": "on"}
ACME = {"musterd.tenant": "acme"}
LARGE = Part(media_type="image/png", data=b"x" * (INLINE_PART_MAX_BYTES + 1))
ANYBODY = Viewer(tenant_id="*", user_id=None)
CARL_ELSEWHERE = replace(CARL, tenant_id="umbrella")

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Operation = Callable[[FullStore, Viewer, Task], Awaitable[object]]

# Each with a viewer of another tenant than the task's, or with rows of the task that are in another tenant.
OPERATIONS: dict[str, Operation] = {
    "get_task": lambda store, viewer, task: store.get_task(viewer, task.task_id),
    "get_tasks": lambda store, viewer, task: store.get_tasks(viewer, [task.task_id]),
    "create_task": lambda store, viewer, task: store.create_task(make_child(task, viewer=viewer)),
    "request_cancel": lambda store, viewer, task: store.request_cancel(viewer, task.task_id, HARD, None),
    "add_steer": lambda store, viewer, task: store.add_steer(viewer, make_steer(task), None),
    "renew_identity": lambda store, viewer, task: store.renew_identity(
        viewer, task.task_id, make_identity(viewer), RENEWED, None
    ),
    "answer": lambda store, viewer, task: store.answer(
        viewer, task.task_id, "", answer="yes", user_id="anna", request=None
    ),
    "resolve": lambda store, viewer, task: resolve(store, task, approve(), viewer=viewer),
    "change_board": lambda store, viewer, task: store.change_board(task.task_id, OPEN, viewer=viewer),
}


@pytest.fixture
async def store(bound_database: Database) -> AsyncIterator[FullStore]:
    """Return the store of a role that the policies bind."""
    opened = PostgresStore(bound_database)
    await opened.open(lambda _: None)
    yield opened
    await opened.close()


@asynccontextmanager
async def connected(database: Database, settings: dict[str, str]) -> AsyncGenerator[Connection]:
    """Yield a connection by hand."""
    connection = await asyncpg.connect(
        database.dsn, server_settings={"search_path": quote(database.schema), **settings}
    )
    try:
        yield connection
    finally:
        await connection.close()


async def fill(store: FullStore, viewer: Viewer) -> Task:
    """Store rows of every table, and return the task that they are about."""
    task = await start(
        store, make_root(viewer, request=make_key("r", viewer=viewer), spec=make_spec(viewer, parts=(LARGE,)))
    )
    await store.change_board(task.task_id, OPEN)
    await store.change_board(task.task_id, AddTodo(todo_id="a", content="dig"))
    await send(store, task)
    await ask(store, task)
    await ask_one(store, task)
    step = ModelStep(step=1, response_json=b"{}")
    call = ToolStep(step=1, tool_call_id="c", tool_name="dig", status=ToolStatus.STARTED)
    await store.write([replace(say(task), steps=(step, call))])
    return task


async def fill_all(store: FullStore, viewer: Viewer) -> None:
    """Store rows of every table, also of those that a task leaves when it ends."""
    await fill(store, viewer)
    await end_with(store, make_hook_run(), viewer=viewer)
    session_run = await start(store, make_run(session(viewer)))
    await store.write([add(session_run)])


async def count_by_tenant(connection: Connection, table: str) -> dict[str, int]:
    """Return how many rows there are of each tenant."""
    rows = await connection.fetch(f"SELECT tenant_id, count(*) FROM {table} GROUP BY 1")  # noqa: S608 - of constants
    return {row["tenant_id"]: row["count"] for row in rows}


async def refusal_of(call: Awaitable[object]) -> Reason:
    """Return why a call is refused."""
    with pytest.raises(MusterdError) as refused:
        await call
    return refused.value.reason


def copy_for(tenant_id: str, table: str) -> str:
    """Return a statement that stores rows again, as those of a tenant."""
    changed = f"""jsonb_populate_record(one, '{{"tenant_id": "{tenant_id}"}}')"""
    return f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT ({changed}).* FROM {table} AS one"  # noqa: S608 - of constants


async def test_every_table_with_a_tenant_has_the_policy(store: FullStore, bound_database: Database) -> None:
    """I5: partitions too, those that are made later as well."""
    await store.maintain()
    async with connected(bound_database, {}) as connection:
        rows = await connection.fetch(
            "SELECT relname, relispartition, relrowsecurity AND relforcerowsecurity AS is_bound,"
            " EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid) AS has_policy"
            " FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
            " WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND attname = 'tenant_id'"
        )
    assert all(row["is_bound"] for row in rows)
    assert {row["relname"] for row in rows if not row["relispartition"]} == set(TABLES)
    assert {row["relname"] for row in rows if row["has_policy"]} == set(TABLES)


async def test_a_connection_that_names_no_tenant_sees_and_stores_nothing(
    store: FullStore, bound_database: Database
) -> None:
    """I5."""
    await fill_all(store, ANNA)
    async with connected(bound_database, {}) as connection:
        assert [await count_by_tenant(connection, table) for table in TABLES] == [{}] * len(TABLES)
        assert await connection.fetchval("SELECT count(*) FROM shown_task") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute("INSERT INTO blob VALUES ('acme', '', '')")


@pytest.mark.parametrize("table", TABLES)
async def test_rows_of_another_tenant_cannot_be_read_or_changed(
    store: FullStore, bound_database: Database, table: str
) -> None:
    """I5 (refusal)."""
    await fill_all(store, ANNA)
    await fill_all(store, ANNA_ELSEWHERE)
    async with connected(bound_database, SERVER) as server, connected(bound_database, ACME) as connection:
        before = await count_by_tenant(server, table)
        assert before.keys() == {"acme", "umbrella"}
        assert await count_by_tenant(connection, table) == {"acme": before["acme"]}
        elsewhere = "WHERE tenant_id = 'umbrella'"
        assert await connection.fetch(f"SELECT FROM {table} {elsewhere} FOR UPDATE") == []
        assert await connection.execute(f"UPDATE {table} SET tenant_id = 'acme' {elsewhere}") == "UPDATE 0"  # noqa: S608 - of constants
        assert await connection.execute(f"DELETE FROM {table} {elsewhere}") == "DELETE 0"  # noqa: S608 - of constants
        for statement in (f"UPDATE {table} SET tenant_id = 'umbrella'", copy_for("umbrella", table)):  # noqa: S608 - of constants
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                await connection.execute(statement)
        assert await connection.execute(f"DELETE FROM {table}") == f"DELETE {before['acme']}"  # noqa: S608 - of constants
        assert await count_by_tenant(server, table) == {"umbrella": before["umbrella"]}


async def test_a_view_shows_nothing_of_another_tenant(store: FullStore, bound_database: Database) -> None:
    """I5."""
    task = await fill(store, ANNA)
    await fill(store, ANNA_ELSEWHERE)
    async with connected(bound_database, ACME) as connection:
        assert [row["task_id"] for row in await connection.fetch("SELECT * FROM shown_task")] == [task.task_id]


async def test_a_partition_shows_nothing_by_itself(store: FullStore, bound_database: Database) -> None:
    """I5."""
    await fill(store, ANNA)
    async with connected(bound_database, SERVER) as connection:
        partitions = await connection.fetch("SELECT DISTINCT tableoid::regclass::text AS name FROM event")
        assert len(partitions) == 1
        assert await connection.fetch(f"SELECT FROM {partitions[0]['name']}") == []


async def test_a_tenant_is_served_until_the_transaction_ends(store: FullStore, bound_database: Database) -> None:
    """I5."""
    await fill(store, ANNA)
    statement = load_statement("serve_tenant")
    async with connected(bound_database, {}) as plain, connected(bound_database, SERVER) as server:
        for connection, outside in ((plain, 0), (server, 1)):
            for tenant_id, inside in (("acme", 1), ("umbrella", 0), ("*", 0), ("", 0)):
                async with connection.transaction():
                    await connection.execute(statement, tenant_id)
                    assert await connection.fetchval("SELECT count(*) FROM task") == inside
                assert await connection.fetchval("SELECT count(*) FROM task") == outside


@pytest.mark.parametrize(
    "stranger",
    [ANNA_ELSEWHERE, ADMIN_ELSEWHERE, CARL_ELSEWHERE, ANYBODY],
    ids=["user", "admin", "approver", "any"],
)
@pytest.mark.parametrize("name", OPERATIONS)
async def test_no_operation_finds_a_task_of_another_tenant(store: FullStore, name: str, stranger: Viewer) -> None:
    """I5: the server itself finds it still as it was."""
    task = await fill(store, ANNA)
    as_it_was, log = await store.get_task(ANNA, task.task_id), await read_log(store, task)
    assert await refusal_of(OPERATIONS[name](store, stranger, task)) is Reason.TASK_NOT_FOUND
    assert await store.get_task(ANNA, task.task_id) == as_it_was
    assert await read_log(store, task) == log


@pytest.mark.parametrize("name", OPERATIONS)
async def test_an_operation_would_not_find_rows_that_its_statements_let_through(
    store: FullStore, bound_database: Database, name: str
) -> None:
    """I5: no statement asks for the tenant of a tree, and the database does."""
    task = await fill(store, ANNA)
    parked = await start(store)
    await store.park_for_identity(parked.task_id, parked.attempt, EXPIRED)
    task = parked if name == "renew_identity" else task
    async with connected(bound_database, SERVER) as server:
        await server.execute("UPDATE tree SET tenant_id = 'umbrella'")
        assert await refusal_of(OPERATIONS[name](store, ANNA, task)) is Reason.TASK_NOT_FOUND
        assert await store.list_tasks(TaskQuery(viewer=ADMIN, limit=10)) == []
        assert await refusal_of(store.find_request(make_key("r"))) is Reason.TASK_NOT_FOUND
        await server.execute("UPDATE tree SET tenant_id = 'acme'")
    await OPERATIONS[name](store, ANNA, task)


async def test_a_viewer_sees_no_items_of_another_tenant_on_a_board(store: FullStore, bound_database: Database) -> None:
    """I5."""
    task = await fill(store, ANNA)
    async with connected(bound_database, SERVER) as server:
        await server.execute("UPDATE todo SET tenant_id = 'umbrella'")
    assert (await store.get_board(ANNA, task.task_id)).todos.keys() == set()
    assert (await store.get_board(None, task.task_id)).todos.keys() == {"a"}
    assert await refusal_of(store.get_board(ANNA_ELSEWHERE, task.task_id)) is Reason.TASK_NOT_FOUND


async def test_an_approval_of_another_tenant_shows_nothing_to_an_approver(
    store: FullStore, bound_database: Database
) -> None:
    """I5."""
    task = await fill(store, ANNA)
    waiting = TaskQuery(viewer=CARL, limit=9, has_open_approvals=True)
    assert await store.list_tasks(waiting) == [await store.get_task(CARL, task.task_id)]
    async with connected(bound_database, SERVER) as server:
        await server.execute("UPDATE approval SET tenant_id = 'umbrella'")
    assert await store.list_tasks(waiting) == []
    assert await refusal_of(store.get_task(CARL, task.task_id)) is Reason.TASK_NOT_FOUND
    assert (await store.get_task(ANNA, task.task_id)).approvals == ()


async def test_a_hook_run_of_another_tenant_is_not_there(store: FullStore, bound_database: Database) -> None:
    """I5, H4 (refusal)."""
    run = make_hook_run()
    await end_with(store, run)
    await kill(store, run)
    async with connected(bound_database, SERVER) as server:
        await server.execute("UPDATE hook_run SET tenant_id = 'umbrella'")
    assert await store.list_hook_runs(HookQuery(viewer=ANNA, limit=9)) == []
    assert await refusal_of(store.get_hook_run(ANNA, run.hook_run_id)) is Reason.HOOK_RUN_NOT_FOUND
    assert await refusal_of(store.retry_hook_run(ANNA, run.hook_run_id, None)) is Reason.HOOK_RUN_NOT_FOUND


async def test_a_session_of_another_tenant_is_not_there(store: FullStore, bound_database: Database) -> None:
    """I5, N1 (refusal)."""
    await store.write([add(await start(store, make_run()))])
    async with connected(bound_database, SERVER) as server:
        await server.execute("UPDATE session SET tenant_id = 'umbrella'")
        assert await store.list_sessions(SessionQuery(tenant_id="acme", user_id="anna", limit=9)) == []
        for call in (
            store.get_session(session()),
            store.read_session(session(), after_position=0, limit=9),
            store.delete_session(session()),
        ):
            assert await refusal_of(call) is Reason.SESSION_NOT_FOUND
        await server.execute("UPDATE session SET tenant_id = 'acme'")
        await server.execute("UPDATE session_entry SET tenant_id = 'umbrella'")
    assert await store.read_session(session(), after_position=0, limit=9) == []


@pytest.mark.parametrize(
    ("changed", "index"),
    [
        ({}, "session_by_user"),
        ({"component": session().component}, "session_by_component"),
        ({"session_id": "s-1"}, "session_key"),
    ],
    ids=["all", "component", "id"],
)
async def test_sessions_are_listed_along_an_index(
    store: FullStore, bound_database: Database, changed: dict[str, Any], index: str
) -> None:
    """N1, I5: whether or not the policies bind."""
    del store
    query = SessionQuery(tenant_id="acme", user_id="anna", limit=9, **changed)
    for before in (None, (datetime(2026, 1, 1, tzinfo=UTC), "s", "agent", "a")):
        statement, _ = build_statement(replace(query, before=before))
        plan = await _explain(bound_database, statement)
        assert [line.partition(" on ")[0].split()[-1] for line in plan if " on session" in line] == [index], plan


async def test_a_tenant_s_lists_and_requests_are_its_own(store: FullStore) -> None:
    """I5, R8."""
    tasks = {viewer: await fill(store, viewer) for viewer in (ANNA, ANNA_ELSEWHERE)}
    for viewer, task in tasks.items():
        everybody = Viewer(tenant_id=viewer.tenant_id, user_id=None)
        assert [found.task_id for found in await store.list_tasks(TaskQuery(viewer=everybody, limit=9))] == [
            task.task_id
        ]
        found = await store.find_request(make_key("r", viewer=viewer))
        assert found is not None
        assert found.task_id == task.task_id
    assert await store.list_tasks(TaskQuery(viewer=ANYBODY, limit=9)) == []
    assert await store.find_request(make_key("r", viewer=ANYBODY)) is None


async def test_the_queue_is_that_of_all_tenants(store: FullStore) -> None:
    """R9: the bound counts the tasks of others, and a claim takes them."""
    await start(store, make_queued(ANNA_ELSEWHERE))
    full = replace(make_queued(ANNA), max_queued=1)
    assert await refusal_of(store.create_task(full)) is Reason.CAPACITY_EXHAUSTED
    await store.create_task(replace(full, max_queued=2))
    assert await store.count_queued() == 2
    assert {one.task.tenant_id for one in await claim(store)} == {"acme", "umbrella"}


async def test_a_task_that_waits_in_the_queue_is_stored_for_its_tenant_alone(
    store: FullStore, bound_database: Database
) -> None:
    """I5: to count the queue of all is over when that is done."""
    team = await fill(store, ANNA)
    await send(store, team, receiver="bob")
    async with connected(bound_database, SERVER) as server:
        await server.execute("UPDATE inbox SET tenant_id = 'umbrella'")
        turn = replace(make_child(team, component=BOB, owner=None), team_task_id=team.task_id, max_queued=10)
        assert (await store.read_inbox((await start(store, turn)).task_id)).steers == ()
        await server.execute("UPDATE inbox SET tenant_id = 'acme'")
    assert (await store.read_inbox((await start_turn(store, team)).task_id)).steers != ()


async def test_what_is_old_is_removed_in_all_tenants(bound_database: Database) -> None:
    """I5, R3: partitions and rows alike."""
    clock = Clock()
    store = PostgresStore(bound_database, clock, retention=Retention(event_days=1, task_days=2))
    await store.open(lambda _: None)
    for viewer in (ANNA, ANNA_ELSEWHERE):
        await store.write([complete(await fill(store, viewer))])
    clock.pass_days(2)
    await store.maintain()
    await store.close()
    async with connected(bound_database, SERVER) as server:
        assert [await count_by_tenant(server, table) for table in TABLES] == [{}] * len(TABLES)
        assert await server.fetchval("SELECT to_regclass('event_20260506')") is None


@pytest.mark.parametrize("name", STATEMENTS)
async def test_the_policy_changes_no_index_of_a_statement(
    store: FullStore, postgres_database: Database, bound_database: Database, name: str
) -> None:
    """R3, I5: what it costs is a look at each row that is found anyway."""
    del store
    statement = load_statement(name)
    if not re.search(rf"\b(FROM|INTO|UPDATE|JOIN) ({'|'.join(TABLES)}|shown_task)\b", statement):
        return
    plans = [await _explain(database, statement) for database in (postgres_database, bound_database)]
    assert plans[0] == plans[1]


async def _explain(database: Database, statement: str) -> list[str]:
    """Return the scans of a plan, and how each finds its rows."""
    pool = await database.open_pool()
    async with pool, pool.acquire() as connection:
        await connection.execute(f"PREPARE one AS {statement}")
        count = await connection.fetchval(
            "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'one'"
        )
        arguments = f"({', '.join(['NULL'] * count)})" if count else ""
        rows = await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE one {arguments}")
    lines = [re.sub(r"\$\d+|InitPlan \d+", "$", row[0]).replace("Index Only", "Index").strip(" ->") for row in rows]
    return sorted(line for line in lines if re.search(r" Scan .*on |Index Cond: ", line))
