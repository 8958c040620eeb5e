"""What PostgreSQL stores when something fails: all that was acknowledged, and nothing that was refused."""

import asyncio
from collections.abc import AsyncIterator, Generator
from dataclasses import replace

import asyncpg
import pytest
from tests.contract.values import ANNA, complete, make_deltas, make_key, make_root, make_spec, read_log, say, start
from tests.support.postgres import SETTINGS, PostgresServer, own_postgres
from tests.support.postgres_proxy import Proxy, proxy_to

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Event, TaskStarted, TextDelta
from musterd.domain.ports import Lost, Stored, TaskWrite
from musterd.domain.task import TaskState
from musterd.store.postgres import PostgresStore
from musterd.store.postgres.connection import Database, quote

COMMIT = b"COMMIT;"
# How asyncpg begins to run a statement that is prepared.
APPEND = b"text_delta"
UNSTORABLE = TextDelta(step=1, part_index=0, text="half of a pair: \ud800")


@pytest.fixture
async def proxied(postgres_database: Database) -> AsyncIterator[tuple[Proxy, PostgresStore, list[Event]]]:
    """Return a store whose connections can be broken, and what it tells of."""
    heard: list[Event] = []
    async with proxy_to(postgres_database.dsn) as (proxy, dsn):
        store = PostgresStore(replace(postgres_database, dsn=dsn))
        await store.open(heard.extend)
        yield proxy, store, heard
        await store.close()


@pytest.fixture
def own_server() -> Generator[PostgresServer]:
    """Return a server that a test may stop."""
    with own_postgres({**SETTINGS, "fsync": "on", "synchronous_commit": "on"}) as server:
        yield server


@pytest.mark.parametrize("number", [0, 1])
async def test_a_commit_whose_answer_is_lost_is_found_to_be_stored(
    proxied: tuple[Proxy, PostgresStore, list[Event]], number: int
) -> None:
    """R3: the events are told as of any other commit."""
    proxy, store, heard = proxied
    task = await start(store)
    proxy.break_at(COMMIT, after=True)
    (result,) = await store.write([replace(complete(task), number=number)])
    assert isinstance(result, Stored)
    assert result.state is TaskState.COMPLETED
    assert [event.sequence for event in heard] == [1, 2]
    assert len(await read_log(store, task)) == 2


async def test_a_commit_that_the_database_never_heard_of_is_refused(
    proxied: tuple[Proxy, PostgresStore, list[Event]],
) -> None:
    """R3."""
    proxy, store, heard = proxied
    task = await start(store)
    proxy.break_at(COMMIT, after=False)
    with pytest.raises(MusterdError) as refused:
        await store.write([complete(task)])
    assert refused.value.reason is Reason.STORE_UNAVAILABLE
    assert refused.value.retry_after_seconds is not None
    assert len(heard) == 1
    assert (await store.get_task(ANNA, task.task_id)).state is TaskState.WORKING
    assert isinstance((await store.write([complete(task)]))[0], Stored)


async def test_a_new_task_whose_answer_is_lost_is_owned_by_who_made_it(
    proxied: tuple[Proxy, PostgresStore, list[Event]],
) -> None:
    """R3, R8: nobody is left with a task that it does not know of."""
    proxy, store, _ = proxied
    new = make_root(request=make_key("r1"))
    proxy.break_at(COMMIT, after=True)
    created = await store.create_task(new)
    assert created.is_new
    assert await store.get_task(ANNA, new.task_id) == created.task


async def test_events_whose_answer_is_lost_may_be_written_again(
    proxied: tuple[Proxy, PostgresStore, list[Event]],
) -> None:
    """R3."""
    proxy, store, _ = proxied
    task = await start(store)
    write = replace(say(task, *make_deltas(2)), number=1)
    proxy.break_at(APPEND, after=True)
    with pytest.raises(MusterdError) as refused:
        await store.write([write])
    assert refused.value.reason is Reason.STORE_UNAVAILABLE
    assert await store.write([write]) == [Stored(state=TaskState.WORKING, events=())]
    assert await read_log(store, task) == [TaskStarted(), *make_deltas(2)]


async def test_a_database_that_starts_again_has_all_that_was_acknowledged(own_server: PostgresServer) -> None:
    """R3."""
    store = PostgresStore(Database(dsn=own_server.dsn))
    await store.open(lambda _: None)
    task = await start(store)
    await store.write([say(task, *make_deltas(3))])
    await asyncio.to_thread(own_server.stop)
    for call in (store.write([complete(task)]), store.get_task(ANNA, task.task_id), store.create_task(make_root())):
        with pytest.raises(MusterdError) as refused:
            await call
        assert refused.value.reason is Reason.STORE_UNAVAILABLE
    await asyncio.to_thread(own_server.start)
    assert len(await read_log(store, task)) == 4
    assert isinstance((await store.write([complete(task)]))[0], Stored)
    await store.close()


async def test_an_operation_that_fails_does_not_fail_those_beside_it(postgres_database: Database) -> None:
    """R3."""
    heard: list[Event] = []
    store = PostgresStore(postgres_database)
    await store.open(heard.extend)
    task = await start(store)
    results = await asyncio.gather(
        store.write([say(task, *make_deltas(1))]),
        store.create_task(make_root()),
        store.write([say(task, *make_deltas(1)), say(task, UNSTORABLE)]),
        store.write([TaskWrite(task_id=task.task_id, attempt=7)]),
        store.write([say(task, *make_deltas(2))]),
        return_exceptions=True,
    )
    failed = [index for index, result in enumerate(results) if isinstance(result, BaseException)]
    assert failed == [2]
    assert not isinstance(results[2], MusterdError)
    assert results[3] == [Lost()]
    assert [event.sequence for event in heard if event.task_id == task.task_id] == [1, 2, 3, 4]
    await store.close()


async def test_a_row_that_somebody_else_locks_is_waited_for_no_longer_than_a_statement_may_take(
    postgres_database: Database,
) -> None:
    """R3."""
    store = PostgresStore(replace(postgres_database, statement_timeout_seconds=0.2))
    await store.open(lambda _: None)
    task = await start(store)
    other = await asyncpg.connect(postgres_database.dsn)
    try:
        async with other.transaction():
            await other.execute(f"SELECT FROM {quote(postgres_database.schema)}.tree FOR UPDATE")
            with pytest.raises(MusterdError) as refused:
                await store.write([complete(task)])
            assert refused.value.reason is Reason.STORE_UNAVAILABLE
    finally:
        await other.close()
    assert isinstance((await store.write([complete(task)]))[0], Stored)
    await store.close()


async def test_a_name_that_the_database_cannot_hold_is_refused_as_the_caller_s(postgres_database: Database) -> None:
    """R8."""
    store = PostgresStore(postgres_database)
    await store.open(lambda _: None)
    with pytest.raises(MusterdError) as refused:
        await store.create_task(make_root(spec=make_spec(session_id="a\x00b")))
    assert refused.value.reason is Reason.INVALID_ARGUMENT
    assert "NUL" in refused.value.message
    await store.close()


async def test_callers_get_their_results_though_the_listener_fails(postgres_database: Database) -> None:
    """R3."""
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))
    store = PostgresStore(postgres_database)

    def listen(events: object) -> None:
        raise ValueError(events)

    await store.open(listen)
    task = await start(store)
    assert await store.get_task(ANNA, task.task_id) == task
    await store.close()
    assert [type(failure) for failure in failures] == [ValueError]
