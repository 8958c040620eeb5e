"""Connections to the database break, or say nothing any more: each step takes effect once, and all hear of it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from tests.fault.checking import check
from tests.fault.cluster import Cluster, enqueue
from tests.support.followers import Follower
from tests.support.postgres_gates import Gate, Stop, committing, saying

from musterd.testing.model import call, gate, text
from musterd_client import CancelMode, CancelOutcome, TaskState, TextDelta

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOTH = pytest.mark.parametrize("stop", [Stop.BEFORE, Stop.AFTER])


@asynccontextmanager
async def cutting(gate: Gate) -> AsyncGenerator[None]:
    """Break the connection that comes to a gate. Fails when none does."""

    async def cut() -> None:
        await gate.reached()
        gate.cut()

    async with asyncio.TaskGroup() as group:
        group.create_task(cut())
        yield


@BOTH
@pytest.mark.parametrize("statement", ["insert_task", "save_tool_steps", "close_task"])
async def test_a_commit_without_an_answer_takes_effect_once(cluster: Cluster, statement: str, stop: Stop) -> None:
    """R8, R11. Whether the connection broke before the commit or after it: the replica finds out, or does it again."""
    message = f"{statement}, {stop}"
    cluster.play(message, [call("note", {"what": message}), text("It ", "is done.")])
    async with cutting(cluster.gate(committing(statement), stop)), cluster.following(message) as followers:
        task, log = await check(cluster, *followers)
    assert [event.text for event in log if isinstance(event, TextDelta)] == ["It ", "is done."]
    assert (task.state, task.attempt, task.usage.requests) == (TaskState.COMPLETED, 1, 2)


@BOTH
async def test_an_append_without_an_answer_takes_effect_once(cluster: Cluster, stop: Stop) -> None:
    """R3. The statement is a transaction of its own, so nobody can ask what became of it: it is said again."""
    message = f"append, {stop}"
    cluster.play(message, [text("one ") + gate(message) + text("two ") + gate(f"{message}: end") + text("three")])
    async with cluster.following(message) as followers:
        await followers[0].seen(lambda event: isinstance(event, TextDelta))
        async with cutting(cluster.gate(saying("append"), stop)):
            cluster.model.release(message)
        cluster.model.release(f"{message}: end")
        task, log = await check(cluster, *followers)
    assert "".join(event.text for event in log if isinstance(event, TextDelta)) == "one two three"
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 1)


@BOTH
async def test_a_claim_without_an_answer_claims_once(cluster: Cluster, stop: Stop) -> None:
    """R9, R11."""
    message = cluster.play(f"claim, {stop}", [text("done")])
    async with cutting(cluster.gate(committing("take_tasks"), stop)):
        task_id = await enqueue(cluster, message)
    async with cluster.client() as client, Follower(client.tasks.watch(task_id)) as follower:
        task, _ = await check(cluster, follower)
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 1)


@BOTH
async def test_an_order_to_cancel_without_an_answer_is_given_once(cluster: Cluster, stop: Stop) -> None:
    """R5, R8. It comes over another replica than the one that runs the task."""
    message = cluster.play(f"cancel, {stop}", [text("It ") + gate("never")])
    async with cluster.following(message) as followers, cluster.client(1) as client:
        task_id = (await followers[0].seen(lambda event: isinstance(event, TextDelta))).task_id
        async with cutting(cluster.gate(committing("save_cancel_order"), stop, at=(1,))):
            canceled = await client.tasks.cancel(task_id, mode=CancelMode.HARD)
        task, log = await check(cluster, *followers)
    assert canceled.outcome is CancelOutcome.CANCELED
    assert sum(event.kind == "cancel_requested" for event in log) == 1
    assert (task.state, task.attempt) == (TaskState.CANCELED, 1)


async def test_followers_miss_nothing_when_their_listener_is_dead_and_nobody_knows(cluster: Cluster) -> None:
    """R3."""
    message = cluster.play("deaf", [text("one ") + gate("deaf") + text("two ") + gate("still deaf") + text("three")])
    async with cluster.following(message) as followers:
        await followers[1].seen(lambda event: isinstance(event, TextDelta))
        assert cluster.replicas[1].proxy.mute_listeners() == 1
        cluster.model.release("deaf")
        await followers[1].seen(lambda event: isinstance(event, TextDelta) and event.text == "two ")
        cluster.model.release("still deaf")
        task, _ = await check(cluster, *followers)
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 1)


async def test_a_runner_hears_of_orders_when_its_listener_is_dead_and_nobody_knows(cluster: Cluster) -> None:
    """R5, R6."""
    script = [text("one ") + gate("deaf runner") + call("note", {"what": "deaf runner"}), gate("never")]
    async with (
        cluster.following(cluster.play("deaf runner", script), 2) as followers,
        cluster.client(0) as client,
    ):
        task_id = (await followers[0].seen(lambda event: isinstance(event, TextDelta))).task_id
        assert cluster.replicas[2].proxy.mute_listeners() >= 1
        cluster.model.release("deaf runner")
        await client.tasks.cancel(task_id, mode=CancelMode.HARD)
        task, _ = await check(cluster, *followers)
    assert (task.state, task.attempt) == (TaskState.CANCELED, 1)
