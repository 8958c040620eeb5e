"""Several servers on one PostgreSQL, all in this process, any of which can be lost."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import asyncpg

from musterd import Musterd
from musterd.app import Service
from musterd.domain.bus import Signal
from musterd.domain.event import Event
from musterd.domain.full_store import FullStore
from musterd.domain.orders import Inbox
from musterd.domain.ports import CommitListener
from musterd.settings import Settings, migrate_store
from musterd.store.postgres import PostgresStore
from musterd.store.postgres.connection import Database
from musterd_client import MusterdClient

T = TypeVar("T")

POLL_SECONDS = 0.1
LEASE_SECONDS = 3.0
"""The shortest that the settings allow."""


class DeafBus:
    """A bus on which nothing is ever heard."""

    async def open(self, on_signal: Callable[[Signal], None]) -> None:
        """Hear nothing."""

    async def close(self) -> None:
        """Have nothing to let go."""

    def send(self, signal: Signal) -> None:
        """Tell nobody."""


class MortalStore:
    """Hands everything to a real store until it dies, then never answers again. Remembers the names of the owner."""

    def __init__(self, store: PostgresStore) -> None:
        self.owners: list[str] = []
        self.naming = asyncio.Condition()
        self.is_dead = False
        self.orders_read: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        operation = getattr(self._store, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            await self._live()
            result = await operation(*arguments, **options)
            await self._live()
            return result

        return call

    async def open(self, on_commit: CommitListener) -> None:
        def tell(events: Sequence[Event]) -> None:
            if not self.is_dead:
                on_commit(events)

        await self._store.open(tell)

    async def add_lease(self, owner: str, seconds: float) -> None:
        await self._live()
        await self._store.add_lease(owner, seconds)
        async with self.naming:
            self.owners.append(owner)
            self.naming.notify_all()

    async def read_inbox(self, task_id: str) -> Inbox:
        await self._live()
        inbox = await self._store.read_inbox(task_id)
        await self._live()
        if inbox.cancel is not None or inbox.steers:
            self.orders_read[task_id].set()
        return inbox

    async def _live(self) -> None:
        """Pass, or never return once the store has died."""
        if self.is_dead:
            await asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolKeepingDatabase(Database):
    """A database that remembers the pools of connections to it."""

    pools: "list[asyncpg.Pool[asyncpg.Record]]" = field(default_factory=list["asyncpg.Pool[asyncpg.Record]"])

    async def open_pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        pool = await Database.open_pool(self)
        self.pools.append(pool)
        return pool


class Descent:
    """Knows of each asyncio task for whom it was made, through all that made each other in between."""

    def __init__(self) -> None:
        self._whose: WeakKeyDictionary[asyncio.Task[Any], object] = WeakKeyDictionary()

    def make_task(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], context: Context | None = None
    ) -> asyncio.Task[T]:
        """Make a task; this is the loop's task factory."""
        task = asyncio.Task(work, loop=loop, context=context)
        maker = asyncio.current_task(loop)
        if maker is not None and maker in self._whose:
            self._whose[task] = self._whose[maker]
        return task

    async def run_for(self, whose: object, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` gives. All tasks that are made for it are of `whose`."""
        task = asyncio.get_running_loop().create_task(work)
        self._whose[task] = whose
        return await task

    async def cancel_all(self, whose: object) -> None:
        """Cancel all tasks of `whose`, until none of them is left."""
        while left := [task for task, each in self._whose.items() if each is whose and not task.done()]:
            for task in left:
                task.cancel()
            await asyncio.sleep(0)


class Replica:
    """One server of several, with a client of it."""

    def __init__(self, service: Service, store: MortalStore, database: PoolKeepingDatabase, descent: Descent) -> None:
        self._service = service
        self._store = store
        self._database = database
        self._descent = descent
        self._is_over = False
        self.client = MusterdClient("")

    async def start(self, stack: AsyncExitStack) -> None:
        """Serve until the stack is left, or until told to stop before."""
        await self._descent.run_for(self, self._service.start())
        stack.push_async_callback(self.stop)
        self.client = await stack.enter_async_context(MusterdClient(f"127.0.0.1:{self._service.tcp_port}"))

    @property
    def owner(self) -> str:
        """The name under which this server owns tasks now."""
        return self._store.owners[-1]

    @property
    def owners(self) -> Sequence[str]:
        """All names that it has had."""
        return self._store.owners

    async def has_name(self, number: int) -> None:
        """Return once it has its first, second … name."""
        async with self._store.naming:
            await self._store.naming.wait_for(lambda: len(self.owners) >= number)

    async def has_read_order(self, task_id: str) -> None:
        """Return once this server has read that a task is to be canceled, or is told something."""
        await self._store.orders_read[task_id].wait()

    async def stop(self) -> None:
        """Go down in good order."""
        if not self._is_over:
            self._is_over = True
            await self._service.stop()

    async def die(self) -> None:
        """End as a killed process does: nothing is finished, nothing is written, no lease is given back."""
        self._is_over = True
        self._store.is_dead = True
        for pool in self._database.pools:
            pool.terminate()
        # The sockets of a process die with it; nothing else of it is asked to end.
        await self._service._server.stop(0, 0)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        await self._descent.cancel_all(self)


class Replicas:
    """The servers of one test, by number, and the database that they share."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._members: list[Replica] = []
        self._descent = Descent()
        self._stack = AsyncExitStack()

    def __getitem__(self, number: int) -> Replica:
        return self._members[number]

    @property
    def clients(self) -> Sequence[MusterdClient]:
        """A client of each server."""
        return [member.client for member in self._members]

    async def start(self, app: Musterd, count: int, *, is_deaf: bool, sections: dict[str, dict[str, Any]]) -> None:
        """Serve an app on so many servers; deaf ones hear nothing of each other."""
        asyncio.get_running_loop().set_task_factory(cast("Any", self._descent.make_task))
        store = {
            "url": self._database.dsn,
            "db_schema": self._database.schema,
            "lease_seconds": LEASE_SECONDS,
            "poll_seconds": POLL_SECONDS,
            **sections.pop("store", {}),
        }
        server = {"listen": "127.0.0.1:0", "shutdown_grace_seconds": 0}
        settings = Settings.model_validate({"server": server, "store": store, **sections})
        await migrate_store(settings.store)
        for _ in range(count):
            database = PoolKeepingDatabase(dsn=self._database.dsn, schema=self._database.schema, connections_max=5)
            mortal = MortalStore(PostgresStore(database, migrates=False))
            service = Service(app, settings, store=cast("FullStore", mortal), bus=DeafBus() if is_deaf else None)
            replica = Replica(service, mortal, database, self._descent)
            await replica.start(self._stack)
            self._members.append(replica)

    async def close(self) -> None:
        """Stop what still runs."""
        await self._stack.aclose()
        asyncio.get_running_loop().set_task_factory(None)

    async def owner_of(self, task_id: str) -> str | None:
        """Return the name of the owner of a task; None when it has none."""
        return await self.fetch("SELECT owner FROM task WHERE task_id = $1", task_id)

    async def runner_of(self, task_id: str) -> int:
        """Return the number of the server that has a task."""
        owner = await self.owner_of(task_id)
        return next(number for number, member in enumerate(self._members) if owner in member.owners)

    async def other_than(self, task_id: str) -> Replica:
        """Return a server that does not have a task."""
        return self._members[(await self.runner_of(task_id) + 1) % len(self._members)]

    async def end_lease(self, replica: Replica) -> None:
        """Take a server's lease away, as if its time were over."""
        await self.fetch("DELETE FROM replica WHERE owner = $1", replica.owner)

    async def fetch(self, statement: str, *arguments: object) -> Any:
        """Run a statement on the database, and return the first value."""
        settings = {"search_path": self._database.schema}
        connection = await asyncpg.connect(self._database.dsn, server_settings=settings)
        try:
            return await connection.fetchval(statement, *arguments)
        finally:
            await connection.close()


@asynccontextmanager
async def serving(
    database: Database, app: Musterd, *, count: int = 3, is_deaf: bool = False, **sections: dict[str, Any]
) -> AsyncGenerator[Replicas]:
    """Serve an app on several servers with an empty database; `sections` are their settings."""
    replicas = Replicas(database)
    try:
        await replicas.start(app, count, is_deaf=is_deaf, sections=sections)
        yield replicas
    finally:
        await replicas.close()
