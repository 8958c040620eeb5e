"""Follows a stream on the terminal, and says how to go on when it is left."""

import asyncio
from contextlib import AsyncExitStack, closing

from musterd.cli.connection import Connection
from musterd.cli.display import Display
from musterd.cli.prompting import Prompter
from musterd.cli.rendering import stderr
from musterd_client import CallError, EventStream


async def follow(
    stream: EventStream,
    display: Display,
    connection: Connection,
    *,
    goes_on: bool = True,
    prompter: Prompter | None = None,
) -> int:
    """Shows the stream to its end. Returns 0 when the task completed. The prompter asks for what the run waits for.

    Raises:
        TaskEndedError: the task ended without a result.
        CallError: the stream broke for good; how to watch again was printed.
    """
    async with stream:
        try:
            with closing(display):
                await _show_all(stream, display, prompter)
                display.end(stream.task, stream.text)
        except (CallError, asyncio.CancelledError):
            task_id = stream.task.task_id
            if goes_on:
                again = f"musterd tasks watch {task_id} --after {stream.last_sequence}{connection.options()}"
                stderr().print(f"\nTask {task_id} goes on. Watch it again with:\n  {again}", markup=False)
            else:
                stderr().print(f"\nTask {task_id} is canceled, because its stream was left.", markup=False)
            raise
        await stream.result()
    return 0


async def _show_all(stream: EventStream, display: Display, prompter: Prompter | None) -> None:
    async with AsyncExitStack() as exits:
        if prompter is not None:
            await exits.enter_async_context(prompter)
        async for event in stream:
            display.show(event, stream.task)
            if prompter is not None:
                prompter.take(event)
