"""What becomes of those that use a client, or a stream of it, when another task closes it."""

import asyncio

import pytest
from tests.unit.client.conftest import QUICK
from tests.unit.client.messages import TASK_ID, a_task, completed, run_message, text
from tests.unit.client.scripted import Hang, ScriptedServer

from musterd_client import MusterdClient, MusterdClientError, Run


async def reader_of_a_silent_run(server: ScriptedServer, client: MusterdClient) -> tuple[Run, asyncio.Task[list[int]]]:
    """A run whose first event is read, and a task that waits for the next one."""
    server.will("RunAgent", run_message(text(1, "a"), task=a_task()), Hang())
    run = client.run_agent("greeter")
    await anext(run)
    reads = asyncio.Event()

    async def read() -> list[int]:
        reads.set()
        return [event.sequence async for event in run]

    reading = asyncio.create_task(read())
    await reads.wait()
    return run, reading


async def test_a_reader_is_at_its_end_when_somebody_closes_the_stream(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """R3."""
    run, reading = await reader_of_a_silent_run(server, client)

    await run.aclose()

    assert await reading == []
    await server.dropped.wait()
    with pytest.raises(MusterdClientError, match="closed while"):
        await run.result()


async def test_a_reader_is_told_when_somebody_closes_the_client(server: ScriptedServer) -> None:
    async with MusterdClient(server.target, retry=QUICK) as client:
        _, reading = await reader_of_a_silent_run(server, client)

    with pytest.raises(RuntimeError, match="closed during a call"):
        await reading
    await server.dropped.wait()


async def test_a_caller_is_told_when_somebody_closes_the_client(server: ScriptedServer) -> None:
    server.will("TaskStatus", Hang())
    async with MusterdClient(server.target, retry=QUICK) as client:
        asking = asyncio.create_task(client.tasks.status(TASK_ID))
        await server.hanging.wait()

    with pytest.raises(RuntimeError, match="closed during a call"):
        await asking
    await server.dropped.wait()


async def test_a_reader_and_a_caller_that_are_canceled_hear_just_that(
    server: ScriptedServer, client: MusterdClient
) -> None:
    _, reading = await reader_of_a_silent_run(server, client)
    await server.hanging.wait()
    server.hanging.clear()
    server.will("TaskStatus", Hang())
    asking = asyncio.create_task(client.tasks.status(TASK_ID))
    await server.hanging.wait()

    for task in (reading, asking):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_stream_that_is_closed_while_it_waits_for_a_token_asks_for_nothing(server: ScriptedServer) -> None:
    asked, gate = asyncio.Event(), asyncio.Event()

    async def token() -> str:
        asked.set()
        await gate.wait()
        return "t"

    async with MusterdClient(server.target, token=token, retry=QUICK) as client:
        watch = client.tasks.watch(TASK_ID)
        reading = asyncio.create_task(anext(watch, None))
        await asked.wait()
        await watch.aclose()
        gate.set()
        assert await reading is None
    assert server.asked == []


async def test_a_client_that_was_closed_can_be_opened_again(server: ScriptedServer) -> None:
    client = MusterdClient(server.target, retry=QUICK)
    for _ in range(2):
        server.will("RunAgent", run_message(completed(1), task=a_task()))
        async with client:
            await client.run_agent("greeter").result()
        with pytest.raises(RuntimeError, match="not open"):
            await client.server_info()
