"""A replica is killed: another one takes over what it had, and those who follow notice nothing."""

import pytest
from tests.fault.checking import check
from tests.fault.cluster import Cluster, enqueue
from tests.support.followers import Follower
from tests.support.postgres_gates import Stop, committing, saying

from musterd.testing.model import call, gate, text
from musterd_client import ModelRequestStarted, RestartCause, StepRestarted, TaskCompleted, TaskState, TextDelta

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_response_cut_in_its_middle_is_asked_for_again_elsewhere(cluster: Cluster) -> None:
    """R3."""
    script = [
        call("note", {"what": "middle of a response"}),
        text("It ", "was ") + gate("middle") + text("never said"),
        text("It is ", "done."),
    ]
    async with cluster.following(cluster.play("cut in the middle", script)) as followers:
        for follower in followers:
            await follower.seen(lambda event: isinstance(event, TextDelta) and event.text == "was ")
        await cluster.model.reached("middle")
        await cluster.replicas[0].kill()
        task, log = await check(cluster, *followers)
    assert [event.text for event in log if isinstance(event, TextDelta)] == ["It ", "was ", "It is ", "done."]
    assert [event.cause for event in log if isinstance(event, StepRestarted)] == [RestartCause.RECOVERY]
    assert isinstance(log[-1], TaskCompleted)
    assert (task.attempt, task.usage.requests, log[-1].output.text) == (2, 2, "It is done.")


@pytest.mark.parametrize("stop", [Stop.BEFORE, Stop.AFTER])
async def test_a_replica_that_dies_in_mid_append_leaves_a_log_without_gaps(cluster: Cluster, stop: Stop) -> None:
    """R3. What it said was stored or not: nobody gets it twice, and nobody gets half of it."""
    message = f"append, {stop}"
    cut_off = text("one ") + gate(message) + text("two ") + gate("never")
    cluster.play(message, [call("note", {"what": message}), cut_off, text("one ", "two ", "three")])
    async with cluster.following(message) as followers:
        await followers[0].seen(lambda event: isinstance(event, TextDelta))
        appending = cluster.gate(saying("append"), stop, at=(0,))
        cluster.model.release(message)
        await appending.reached()
        await cluster.replicas[0].kill()
        appending.cut()
        task, log = await check(cluster, *followers)
    deltas = [event.text for event in log if isinstance(event, TextDelta)]
    assert deltas == [*(["one "] if stop is Stop.BEFORE else ["one ", "two "]), "one ", "two ", "three"]
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 2)


async def test_a_replica_that_dies_right_after_a_claim_is_followed_by_the_next(cluster: Cluster) -> None:
    """R3, R11. The database has the claim, and the replica does not even know."""
    message = cluster.play("claimed twice", [gate("claimed twice") + text("never said"), text("done")])
    async with cluster.following(message) as followers:
        await cluster.model.reached("claimed twice")
        claiming = cluster.gate(committing("take_tasks"), Stop.AFTER)
        await cluster.replicas[0].kill()
        await cluster.replica_behind(await claiming.reached()).kill()
        claiming.cut()
        task, _ = await check(cluster, *followers)
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 3)


async def test_a_task_whose_first_claimer_dies_before_it_says_so_starts_once(cluster: Cluster) -> None:
    """R3, R9. It came from the queue: the first to claim it was to say that it starts."""
    message = cluster.play("from the queue", [text("done")])
    async with cluster.client() as client:
        claiming = cluster.gate(committing("take_tasks"), Stop.AFTER)
        task_id = await enqueue(cluster, message)
        await cluster.replica_behind(await claiming.reached()).kill()
        claiming.cut()
        async with Follower(client.tasks.watch(task_id)) as follower:
            task, _ = await check(cluster, follower)
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 2)


@pytest.mark.parametrize("stop", [Stop.BEFORE, Stop.AFTER])
async def test_a_replica_that_dies_at_the_terminal_write_ends_its_task_once(cluster: Cluster, stop: Stop) -> None:
    """R3, R11. It is stored or not; the followers elsewhere get the end, though nobody lived to tell them."""
    message = f"terminal write, {stop}"
    again = [] if stop is Stop.AFTER else [text("done")]
    cluster.play(message, [call("note", {"what": message}), gate(message) + text("done"), *again])
    async with cluster.following(message) as followers:
        await cluster.model.reached(message)
        ending = cluster.gate(committing("close_task"), stop, at=(0,))
        cluster.model.release(message)
        await ending.reached()
        await cluster.replicas[0].kill()
        ending.cut()
        task, _ = await check(cluster, *followers)
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 2 if again else 1)


async def test_followers_elsewhere_need_no_notification(cluster: Cluster) -> None:
    """R3. The replica dies between the commit and the word of it."""
    message = cluster.play("no word", [gate("no word") + text("done")])
    async with cluster.following(message) as followers:
        await cluster.model.reached("no word")
        # Else nobody elsewhere may be known to watch, and there is nobody to notify.
        for follower in followers:
            await follower.seen(lambda event: isinstance(event, ModelRequestStarted))
        notifying = cluster.gate(saying("notify"), Stop.BEFORE, at=(0,))
        cluster.model.release("no word")
        await notifying.reached()
        await followers[1].ended()
        await followers[2].ended()
        await cluster.replicas[0].kill()
        notifying.cut()
        task, _ = await check(cluster, *followers)
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 1)
