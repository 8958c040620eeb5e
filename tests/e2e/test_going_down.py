"""SIGTERM: readers are sent off, runs end within the grace or go on in the next life, and the process ends well."""

from pathlib import Path

import pytest
from tests.e2e.reading import is_dense, log_of, restarts_in
from tests.e2e.shop import open_shop
from tests.support.followers import Follower

from musterd.testing.model import call, gate, text
from musterd_client import (
    HealthStatus,
    RestartCause,
    RetryPolicy,
    TaskCompleted,
    TextDelta,
    UnavailableError,
)

ONCE = RetryPolicy(call_attempts=1, resume_attempts=0)


async def test_runs_end_within_the_grace_and_nothing_new_is_taken(folder: Path) -> None:
    """R3. The reader that is sent off learns where it was."""
    async with (
        open_shop(folder, [text("It is ") + gate("middle") + text("on its way.")]) as shop,
        shop.client(retry=ONCE) as client,
    ):
        async with shop.serving() as server, Follower(run := client.run_agent("support", "Where is it?")) as follower:
            await follower.seen(lambda event: isinstance(event, TextDelta))
            await shop.model.reached("middle")
            server.terminate()
            with pytest.raises(UnavailableError) as sent_off:
                await follower.ended()
            with pytest.raises(UnavailableError) as refused:
                await client.run_agent("support", "And this?").start()
            health = await client.health()
            shop.model.release("middle")
            ending = await server.finished()
        assert not shop.socket.exists()
        async with shop.serving():
            log = await log_of(client, run.task.task_id)
            task = await client.tasks.status(run.task.task_id)
    assert sent_off.value.reason == "SHUTTING_DOWN"
    assert sent_off.value.retry_after_seconds is not None
    assert sent_off.value.metadata["last_sequence"] == str(run.last_sequence)
    assert refused.value.reason == "SHUTTING_DOWN"
    assert health is HealthStatus.NOT_SERVING
    assert (ending.code, ending.stdout) == (0, "")
    assert is_dense(log)
    assert restarts_in(log) == []
    assert isinstance(log[-1], TaskCompleted)
    assert (task.attempt, log[-1].output.text) == (1, "It is on its way.")


async def test_a_second_signal_ends_the_grace_and_runs_go_on_in_the_next_life(folder: Path) -> None:
    """R3. A client that follows throughout gets each event once."""
    script = [text("It ", "was ") + gate("middle"), text("It is ", "on its way.")]
    async with (
        open_shop(folder, script) as shop,
        shop.client() as client,
        shop.serving(MUSTERD_SERVER__SHUTDOWN_GRACE_SECONDS="3600") as server,
        Follower(run := client.run_agent("support", "Where is it?")) as follower,
    ):
        await follower.seen(lambda event: isinstance(event, TextDelta) and event.text == "was ")
        server.terminate()
        stopping = await server.logged("stopping")
        server.terminate()
        ending = await server.finished()
        await shop.model.disconnected(1)
        async with shop.serving():
            followed = await follower.ended()
            log = await log_of(client, run.task.task_id)
    assert (stopping["running_tasks"], ending.code) == (1, 0)
    assert is_dense(log)
    assert followed == log
    assert restarts_in(log) == [(1, RestartCause.RECOVERY)]
    assert run.text == "It is on its way."


async def test_a_tool_that_blocks_a_thread_does_not_keep_the_process(folder: Path) -> None:
    """R3."""
    async with (
        open_shop(folder, [call("charge", {"order_id": "17"})]) as shop,
        shop.client() as client,
        shop.serving(MUSTERD_SERVER__SHUTDOWN_GRACE_SECONDS="0") as server,
    ):
        await client.run_agent("clerk", "Charge me.", background=True).start()
        await shop.gates.reached("charge")
        server.terminate()
        ending = await server.finished()
    assert ending.code == 0
    assert "threads_left_behind" in ending.stderr
    assert shop.ledger() == ["charge 17 begins"]
