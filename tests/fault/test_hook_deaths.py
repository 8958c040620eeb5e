"""A replica is killed after a run has ended, and before or while its hook runs."""

from collections.abc import Sequence

import asyncpg
import pytest
from tests.fault.cluster import Cluster, Replica
from tests.support.hook_runs import logged, settled, told
from tests.support.postgres_gates import Stop, committing

from musterd.testing.model import text
from musterd_client import Event, HookRun, HookRunState, MusterdClient, TaskCompleted

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_hook_runs_once_elsewhere_when_its_replica_dies_after_the_terminal_event(cluster: Cluster) -> None:
    """H4. The database has the end of the run and its hook, and the replica does not even know."""
    message = cluster.play("audited elsewhere", [text("the end")])
    async with cluster.client() as client:
        ending = cluster.gate(committing("insert_hook_runs"), Stop.AFTER, at=(0,))
        async with client.run_agent("audited", message, background=True) as run:
            task_id = run.task.task_id
        await ending.reached()
        await cluster.replicas[0].kill()
        ending.cut()
        hook_run, log = await follow(client, task_id)
    assert (hook_run.state, hook_run.attempts) == (HookRunState.COMPLETED, 1)
    assert told(log) == ["started audit", "completed audit"]
    assert cluster.ledger().count("audited the end") == 1


async def test_a_hook_whose_replica_dies_in_its_middle_runs_again_elsewhere(cluster: Cluster) -> None:
    """H4. As a further attempt, once the lease of the dead one is over."""
    message = cluster.play("audited twice", [text("wait here")])
    async with cluster.client() as client:
        async with client.run_agent("audited", message, background=True) as run:
            task_id = run.task.task_id
        await cluster.gates.reached("wait here")
        await (await runner(cluster, task_id)).kill()
        cluster.gates.release("wait here")
        hook_run, log = await follow(client, task_id)
    assert (hook_run.state, hook_run.attempts) == (HookRunState.COMPLETED, 2)
    assert told(log) == ["started audit", "started audit", "completed audit"]
    assert cluster.ledger().count("audited wait here") == 1


async def runner(cluster: Cluster, task_id: str) -> Replica:
    """Return the replica that runs the hook of a task."""
    connection = await asyncpg.connect(cluster.dsn, server_settings={"search_path": cluster.schema})
    try:
        owner = await connection.fetchval("SELECT owner FROM hook_run WHERE task_id = $1", task_id)
    finally:
        await connection.close()
    return next(replica for replica in cluster.replicas if f"-{replica.running.process_id}-" in owner)


async def follow(client: MusterdClient, task_id: str) -> tuple[HookRun, Sequence[Event]]:
    """Return the hook's run and the log once all of it is over; the hook is told after the end of its task."""
    (hook_run,) = (await settled(client, task_id)).values()
    log = await logged(client, task_id)
    ends = [number for number, event in enumerate(log) if isinstance(event, TaskCompleted)]
    assert len(ends) == 1
    assert told(log[: ends[0]]) == []
    return hook_run, log
