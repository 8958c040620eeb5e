"""Calls that race each other, and the work itself, over all replicas: one of them wins, and the others are told."""

import asyncio
from collections import Counter

import pytest
from tests.fault.checking import check, check_task
from tests.fault.cluster import REPLICAS, Cluster
from tests.support.postgres_gates import Stop, committing

from musterd.testing.model import call, gate, text
from musterd_client import (
    CancelMode,
    CancelOutcome,
    MusterdClient,
    PreconditionFailedError,
    TaskState,
    TextDelta,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

RACES = 12
CALLERS = 50


async def cancel(client: MusterdClient, task_id: str) -> TaskState:
    """Cancel a task, and return how it ended, by what its caller was told."""
    try:
        canceled = await client.tasks.cancel(task_id, mode=CancelMode.HARD)
    except PreconditionFailedError as refused:
        return TaskState(refused.metadata["state"].upper())
    assert canceled.outcome is not CancelOutcome.ALREADY_CANCELED
    if canceled.task.state.is_terminal:
        return canceled.task.state
    (ended,) = (await client.tasks.wait([task_id])).tasks
    return ended.state


async def test_cancels_and_completions_at_once_end_each_task_once(cluster: Cluster) -> None:
    """R5, R11. Who cancels is told the truth."""
    cluster.play("photo finish", lambda _: gate("photo finish") + text("done"))
    async with cluster.client(0) as client, cluster.client(1) as other:
        tasks = [await client.run_agent("worker", "photo finish", background=True).start() for _ in range(RACES)]
        await cluster.model.reached("photo finish", times=RACES)
        cluster.model.release("photo finish")
        told = await asyncio.gather(*[cancel(other, task.task_id) for task in tasks])
        await client.tasks.wait([task.task_id for task in tasks])
        ended = [await check_task(client, task.task_id, cluster.ledger()) for task in tasks]
    assert [task.state for task, _ in ended] == told


async def test_a_cancel_that_comes_during_the_terminal_commit_is_refused(cluster: Cluster) -> None:
    """R5, R11."""
    message = cluster.play("commit first", [gate("commit first") + text("done")])
    async with cluster.following(message) as followers, cluster.client(1) as client:
        await cluster.model.reached("commit first")
        ending = cluster.gate(committing("close_task"), Stop.BEFORE, at=(0,))
        cluster.model.release("commit first")
        await ending.reached()
        canceling = asyncio.create_task(cancel(client, followers[0].events[0].task_id))
        ending.release()
        assert await canceling is TaskState.COMPLETED
        task, _ = await check(cluster, *followers)
    assert task.state is TaskState.COMPLETED


async def test_a_completion_that_comes_during_the_commit_of_a_cancel_is_one_or_the_other(cluster: Cluster) -> None:
    """R5, R11."""
    message = cluster.play("cancel first", [text("It ") + gate("cancel first") + text("is done.")])
    async with cluster.following(message) as followers, cluster.client(1) as client:
        task_id = (await followers[0].seen(lambda event: isinstance(event, TextDelta))).task_id
        ordering = cluster.gate(committing("save_cancel_order"), Stop.BEFORE, at=(1,))
        canceling = asyncio.create_task(cancel(client, task_id))
        await ordering.reached()
        cluster.model.release("cancel first")
        ordering.release()
        told = await canceling
        task, log = await check(cluster, *followers)
    assert task.state is told
    assert sum(event.kind == "cancel_requested" for event in log) == 1


@pytest.mark.parametrize("stop", [Stop.BEFORE, Stop.AFTER])
async def test_a_cancel_that_comes_during_a_takeover_ends_the_task(cluster: Cluster, stop: Stop) -> None:
    """R5, R11. The claim is not committed yet, or its replica does not know of it."""
    message = f"takeover, {stop}"
    cluster.play(message, lambda _: text("It ") + gate(message))
    async with cluster.following(message) as followers:
        task_id = (await followers[0].seen(lambda event: isinstance(event, TextDelta))).task_id
        claiming = cluster.gate(committing("take_tasks"), stop, at=(1, 2))
        await cluster.replicas[0].kill()
        claimer = cluster.replica_behind(await claiming.reached())
        async with cluster.client(3 - cluster.replicas.index(claimer)) as client:
            canceling = asyncio.create_task(cancel(client, task_id))
            claiming.release()
            assert await canceling is TaskState.CANCELED
        task, _ = await check(cluster, *followers)
    assert (task.state, task.attempt) == (TaskState.CANCELED, 2)


async def test_a_canceled_task_whose_replica_dies_is_not_run_again(cluster: Cluster) -> None:
    """R5, R11. The order is stored, and its runner never reads it."""
    message = cluster.play("order left behind", [text("It ") + gate("order left behind")])
    async with cluster.following(message) as followers, cluster.client(1) as client:
        task_id = (await followers[0].seen(lambda event: isinstance(event, TextDelta))).task_id
        cluster.replicas[0].pause()
        canceling = asyncio.create_task(cancel(client, task_id))
        await followers[1].seen(lambda event: event.kind == "cancel_requested")
        await cluster.replicas[0].kill()
        assert await canceling is TaskState.CANCELED
        task, _ = await check(cluster, *followers)
    assert (task.state, task.attempt) == (TaskState.CANCELED, 2)


async def test_callers_with_one_request_id_get_one_task(cluster: Cluster) -> None:
    """R8. Over all replicas, at once; each follows it to its end."""
    cluster.play("once", [call("note", {"what": "once"}), text("done")])

    async def run(client: MusterdClient) -> str:
        result = await client.run_agent("worker", "once", request_id="one-for-all").result()
        assert result.output.text == "done"
        return result.task.task_id

    async with cluster.client(0) as first, cluster.client(1) as second, cluster.client(2) as third:
        clients = (first, second, third)
        told = Counter(await asyncio.gather(*[run(clients[number % REPLICAS]) for number in range(CALLERS)]))
        ((task_id, times),) = told.items()
        await check_task(first, task_id, cluster.ledger())
    assert times == CALLERS
    assert sum(request.prompt == "once" for request in cluster.model.requests) == 2
