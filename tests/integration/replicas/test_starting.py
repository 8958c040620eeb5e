"""Runs that are asked for on several servers at once, or begun on another server than the one that was asked."""

import asyncio
from collections import Counter

import pytest
from pydantic_ai import Agent
from tests.integration.replicas.conftest import Serve
from tests.support.doors import Doors
from tests.support.gated_model import saying
from tests.support.trees import endings_in

from musterd import Musterd
from musterd_client import PreconditionFailedError, TaskState

CALLS = 20


async def test_one_request_id_on_three_servers_starts_one_task(serve: Serve) -> None:
    """R8: every call follows it to its end."""
    async with serve(Musterd(agents=[Agent(saying("hello"), name="greeter")])) as replicas:
        results = await asyncio.gather(
            *[
                replicas[number % 3].client.run_agent("greeter", "go", request_id="only-one").result()
                for number in range(CALLS)
            ]
        )
        listed = [task async for task in replicas[1].client.tasks.list()]
        log = [event async for event in replicas[2].client.tasks.watch(listed[0].task_id)]
        with pytest.raises(PreconditionFailedError) as refused:
            await replicas[2].client.run_agent("greeter", "something else", request_id="only-one").result()
    assert len(listed) == 1
    assert Counter(result.task.task_id for result in results) == {listed[0].task_id: CALLS}
    assert {result.text for result in results} == {"hello"}
    assert endings_in(log) == {listed[0].task_id: 1}
    assert refused.value.reason == "REQUEST_ID_REUSED"


async def test_a_run_that_waits_is_taken_by_a_server_with_room_and_streams_where_it_was_asked_for(
    serve: Serve,
) -> None:
    """R9, R1."""
    doors = Doors()
    app = Musterd(agents=[Agent(doors.model, name="agent")])
    async with serve(app, runtime={"max_running_tasks": 1}) as replicas:
        async with replicas[0].client.run_agent("agent", "first", background=True) as run:
            first = run.task.task_id
        await doors.came("first")
        async with replicas[0].client.run_agent("agent", "second") as run:
            second = run.task.task_id
            await doors.came("second")
            assert await replicas.runner_of(first) == 0
            assert await replicas.runner_of(second) != 0
            await doors.let_in("second")
            result = await run.result()
        assert result.text == "second is done"
        assert (await replicas[0].client.tasks.status(first)).state is TaskState.WORKING
        await doors.let_all_in()
        await replicas[1].client.tasks.wait([first])


async def test_many_runs_on_three_servers_run_once_each(serve: Serve) -> None:
    """R9: whoever claims them."""
    doors = Doors()
    await doors.let_all_in()
    app = Musterd(agents=[Agent(doors.model, name="agent")])
    async with serve(app, runtime={"max_running_tasks": 2}) as replicas:
        results = await asyncio.gather(
            *[replicas[number % 3].client.run_agent("agent", f"run {number}").result() for number in range(30)]
        )
        attempts = {(await replicas[0].client.tasks.status(each.task.task_id)).attempt for each in results}
    assert [result.text for result in results] == [f"run {number} is done" for number in range(30)]
    assert Counter(doors.order) == {f"run {number}": 1 for number in range(30)}
    assert attempts == {1}
