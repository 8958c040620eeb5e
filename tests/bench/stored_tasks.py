"""What an operation of the store on PostgreSQL costs when there is much history, against when there is little."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from statistics import median

import asyncpg
from tests.bench.database import QUICK, new_postgres, new_store
from tests.bench.figures import Figure, Target
from tests.bench.setting import Setting
from tests.contract.values import ANNA, NO_CAPS, OWNER, complete, make_deltas, make_key, make_root, say, start
from tests.support.postgres import PostgresServer

from musterd.domain.ids import new_id
from musterd.domain.ports import TaskQuery
from musterd.store.postgres import PostgresStore
from musterd.store.postgres.connection import Database, quote

FEW = 100
MANY = 100_000
QUEUED = 50
PAGE = 50
DELTAS = 10
LEASE_SECONDS = 3_600.0
FIRST_NUMBER = 1_000_000_000
"""Above those that the store gives."""

COPIES: Mapping[str, Mapping[str, str]] = {
    "tree": {"number": "{n}", "root_task_id": "'stored-' || copy"},
    "task": {
        "number": "{n}",
        "task_id": "'stored-' || copy",
        "root_task_id": "'stored-' || copy",
        "create_time": "create_time - copy * 1000",
    },
    "task_spec": {"task": "{n}"},
    "event": {"tree": "{n}", "task": "{n}"},
    "request": {"task_id": "'stored-' || copy", "request_id": "'stored-' || copy"},
}
"""What the copies of a task do not share with it, in each table."""

Operation = Callable[[PostgresStore], Awaitable[float]]


async def stored_tasks(setting: Setting) -> list[Figure]:
    """Each operation on a store with 100,000 tasks that have ended and on one with 100, in turns."""
    many, samples = setting.count(MANY), setting.count(300)
    async with new_postgres(QUICK) as postgres, AsyncExitStack() as stack:
        small, large = [await _filled(stack, postgres, count) for count in (FEW, many)]
        figures: list[Figure] = []
        for name, operation in OPERATIONS.items():
            few_ms, many_ms = [seconds * 1e3 for seconds in await _take_samples(operation, samples, small, large)]
            figures += [
                Figure(
                    name=f"{name}: time with {MANY:,} stored tasks over {FEW}",
                    value=many_ms / few_ms,
                    unit="ratio",
                    target=Target(bound=1.2),
                ),
                Figure(name=f"{name}: time with {MANY:,} stored tasks", value=many_ms, unit="ms"),
            ]
    return figures


async def _take_samples(operation: Operation, samples: int, *stores: PostgresStore) -> Sequence[float]:
    """Return the median for each store; none of them always comes first."""
    found: dict[PostgresStore, list[float]] = {store: [] for store in stores}
    for number in range(samples):
        for store in stores if number % 2 else reversed(stores):
            found[store].append(await operation(store))
    return [median(seconds) for seconds in found.values()]


async def _filled(stack: AsyncExitStack, postgres: PostgresServer, count: int) -> PostgresStore:
    """Return a store with so many tasks that have ended, and a few in the queue."""
    settings = await new_store(postgres)
    store = PostgresStore(Database(dsn=settings["url"], schema=settings["db_schema"]))
    await store.open(lambda _: None)
    stack.push_async_callback(store.close)
    await store.maintain()
    await store.add_lease(OWNER, LEASE_SECONDS)
    task = await start(store, make_root(request=make_key(new_id())))
    await store.write([say(task, *make_deltas(DELTAS))])
    await store.write([complete(task)])
    await _copy(settings, count)
    for _ in range(QUEUED):
        await start(store, make_root(owner=None))
    return store


async def _copy(settings: Mapping[str, str], count: int) -> None:
    """Store the only task so many times again."""
    search_path = {"search_path": quote(settings["db_schema"]), "musterd.all_tenants": "on"}
    connection = await asyncpg.connect(settings["url"], server_settings=search_path)
    try:
        for table, own in COPIES.items():
            statement = await connection.prepare(f"SELECT * FROM {table}")  # noqa: S608 - of constants
            columns = [column.name for column in statement.get_attributes()]
            values = ", ".join(own.get(name, name).format(n=f"{FIRST_NUMBER} + copy") for name in columns)
            await connection.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE"  # noqa: S608 - of constants
                f" SELECT {values} FROM {table}, generate_series(1, {count}) AS copy",
                timeout=None,
            )
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def _create(store: PostgresStore) -> float:
    new = make_root(request=make_key(new_id()))
    return await _seconds(lambda: store.create_task(new))


async def _write(store: PostgresStore) -> float:
    write = replace(say(await start(store), *make_deltas(DELTAS)), number=1)
    return await _seconds(lambda: store.write([write]))


async def _claim(store: PostgresStore) -> float:
    await start(store, make_root(owner=None))
    return await _seconds(lambda: store.claim(OWNER, 1, NO_CAPS, {}))


async def _get(store: PostgresStore) -> float:
    return await _seconds(lambda: store.get_task(ANNA, f"stored-{FEW // 2}"))


async def _list(store: PostgresStore) -> float:
    return await _seconds(lambda: store.list_tasks(TaskQuery(viewer=ANNA, limit=PAGE)))


async def _count(store: PostgresStore) -> float:
    return await _seconds(store.count_queued)


OPERATIONS: Mapping[str, Operation] = {
    "create and start": _create,
    "write of 10 deltas": _write,
    "claim": _claim,
    "get": _get,
    "page of 50": _list,
    "count of the queue": _count,
}


async def _seconds(work: Callable[[], Awaitable[object]]) -> float:
    begun_at = time.perf_counter()
    await work()
    return time.perf_counter() - begun_at
