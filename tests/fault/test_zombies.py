"""A replica that stood still for longer than its lease: others have its tasks, and what it says is not stored."""

import pytest
from tests.fault.checking import check
from tests.fault.cluster import Cluster, Replica

from musterd.testing.model import call, gate, text
from musterd_client import TaskFailed, TaskState, TextDelta

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_stopped_replica_writes_nothing_when_it_goes_on(cluster: Cluster) -> None:
    """R3, R11. Its model answers while another replica works on the task, and again after that has ended."""
    zombie = cluster.replicas[0]
    cut_off = text("It ", "was ") + gate("zombie") + text("never ") + gate("zombie again") + text("said")
    script = [call("note", {"what": "zombie"}), cut_off, text("It ") + gate("heir") + text("is done.")]
    async with cluster.following(cluster.play("stopped", script)) as followers:
        for follower in followers:
            await follower.seen(lambda event: isinstance(event, TextDelta) and event.text == "was ")
        await cluster.model.reached("zombie")
        zombie.pause()
        cluster.model.release("zombie")
        await cluster.model.reached("heir")
        zombie.resume()
        await zombie.running.logged("lease_lost")
        cluster.model.release("heir")
        await followers[1].ended()
        cluster.model.release("zombie again")
        await works(cluster, zombie)
        task, log = await check(cluster, *followers)
    assert [event.text for event in log if isinstance(event, TextDelta)] == ["It ", "was ", "It ", "is done."]
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 2)


async def test_a_replica_whose_event_loop_is_blocked_loses_what_it_has(cluster: Cluster) -> None:
    """R3, R11. The tool that blocks it cannot be run again, so its task is lost; all others go on elsewhere."""
    blocked = cluster.replicas[1]
    holding = cluster.play("held up", [text("It ", "was ") + gate("held up"), text("done")])
    blocking = cluster.play("blocking", [call("block", {"gate": "blocked"})])
    async with cluster.following(holding, 1) as held_up:
        await cluster.model.reached("held up")
        await held_up[0].seen(lambda event: isinstance(event, TextDelta) and event.text == "was ")
        async with cluster.following(blocking, 1) as blockers:
            await cluster.gates.reached("blocked")
            await held_up[1].ended()
            await blockers[1].ended()
            cluster.gates.release("blocked")
            await blocked.running.logged("lease_lost")
            await works(cluster, blocked)
            lost, log = await check(cluster, *blockers)
        task, _ = await check(cluster, *held_up)
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 2)
    assert (lost.state, lost.attempt) == (TaskState.FAILED, 2)
    assert isinstance(log[-1], TaskFailed)
    assert (log[-1].error.reason, log[-1].error.cause) == ("TASK_LOST", "TOOL_NOT_REPEATABLE")


async def works(cluster: Cluster, replica: Replica) -> None:
    """Check that a replica takes tasks again, and ends them."""
    first = cluster.replicas.index(replica)
    message = f"{replica.name} works"
    cluster.play(message, [call("note", {"what": message}), text("done")])
    async with cluster.following(message, first) as followers:
        task, _ = await check(cluster, *followers)
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 1)
