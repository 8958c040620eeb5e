"""Runs operations: each in a transaction of its own, again when others got in its way."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypeVar

import asyncpg

from musterd.domain.event import Event
from musterd.domain.ports import CommitListener
from musterd.store.postgres.connection import Connection
from musterd.store.postgres.failures import (
    closed,
    is_collision,
    is_lost_connection,
    is_passing,
    outcome_unknown,
    told_to_callers,
)
from musterd.store.postgres.kept import KeptConnection
from musterd.store.postgres.roots import Roots
from musterd.store.postgres.statements import load_statement
from musterd.store.postgres.tenants import serve
from musterd.store.postgres.transaction import Transaction
from musterd.store.postgres.tree_locks import TreeLocks

T = TypeVar("T")

Write = Callable[[Transaction], Awaitable[T]]
Read = Callable[[Connection], Awaitable[T]]
Statement = Callable[[Connection], Awaitable[tuple[T, Sequence[Event]]]]
"""Runs one statement, and returns its result and the events that it stored."""

ATTEMPTS_MAX = 8
"""How often a transaction is tried that collides with others."""

STATUS_ATTEMPTS_MAX = 5
STATUS_DELAY_SECONDS = 0.2

_READ_TRANSACTION_STATUS = load_statement("read_transaction_status")


class Engine:
    """Takes operations in, on the event loop. What was taken in is finished, though its caller stops to wait.

    For an operation with a `tenant_id` there are no rows but this tenant's; one without is the server's own.
    """

    def __init__(
        self, pool: "asyncpg.Pool[asyncpg.Record]", clock: Callable[[], datetime] | None, on_commit: CommitListener
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._on_commit = on_commit
        self._appending = KeptConnection(pool)
        self._living = KeptConnection(pool)
        self._roots = Roots()
        self._locks = TreeLocks()
        self._running: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing is taken in any more: what takes long should come to its end."""
        return self._is_closed

    async def close(self) -> None:
        """Finish what was taken in, then close the connections."""
        self._is_closed = True
        if self._running:
            await asyncio.wait(self._running)
        await self._appending.close()
        await self._living.close()
        await self._pool.close()

    async def read(self, call: Read[T], *, tenant_id: str | None = None) -> T:
        """Run a single statement, or several that need not see the same state."""
        if tenant_id is None:
            return await self._finish(self._read(call))
        return await self._finish(self._read_in_transaction(call, tenant_id, "read_committed"))

    async def tell_life(self, call: Read[T]) -> T:
        """Run a single statement about a lease: it has a connection of its own, for all others may be waiting."""
        return await self._finish(self._tell_life(call))

    async def read_snapshot(self, call: Read[T], *, tenant_id: str | None = None) -> T:
        """Run statements that all see one state of the database."""
        return await self._finish(self._read_in_transaction(call, tenant_id, "repeatable_read"))

    async def write(
        self,
        call: Write[T],
        *,
        task_ids: Collection[str] = (),
        root_task_ids: Collection[str] = (),
        tenant_id: str | None = None,
    ) -> T:
        """Run a transaction that holds the trees of tasks, and other trees; those that do not exist do not matter."""
        return await self._finish(self._write(partial(self._commit, call, tenant_id), task_ids, root_task_ids))

    async def write_at_once(self, call: Statement[T], *, task_ids: Collection[str]) -> T:
        """Run a statement that is a transaction of its own; it locks the trees of the tasks itself.

        Nobody can tell whether it was stored when its answer is lost: it must do no harm to run it again.
        """
        return await self._finish(self._write(partial(self._execute, call), task_ids, ()))

    async def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        if self._is_closed:
            work.close()
            raise closed()
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            # Who stopped to wait does not want to know.
            task.exception()

    async def _read(self, call: Read[T]) -> T:
        with told_to_callers():
            async with self._pool.acquire() as connection:
                return await call(connection)

    async def _tell_life(self, call: Read[T]) -> T:
        with told_to_callers():
            async with self._living.use() as connection:
                return await call(connection)

    async def _read_in_transaction(
        self, call: Read[T], tenant_id: str | None, isolation: Literal["read_committed", "repeatable_read"]
    ) -> T:
        with told_to_callers():
            async with self._pool.acquire() as connection, connection.transaction(isolation=isolation, readonly=True):
                await serve(connection, tenant_id)
                return await call(connection)

    async def _write(
        self,
        work: Callable[[Collection[str]], Awaitable[T]],
        task_ids: Collection[str],
        root_task_ids: Collection[str],
    ) -> T:
        with told_to_callers():
            roots = {*root_task_ids, *await self._roots.of(task_ids, self._pool)}
            async with self._locks.hold(roots):
                return await _try(work, roots)

    async def _execute(self, call: Statement[T], root_task_ids: Collection[str]) -> T:
        del root_task_ids
        async with self._appending.use() as connection:
            result, events = await call(connection)
            self._publish(events)
        return result

    async def _commit(self, call: Write[T], tenant_id: str | None, roots: Collection[str]) -> T:
        async with self._pool.acquire() as connection:
            database_transaction = connection.transaction()
            transaction = Transaction(connection)
            await database_transaction.start()
            try:
                await serve(connection, tenant_id)
                await transaction.begin(roots, self._clock)
                result = await call(transaction)
                await transaction.flush()
            except BaseException:
                await _roll_back(database_transaction)
                raise
            try:
                await database_transaction.commit()
            except Exception as error:
                if not is_lost_connection(error):
                    raise
                lost = error
            else:
                self._tell(transaction)
                return result
        await self._settle(transaction.transaction_id, lost)
        self._tell(transaction)
        return result

    def _tell(self, transaction: Transaction) -> None:
        self._roots.learn(transaction.events)
        self._publish(transaction.events)

    async def _settle(self, transaction_id: str, lost: Exception) -> None:
        """Return when a transaction whose commit got no answer was stored; raise when it was not, or nobody knows."""
        for _ in range(STATUS_ATTEMPTS_MAX):
            try:
                async with self._pool.acquire() as connection:
                    status = await connection.fetchval(_READ_TRANSACTION_STATUS, transaction_id)
            except Exception as error:
                if not is_passing(error):
                    raise
                status = None
            match status:
                case "committed":
                    return
                case "aborted":
                    raise lost
                case _:
                    await asyncio.sleep(STATUS_DELAY_SECONDS)
        raise outcome_unknown() from lost

    def _publish(self, events: Sequence[Event]) -> None:
        if not events:
            return
        try:
            self._on_commit(events)
        except Exception as error:  # noqa: BLE001 - what is committed is committed
            context = {"message": "the listener of commits failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)


async def _try(work: Callable[[Collection[str]], Awaitable[T]], root_task_ids: Collection[str]) -> T:
    for _ in range(ATTEMPTS_MAX - 1):
        try:
            return await work(root_task_ids)
        except asyncpg.PostgresError as error:
            if not is_collision(error):
                raise
    return await work(root_task_ids)


async def _roll_back(transaction: Any) -> None:  # noqa: ANN401 - asyncpg does not export the type
    try:
        await transaction.rollback()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        # The connection is lost, and the transaction with it: the pool drops it.
        return
