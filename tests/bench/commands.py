"""How the bench and its processes talk: a line of JSON each way, over the process's standard streams."""

import asyncio
import gc
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from musterd.cli.serving import GC_FIRST_THRESHOLD

Answer = Callable[[dict[str, Any]], Awaitable[object]]


def say(value: object) -> None:
    """Send a value to the bench."""
    print(json.dumps(value), flush=True)


def tune_collector() -> None:
    """Set the garbage collector as `musterd serve` does, so that it makes no difference between processes."""
    gc.freeze()
    gc.set_threshold(GC_FIRST_THRESHOLD)


async def answer_commands(answer: Answer) -> None:
    """Answer each command, one after the other, until the bench closes its end."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        say(await answer(json.loads(line)))
