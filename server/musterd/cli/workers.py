"""Keeps the processes that serve: `musterd serve --workers N` is one process that starts N others."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from musterd.cli.lifeline import SECOND_SIGNAL, SERVES

logger = structlog.get_logger(__name__)

RESTART_DELAY_SECONDS = 0.5
"""How long to wait before a worker that died is started anew. It doubles with each further death in a row."""

RESTART_DELAY_MAX_SECONDS = 30.0

STEADY_SECONDS = 60.0
"""After so long a life, a death is the first in a row."""


def restart_delay_seconds(deaths: int) -> float:
    """Return how long to wait before a worker is started anew, after so many deaths in a row."""
    if not deaths:
        return 0.0
    # The power is bounded for the sake of a database that is away for days.
    return min(RESTART_DELAY_MAX_SECONDS, RESTART_DELAY_SECONDS * 2.0 ** min(deaths - 1, 16))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Worker:
    """A process that serves, or is about to. `line` is the parent's end of its lifeline."""

    process: asyncio.subprocess.Process
    line: socket.socket
    started_at: float

    async def serves(self) -> bool:
        """Return True once the worker takes calls, False when it ends without."""
        try:
            return await asyncio.get_running_loop().sock_recv(self.line, 1) == SERVES
        except OSError:
            return False

    async def ended(self) -> int:
        """Return the exit code, once the worker has ended; a negative one is the signal that ended it."""
        code = await self.process.wait()
        self.line.close()
        return code


class Workers:
    """Starts workers, and starts those anew that die, until told to stop.

    `arguments` are those of `musterd serve` for each of them.
    """

    def __init__(self, arguments: Sequence[str], count: int) -> None:
        self._arguments = arguments
        self._count = count
        self._told = asyncio.Event()
        self._living: dict[int, _Worker] = {}
        self._serving: set[int] = set()

    async def run(self) -> int:
        """Return the exit code after SIGTERM or SIGINT, once all workers have ended; or 1 when the first cannot start.

        A second signal ends the grace of their running tasks.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._pass_on)
        # The others follow once it serves: what keeps it from that would keep them too, and is said once.
        first = await self._start(1)
        if not await first.serves():
            code = await first.ended()
            if self._told.is_set():
                return 0
            logger.error("worker_did_not_start", worker=1, code=code)
            return 1
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(1, first), name="worker-1")
            for index in range(2, self._count + 1):
                group.create_task(self._keep(index, None), name=f"worker-{index}")
        logger.info("stopped")
        return 0

    def _pass_on(self) -> None:
        number = SECOND_SIGNAL if self._told.is_set() else signal.SIGTERM
        self._told.set()
        for worker in self._living.values():
            _send(worker, number)

    async def _keep(self, index: int, worker: _Worker | None) -> None:
        deaths = 0
        is_known_to_serve = worker is not None
        while not self._told.is_set():
            try:
                worker = worker or await self._start(index)
            except OSError as error:
                deaths += 1
                logger.error("worker_not_started", worker=index, error=error.strerror)  # noqa: TRY400 - it says it all
            else:
                served = is_known_to_serve or await worker.serves()
                if served:
                    self._note_serving(index)
                deaths = await self._until_the_end(index, worker, served=served, deaths=deaths)
            worker, is_known_to_serve = None, False
            with suppress(TimeoutError):
                async with asyncio.timeout(restart_delay_seconds(deaths)):
                    await self._told.wait()

    async def _until_the_end(self, index: int, worker: _Worker, *, served: bool, deaths: int) -> int:
        """Return how many deaths in a row it is with this one; 0 for a worker that somebody told to stop."""
        code = await worker.ended()
        self._serving.discard(index)
        del self._living[index]
        if time.monotonic() - worker.started_at >= STEADY_SECONDS:
            deaths = 0
        deaths = 0 if served and code == 0 else deaths + 1
        if not self._told.is_set():
            delay = restart_delay_seconds(deaths)
            logger.warning(
                "worker_ended", worker=index, process=worker.process.pid, code=code, restart_in_seconds=delay
            )
        return deaths

    def _note_serving(self, index: int) -> None:
        self._serving.add(index)
        if len(self._serving) == self._count:
            logger.info("all_workers_serve", processes={each: self._living[each].process.pid for each in self._living})

    async def _start(self, index: int) -> _Worker:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            with theirs:
                # -P: the folder that it is started in has the app's modules, and none of Python's own.
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-m", "musterd.cli", "serve", *self._arguments,
                    "--worker", f"{index}:{theirs.fileno()}",
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    # A Ctrl-C of the terminal reaches this process alone, which passes it on.
                    process_group=0,
                )  # fmt: skip
        except BaseException:
            ours.close()
            raise
        worker = _Worker(process=process, line=ours, started_at=time.monotonic())
        self._living[index] = worker
        if self._told.is_set():
            _send(worker, signal.SIGTERM)
        return worker


def _send(worker: _Worker, number: signal.Signals) -> None:
    # One that has just ended needs no signal.
    with suppress(ProcessLookupError):
        worker.process.send_signal(number)
