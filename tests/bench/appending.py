"""How fast the store on PostgreSQL appends events, against a bare loop that inserts as many into such a table."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from tests.bench.database import DURABLE, new_postgres, new_store
from tests.bench.figures import Figure, Target
from tests.bench.setting import Setting
from tests.bench.turns import take_turns
from tests.contract.values import make_deltas, make_root, start
from tests.support.postgres import PostgresServer

from musterd.domain.event import Payload
from musterd.domain.ports import TaskWrite
from musterd.store.encoding import EVENT_FORMAT, PAYLOAD_ENCODERS
from musterd.store.postgres import PostgresStore
from musterd.store.postgres.connection import Database, quote

BUSY = (100, 10)
"""The tasks of a busy process, and the events of each, that go into one commit."""

BATCHES = ((1, 1), (10, 4), (64, 4), BUSY)
COMMITS = 300
LEAST = Target(bound=0.7, is_least=True)

_CREATE_BARE = """
CREATE TABLE bare_event (LIKE event INCLUDING ALL) PARTITION BY RANGE (tree_day);
CREATE TABLE bare_event_default PARTITION OF bare_event DEFAULT;
"""
_INSERT_BARE = """
INSERT INTO bare_event (tree, task, create_time, sequence, tree_day, format, tenant_id, kind, payload)
SELECT * FROM unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::int[], $5::int[], $6::int[], $7::text[], $8::text[], $9::bytea[]
)
"""


@dataclass(slots=True, kw_only=True)
class _Batch:
    """The same batch, written by the store and by the bare loop again and again."""

    store: PostgresStore
    bare: "asyncpg.Connection[asyncpg.Record]"
    task_ids: Sequence[str]
    payloads: tuple[Payload, ...]
    commits: int = 0

    async def store_it(self) -> float:
        """Return how many seconds a commit of the store took."""
        self.commits += 1
        begun_at = time.perf_counter()
        await self.store.write(
            [
                TaskWrite(task_id=task_id, attempt=1, number=self.commits, payloads=self.payloads)
                for task_id in self.task_ids
            ]
        )
        return time.perf_counter() - begun_at

    async def insert_it(self) -> float:
        """Return how many seconds a commit of the bare loop took."""
        self.commits += 1
        begun_at = time.perf_counter()
        rows: list[tuple[object, ...]] = []
        for task in range(len(self.task_ids)):
            for place, payload in enumerate(self.payloads):
                kind, encode = PAYLOAD_ENCODERS[type(payload)]
                sequence = self.commits * len(self.payloads) + place
                rows.append((task, task, self.commits, sequence, 0, EVENT_FORMAT, "acme", kind, encode(payload)))
        await self.bare.execute(_INSERT_BARE, *zip(*rows, strict=True))
        return time.perf_counter() - begun_at


async def appending(setting: Setting) -> list[Figure]:
    """Batches of several sizes, a commit of each in turns."""
    figures: list[Figure] = []
    async with new_postgres(DURABLE) as postgres:
        for tasks, events in BATCHES:
            async with _batch(postgres, tasks, events) as batch:
                bare, ours, ratio = await take_turns(setting.count(COMMITS), batch.insert_it, batch.store_it)
            what = f"append on PostgreSQL, {tasks} x {events} events a commit"
            target = LEAST if (tasks, events) == BUSY else None
            figures += [
                Figure(name=f"{what}: rate over a bare unnest loop", value=ratio, unit="ratio", target=target),
                Figure(name=f"{what}: rate", value=tasks * events / ours, unit="1/s"),
                Figure(name=f"{what}: rate of a bare unnest loop", value=tasks * events / bare, unit="1/s"),
            ]
    return figures


@asynccontextmanager
async def _batch(postgres: PostgresServer, tasks: int, events: int) -> AsyncGenerator[_Batch]:
    settings = await new_store(postgres)
    database = Database(dsn=settings["url"], schema=settings["db_schema"])
    store = PostgresStore(database)
    await store.open(lambda _: None)
    bare = await asyncpg.connect(database.dsn, server_settings={"search_path": quote(database.schema)})
    try:
        await bare.execute(_CREATE_BARE)
        task_ids = [(await start(store, make_root())).task_id for _ in range(tasks)]
        yield _Batch(store=store, bare=bare, task_ids=task_ids, payloads=make_deltas(events))
    finally:
        await bare.close()
        await store.close()
