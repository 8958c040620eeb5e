"""A way to PostgreSQL with gates in it: a test stops a process at the very statement that it wants it to be at."""

import asyncio
import struct
from collections.abc import Callable, Sequence
from enum import StrEnum

from tests.support.postgres_proxy import Proxy

from musterd.store.postgres.statements import load_statement

GUARD_SECONDS = 60
COMMIT = "COMMIT;"
LISTEN = "LISTEN "

_STARTUP_VERSION = 3 << 16
_LENGTH = struct.Struct("!i")
_UNTYPED = b""

Said = Sequence[str]
"""The statements of a transaction so far; the last one is on its way."""


class Stop(StrEnum):
    """Where a gate stops a statement."""

    BEFORE = "before"
    """The server has not heard of it."""

    AFTER = "after"
    """The server has done it, and its answer is kept back."""


class Gate:
    """Stops the first connection that says what it waits for, once. One gate may stand in several proxies."""

    def __init__(self, wanted: Callable[[Said], bool], stop: Stop) -> None:
        self.stop = stop
        self.proxy: GatedProxy | None = None
        self._wanted = wanted
        self._reached = asyncio.Event()
        self._decided = asyncio.Event()
        self._is_cut = False

    async def reached(self) -> "GatedProxy":
        """Return the proxy in which somebody was stopped, once somebody was."""
        async with asyncio.timeout(GUARD_SECONDS):
            await self._reached.wait()
        assert self.proxy is not None
        return self.proxy

    def release(self) -> None:
        """Let go on who was stopped; nobody is from now on."""
        self._decided.set()

    def cut(self) -> None:
        """Break the connection that was stopped; nobody is stopped from now on."""
        self._is_cut = True
        self._decided.set()

    def takes(self, said: Said, proxy: "GatedProxy") -> bool:
        """Whether a connection is to be stopped here."""
        if self.proxy is not None or self._decided.is_set() or not self._wanted(said):
            return False
        self.proxy = proxy
        return True

    async def hold(self) -> bool:
        """Return whether who is stopped may go on, once that was decided."""
        self._reached.set()
        await self._decided.wait()
        return not self._is_cut


def saying(name: str) -> Callable[[Said], bool]:
    """Wait for a statement of the store."""
    text = load_statement(name)
    return lambda said: said[-1] == text


def committing(name: str) -> Callable[[Said], bool]:
    """Wait for the commit of a transaction that has run a statement of the store."""
    text = load_statement(name)
    return lambda said: said[-1] == COMMIT and text in said


class GatedProxy(Proxy):
    """Hands messages on between clients and the server, and stops at gates."""

    def __init__(self, dsn: str, name: str = "") -> None:
        super().__init__(dsn)
        self.name = name
        self._gates: list[Gate] = []
        self._links: set[_Link] = set()

    def add(self, gate: Gate) -> None:
        """Stop who comes to this gate."""
        self._gates.append(gate)

    def mute_listeners(self) -> int:
        """Let nothing through on the connections that listen now, without a word; return how many there are."""
        listeners = [link for link in self._links if link.listens]
        for link in listeners:
            link.flowing.clear()
        return len(listeners)

    def take_gate(self, said: Said) -> Gate | None:
        """Return the gate at which a connection is to stop."""
        return next((gate for gate in self._gates if gate.takes(said, self)), None)

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        upstream_writer: asyncio.StreamWriter,
    ) -> None:
        link = _Link(self, writer, upstream_writer)
        self._links.add(link)
        there = asyncio.create_task(link.carry_requests(reader))
        back = asyncio.create_task(link.carry_answers(upstream_reader))
        try:
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            there.cancel()
            back.cancel()
            await asyncio.gather(there, back, return_exceptions=True)


class _Link:
    """One connection through a proxy."""

    def __init__(self, proxy: GatedProxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.listens = False
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._proxy = proxy
        self._client = client
        self._server = server
        self._statements: dict[bytes, str] = {}
        self._said: list[str] = []
        self._answer_gate: Gate | None = None

    async def carry_requests(self, reader: asyncio.StreamReader) -> None:
        """Hand on what the client says, until it is gone or cut off."""
        has_started = False
        while True:
            kind, body = await _read_message(reader, typed=has_started)
            await self.flowing.wait()
            has_started = has_started or _LENGTH.unpack(body[:4])[0] == _STARTUP_VERSION
            gate = self._gate_of(self._statement_in(kind, body))
            if gate is not None and gate.stop is Stop.BEFORE and not await gate.hold():
                return
            if gate is not None and gate.stop is Stop.AFTER:
                self._answer_gate = gate
            self._server.write(kind + _LENGTH.pack(len(body) + 4) + body)

    async def carry_answers(self, reader: asyncio.StreamReader) -> None:
        """Hand on what the server says, until it is gone or the client cut off."""
        while data := await reader.read(65536):
            gate, self._answer_gate = self._answer_gate, None
            if gate is not None and not await gate.hold():
                return
            await self.flowing.wait()
            self._client.write(data)

    def _statement_in(self, kind: bytes, body: bytes) -> str | None:
        match kind:
            case b"P":
                name, text, _ = body.split(b"\0", 2)
                self._statements[name] = text.decode()
                return None
            case b"B":
                return self._statements[body.split(b"\0", 2)[1]]
            case b"Q":
                return body.rstrip(b"\0").decode()
            case _:
                return None

    def _gate_of(self, statement: str | None) -> Gate | None:
        if statement is None:
            return None
        if statement.startswith("BEGIN"):
            self._said.clear()
        self._said.append(statement)
        self.listens = self.listens or statement.startswith(LISTEN)
        return self._proxy.take_gate(self._said)


async def _read_message(reader: asyncio.StreamReader, *, typed: bool) -> tuple[bytes, bytes]:
    """Return the kind and the body of a message. The first messages of a connection have no kind."""
    kind = await reader.readexactly(1) if typed else _UNTYPED
    (length,) = _LENGTH.unpack(await reader.readexactly(4))
    return kind, await reader.readexactly(length - 4)
