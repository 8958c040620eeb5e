"""Signals to the other processes through the database: NOTIFY tells, and one connection of ours listens."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

import asyncpg
import structlog

from musterd.domain.bus import Signal, SignalKind
from musterd.domain.ids import new_id
from musterd.store.errors import StoreOpenError
from musterd.store.postgres.connection import Database
from musterd.store.postgres.statements import load_statement

logger = structlog.get_logger(__name__)

GATHER_SECONDS = 0.005
"""How long signals wait for others: to notify takes a lock that all processes share."""

SIGNALS_PER_NOTIFICATION = 100
"""Keys are ids of 36 characters, and a notification takes less than 8,000 bytes."""

WAITING_MAX = 10_000
"""How many signals may wait to be sent; what comes then is left to be found."""

CHECK_SECONDS = 5.0
"""How often the connection that listens must show that it lives: one that is dead says nothing by itself."""

RETRY_SECONDS = 1.0

_NOTIFY = load_statement("notify")

_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, StoreOpenError)


class PostgresBus:
    """Carries signals as notifications on a channel of the schema.

    Both connections are made again when they drop. `MISSED` is told then, for nobody knows what was said meanwhile.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._channel = f"musterd-{database.schema}"
        self._sender = new_id()
        self._on_signal: Callable[[Signal], None] = lambda _: None
        self._waiting: dict[Signal, None] = {}
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, on_signal: Callable[[Signal], None]) -> None:
        """Begin to listen, and to send."""
        self._on_signal = on_signal
        listening = asyncio.get_running_loop().create_future()
        self._tasks = [
            asyncio.get_running_loop().create_task(self._listen(listening), name="bus-listener"),
            asyncio.get_running_loop().create_task(self._send(), name="bus-sender"),
        ]
        await listening

    async def close(self) -> None:
        """Let go of both connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def send(self, signal: Signal) -> None:
        """Tell the others, soon."""
        if len(self._waiting) < WAITING_MAX:
            self._waiting[signal] = None
            self._wake.set()

    async def _listen(self, listening: "asyncio.Future[None]") -> None:
        while True:
            try:
                connection = await self._database.connect()
                try:
                    await connection.add_listener(self._channel, self._take)
                    if listening.done():
                        self._on_signal(Signal(SignalKind.MISSED))
                    else:
                        listening.set_result(None)
                    await _watch(connection)
                finally:
                    await _close(connection)
            except Exception as error:  # noqa: BLE001 - whatever it is, there must be a listener again
                logger.warning("bus_listener_lost", error=str(error) or type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    async def _send(self) -> None:
        while True:
            try:
                connection = await self._database.connect()
                try:
                    await self._send_on(connection)
                finally:
                    await _close(connection)
            except Exception as error:  # noqa: BLE001 - whatever it is, there must be a sender again
                logger.warning("bus_sender_lost", error=str(error) or type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    async def _send_on(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._wake.clear()
            signals, self._waiting = list(self._waiting), {}
            if signals:
                await connection.execute(_NOTIFY, self._channel, self._payloads(signals), timeout=CHECK_SECONDS)

    def _payloads(self, signals: Sequence[Signal]) -> list[str]:
        lines = [f"{signal.kind} {signal.key}" for signal in signals]
        size = SIGNALS_PER_NOTIFICATION
        return ["\n".join((self._sender, *lines[i : i + size])) for i in range(0, len(lines), size)]

    def _take(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        sender, *lines = str(payload).split("\n")
        if sender == self._sender:
            return
        for line in lines:
            kind, _, key = line.partition(" ")
            # A newer version may have kinds that this one does not know.
            with suppress(ValueError):
                self._on_signal(Signal(SignalKind(kind), key))


async def _watch(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Return never, but fail when the connection is dead."""
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        await connection.execute("SELECT 1", timeout=CHECK_SECONDS)


async def _close(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    with suppress(*_FAILURES):
        await connection.close(timeout=1)
