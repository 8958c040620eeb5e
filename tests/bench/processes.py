"""The processes that are measured: each pinned to the first core, with its CPU time and memory as the kernel sees them.

The bench itself makes the load on the last core, and so does PostgreSQL its work. Linux only.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.process_costs import cpu_seconds_of, memory_bytes_of

CORES = sorted(os.sched_getaffinity(0))
ANSWER_MAX_BYTES = 16 * 1024 * 1024


def pin_load() -> None:
    """Keep this process off the core of those that are measured."""
    os.sched_setaffinity(0, {CORES[-1]})


class Measured:
    """A process that does as it is told; `hello` is what it said first."""

    def __init__(self, process: asyncio.subprocess.Process, hello: Any) -> None:
        self.hello = hello
        self._process = process

    async def ask(self, **command: Any) -> Any:
        """Send a command, and return the answer."""
        if self._process.stdin is None:
            raise AssertionError
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        return await read_answer(self._process)

    def cpu_seconds(self) -> float:
        """Return the CPU time of all threads so far, those that have ended too, in user and kernel."""
        return cpu_seconds_of(self._process.pid)

    def memory_bytes(self) -> int:
        """Return the memory that is this process's own."""
        return memory_bytes_of(self._process.pid)


async def read_answer(process: asyncio.subprocess.Process) -> Any:
    """Return what a process says next. Raises RuntimeError when it has ended instead."""
    line = await process.stdout.readline() if process.stdout is not None else b""
    if not line:
        raise RuntimeError(f"a process of the bench ended with status {await process.wait()}")
    return json.loads(line)


@asynccontextmanager
async def measured(module: str, *arguments: str, core: int = 0) -> AsyncGenerator[Measured]:
    """Run a module of the bench in a process and on a core of its own until it is not needed any more."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"tests.bench.{module}", *arguments, stdin=pipe, stdout=pipe, limit=ANSWER_MAX_BYTES
    )
    try:
        os.sched_setaffinity(process.pid, {CORES[core]})
        yield Measured(process, await read_answer(process))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
