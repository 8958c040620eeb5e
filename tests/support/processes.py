"""Programs of this environment as processes of their own, read as they write."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

BIN = Path(sys.executable).parent
GUARD_SECONDS = 60
LINE_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Finished:
    """How a process ended, and all that it wrote. A negative code is the signal that ended it."""

    code: int
    stdout: str
    stderr: str


class Process:
    """A program that runs beside the test. Use it as an async context manager: leaving it kills what still runs."""

    def __init__(self, program: str, *arguments: str, folder: Path, variables: Mapping[str, str]) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MUSTERD_")}
        self._command = (str(BIN / program), *arguments)
        self._folder = folder
        self._variables = {**inherited, **variables}
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._written = asyncio.Condition()
        self._open_streams = 2
        self._stdout: list[str] = []
        self._stderr: list[str] = []

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=self._folder,
            env=self._variables,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_MAX_BYTES,
        )
        for stream, lines in ((self._process.stdout, self._stdout), (self._process.stderr, self._stderr)):
            assert stream is not None
            self._readers.append(asyncio.create_task(self._read(stream, lines)))
        return self

    async def __aexit__(self, failure: type[BaseException] | None, *_: object) -> None:
        await self.kill()
        if failure is not None:
            sys.stderr.write("".join((" ".join(self._command), " wrote:\n", *self._stderr)))

    @property
    def process_id(self) -> int:
        """The id of the process."""
        return self._started().pid

    @property
    def lines(self) -> list[str]:
        """The lines of standard output so far."""
        return self._stdout

    async def printed(self, wanted: Callable[[str], bool]) -> None:
        """Return once a wanted line is on standard output. AssertionError when the process ends without it."""
        await self._nth(1, self._stdout, wanted)

    async def logged(self, event: str, *, time: int = 1) -> dict[str, Any]:
        """Return the JSON line of standard error about this event, of this time from 1, once it is there.

        Fails as `printed` does.
        """
        return json.loads(await self._nth(time, self._stderr, lambda line: f'"event": "{event}"' in line))

    def times_logged(self, event: str) -> int:
        """Return how many JSON lines of standard error are about this event so far."""
        return sum(f'"event": "{event}"' in line for line in self._stderr)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._started().send_signal(number)

    async def kill(self) -> None:
        """Send SIGKILL unless the process has ended, and return once it is gone."""
        if self._started().returncode is None:
            self._started().kill()
        await self.finished()

    async def finished(self) -> Finished:
        """Return once the process has ended."""
        async with asyncio.timeout(GUARD_SECONDS):
            code = await self._started().wait()
            await asyncio.gather(*self._readers)
        return Finished(code=code, stdout="".join(self._stdout), stderr="".join(self._stderr))

    def _started(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "enter it with `async with` first"
        return self._process

    async def _read(self, stream: asyncio.StreamReader, lines: list[str]) -> None:
        while line := await stream.readline():
            async with self._written:
                lines.append(line.decode())
                self._written.notify_all()
        async with self._written:
            self._open_streams -= 1
            self._written.notify_all()

    async def _nth(self, time: int, lines: list[str], wanted: Callable[[str], bool]) -> str:
        def is_settled() -> bool:
            return sum(map(wanted, lines)) >= time or not self._open_streams

        async with asyncio.timeout(GUARD_SECONDS), self._written:
            await self._written.wait_for(is_settled)
        found = [line for line in lines if wanted(line)]
        if len(found) >= time:
            return found[time - 1]
        raise AssertionError("".join(("the process ended without the line that was waited for:\n", *self._stderr)))


async def finish(program: str, *arguments: str, folder: Path, variables: Mapping[str, str]) -> Finished:
    """Run a program to its end."""
    async with Process(program, *arguments, folder=folder, variables=variables) as process:
        return await process.finished()
