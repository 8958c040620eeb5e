"""The server is killed in mid-run and started again on the same database: nothing is lost, nothing happens twice."""

from pathlib import Path

from tests.e2e.reading import is_dense, log_of, restarts_in
from tests.e2e.shop import open_shop
from tests.support.followers import Follower

from musterd.testing.model import call, gate, text
from musterd_client import ModelRequestStarted, RestartCause, TaskCompleted, TextDelta, ToolCallCompleted


async def test_a_run_cut_between_a_tool_and_the_next_response_completes_with_the_tool_called_once(
    folder: Path,
) -> None:
    """R3. A client that follows throughout gets each event once; so does one that comes later."""
    script = [
        call("order_status", {"order_id": "17"}),
        gate("answer") + text("never said"),
        text("It is ", "on its way."),
    ]
    async with (
        open_shop(folder, script) as shop,
        shop.client() as client,
        shop.serving() as first_life,
        Follower(client.run_agent("support", "Where is order 17?")) as follower,
    ):
        await follower.seen(lambda event: isinstance(event, ModelRequestStarted) and event.step == 2)
        await shop.model.reached("answer")
        await first_life.kill()
        async with shop.serving():
            followed = await follower.ended()
            log = await log_of(client, followed[0].task_id)
            task = await client.tasks.status(followed[0].task_id)
        shop.model.assert_exhausted()
    assert is_dense(log)
    assert followed == log
    assert shop.ledger() == ["order_status 17 for ada"]
    assert sum(isinstance(event, ToolCallCompleted) for event in log) == 1
    assert restarts_in(log) == [(2, RestartCause.RECOVERY)]
    assert isinstance(log[-1], TaskCompleted)
    assert log[-1].output.text == "It is on its way."
    assert (task.attempt, task.usage.requests, task.usage.tool_calls) == (2, 2, 1)


async def test_a_response_cut_in_its_middle_is_asked_for_again_and_its_deltas_are_void(folder: Path) -> None:
    """R3. What was sent before the server died stays in the log; the reader is told to drop it."""
    script = [text("It ", "was ") + gate("middle") + text("never said"), text("It is ", "on its way.")]
    async with (
        open_shop(folder, script) as shop,
        shop.client() as client,
        shop.serving() as first_life,
        Follower(run := client.run_agent("support", "Where is order 17?")) as follower,
    ):
        await follower.seen(lambda event: isinstance(event, TextDelta) and event.text == "was ")
        await first_life.kill()
        received = list(follower.events)
        async with shop.serving():
            followed = await follower.ended()
            log = await log_of(client, run.task.task_id)
        shop.model.assert_exhausted()
    assert is_dense(log)
    assert followed == log
    assert log[: len(received)] == received
    assert [event.text for event in log if isinstance(event, TextDelta)] == ["It ", "was ", "It is ", "on its way."]
    assert restarts_in(log) == [(1, RestartCause.RECOVERY)]
    assert run.text == "It is on its way."
