"""Signals through the database."""

import asyncio
from dataclasses import dataclass

import asyncpg
import pytest

from musterd.domain.bus import Signal, SignalKind
from musterd.store.postgres import bus
from musterd.store.postgres.bus import PostgresBus
from musterd.store.postgres.connection import Database

GUARD_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ShakyDatabase(Database):
    """Fails to connect, each time in another way, as long as there are failures left."""

    failures: list[Exception]

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self.failures:
            raise self.failures.pop()
        return await Database.connect(self)


async def test_a_bus_goes_on_after_what_nobody_foresaw(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R3: neither does its opening wait for ever, nor are its signals left unsent."""
    monkeypatch.setattr(bus, "RETRY_SECONDS", 0.0)
    failures: list[Exception] = [RuntimeError("not foreseen") for _ in range(4)]
    database = ShakyDatabase(dsn=postgres_database.dsn, schema=postgres_database.schema, failures=failures)
    heard = {name: asyncio.Queue[Signal]() for name in ("one", "two")}
    one, two = PostgresBus(database), PostgresBus(postgres_database)
    async with asyncio.timeout(GUARD_SECONDS):
        await one.open(heard["one"].put_nowait)
        await two.open(heard["two"].put_nowait)
        for sender, receiver in ((one, "two"), (two, "one")):
            sender.send(Signal(SignalKind.QUEUED, receiver))
            assert await heard[receiver].get() == Signal(SignalKind.QUEUED, receiver)
    assert failures == []
    await one.close()
    await two.close()
