"""The database goes away in mid-run, and comes back: nothing that it had confirmed is lost, nothing happens twice."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from tests.fault.checking import check
from tests.fault.cluster import Cluster, open_cluster
from tests.support.postgres import SETTINGS, PostgresServer, own_postgres

from musterd.testing.model import call, gate, text
from musterd_client import TaskState, TextDelta

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[tuple[PostgresServer, Cluster]]:
    """Give three replicas on a server of their own, which keeps what it confirms when it crashes."""
    with own_postgres({**SETTINGS, "synchronous_commit": "on"}) as server:
        async with open_cluster(tmp_path_factory.mktemp("plant"), server.dsn) as cluster:
            yield server, cluster


async def test_a_run_outlasts_a_crash_of_the_database(world: tuple[PostgresServer, Cluster]) -> None:
    """R3. What its model says meanwhile is kept until it can be stored; or another replica asks again for it."""
    server, cluster = world
    await cluster.all_serving()
    first = text("It ") + gate("crash") + text("is ", "done.")
    cluster.play("crash", [call("note", {"what": "crash"}), first, text("It ", "is ", "done.")])
    async with cluster.following("crash") as followers:
        await followers[2].seen(lambda event: isinstance(event, TextDelta))
        unavailable = cluster.replicas[0].running.times_logged("store_unavailable")
        server.stop()
        cluster.model.release("crash")
        await cluster.replicas[0].running.logged("store_unavailable", time=unavailable + 1)
        server.start()
        task, log = await check(cluster, *followers)
    deltas = "".join(event.text for event in log if isinstance(event, TextDelta))
    assert deltas.endswith("It is done.")
    assert (task.state, task.attempt == 1) == (TaskState.COMPLETED, deltas == "It is done.")


async def test_replicas_without_a_database_stop_in_time_and_begin_again(world: tuple[PostgresServer, Cluster]) -> None:
    """R3, R11. None may work on for longer than its lease: nobody knows who has its tasks by then."""
    server, cluster = world
    await cluster.all_serving()
    script = [call("note", {"what": "gone"}), text("It ") + gate("gone") + text("never"), text("It ", "is done.")]
    async with cluster.following(cluster.play("gone", script)) as followers:
        await followers[2].seen(lambda event: isinstance(event, TextDelta))
        replicas = [replica.running for replica in cluster.replicas]
        lost = [replica.times_logged("lease_lost") for replica in replicas]
        server.stop()
        for replica, times in zip(replicas, lost, strict=True):
            await replica.logged("lease_lost", time=times + 1)
        cluster.model.release("gone")
        server.start()
        task, log = await check(cluster, *followers)
    assert [event.text for event in log if isinstance(event, TextDelta)] == ["It ", "It ", "is done."]
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 2)
