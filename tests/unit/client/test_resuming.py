import asyncio
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # pyright: ignore[reportMissingTypeStubs]
from tests.unit.client.conftest import QUICK
from tests.unit.client.messages import (
    CHILD_ID,
    TASK_ID,
    a_task,
    completed,
    heartbeat,
    run_message,
    text,
    watch_message,
)
from tests.unit.client.scripted import Hang, Refusal, ScriptedServer

from musterd_client import (
    MusterdClient,
    NotFoundError,
    OutOfRangeError,
    RetryPolicy,
    TaskState,
    UnavailableError,
    WatchUntil,
)

BREAKS = [
    Refusal(),
    Refusal(reason="SHUTTING_DOWN", metadata={"last_sequence": "2"}),
    Refusal(code=grpc.StatusCode.ABORTED, reason="SLOW_READER", metadata={"last_sequence": "2"}),
    Refusal(code=grpc.StatusCode.RESOURCE_EXHAUSTED, reason="SLOW_READER"),
    Refusal(code=grpc.StatusCode.INTERNAL, message="Received RST_STREAM with error code 2"),
    Refusal(code=grpc.StatusCode.CANCELLED),
]


async def sequences_and_text(client: MusterdClient) -> tuple[list[int], str]:
    async with client.run_agent("greeter") as run:
        return [event.sequence async for event in run], (await run.result()).text


@pytest.mark.parametrize("broken", BREAKS, ids=lambda refusal: f"{refusal.code.name}-{refusal.reason}")
async def test_a_broken_stream_goes_on_without_loss_or_duplicate(
    server: ScriptedServer, client: MusterdClient, broken: Refusal
) -> None:
    """R3."""
    server.will("RunAgent", run_message(text(1, "a"), task=a_task()), run_message(text(2, "b")), broken)
    server.will("WatchTask", watch_message(text(2, "b"), text(3, "c"), task=a_task()), watch_message(completed(4)))

    assert await sequences_and_text(client) == ([1, 2, 3, 4], "Hello")
    (watch,) = server.requests("WatchTask")
    assert (watch.task_id, watch.after_sequence, watch.until) == (TASK_ID, 2, 1)


async def test_a_stream_that_ends_before_the_task_goes_on(server: ScriptedServer, client: MusterdClient) -> None:
    server.will("RunAgent", run_message(text(1, "a"), task=a_task()))
    server.will("WatchTask", watch_message(completed(2), task=a_task()))

    assert await sequences_and_text(client) == ([1, 2], "Hello")


async def test_missing_events_are_fetched(server: ScriptedServer, client: MusterdClient) -> None:
    """R3."""
    server.will("RunAgent", run_message(text(1, "a"), text(3, "c"), task=a_task()), Hang())
    server.will("WatchTask", watch_message(text(2, "b"), text(3, "c"), completed(4), task=a_task()))

    assert await sequences_and_text(client) == ([1, 2, 3, 4], "Hello")
    assert server.requests("WatchTask")[0].after_sequence == 1


async def test_a_heartbeat_beyond_the_last_event_shows_that_events_are_missing(
    server: ScriptedServer, client: MusterdClient
) -> None:
    server.will("RunAgent", run_message(text(1, "a"), heartbeat(2), task=a_task()), Hang())
    server.will("WatchTask", watch_message(completed(2), task=a_task()))

    assert await sequences_and_text(client) == ([1, 2], "Hello")


async def test_events_that_stay_missing_end_the_stream_with_an_error(
    server: ScriptedServer, client: MusterdClient
) -> None:
    server.will("RunAgent", run_message(text(1, "a"), text(3, "c"), task=a_task()), Hang())
    for _ in range(QUICK.resume_attempts):
        server.will("WatchTask", watch_message(text(3, "c"), completed(4), task=a_task()))

    async with client.run_agent("greeter") as run:
        with pytest.raises(UnavailableError, match="events 2 to 2") as caught:
            await run.result()
    assert (caught.value.reason, run.last_sequence) == ("EVENTS_MISSING", 1)


async def test_the_stream_of_a_child_may_leave_out_what_others_did(
    server: ScriptedServer, client: MusterdClient
) -> None:
    child = a_task(CHILD_ID)
    server.will("WatchTask", watch_message(text(3, "a", task_id=CHILD_ID), heartbeat(5), task=child), Refusal())
    server.will("WatchTask", watch_message(completed(7, task_id=CHILD_ID), task=child))

    async with client.tasks.watch(CHILD_ID) as watch:
        assert [event.sequence async for event in watch] == [3, 7]
    assert [request.after_sequence for request in server.requests("WatchTask")] == [0, 3]


async def test_a_silent_stream_counts_as_broken(server: ScriptedServer) -> None:
    server.will("RunAgent", run_message(text(1, "a"), task=a_task()), Hang())
    server.will("WatchTask", watch_message(completed(2), task=a_task()))

    async with MusterdClient(server.target, retry=QUICK, stall_timeout_seconds=0.05) as client:
        assert await sequences_and_text(client) == ([1, 2], "Hello")
    await server.dropped.wait()


@pytest.mark.parametrize("refusal", [Refusal(), Refusal(code=grpc.StatusCode.CANCELLED)], ids=["away", "dropped"])
async def test_a_run_whose_first_message_never_came_is_asked_for_again_with_the_same_request_id(
    server: ScriptedServer, client: MusterdClient, refusal: Refusal
) -> None:
    """R8."""
    server.will("RunAgent", refusal)
    server.will("RunAgent", Refusal(reason="SHUTTING_DOWN"))
    server.will("RunAgent", run_message(completed(1), task=a_task()))

    await client.run_agent("greeter", "Hi").result()

    requests = server.requests("RunAgent")
    assert len(requests) == 3
    assert requests[0].request_id
    assert requests[0] == requests[1] == requests[2]


async def test_a_run_that_its_caller_breaks_off_is_not_asked_for_again(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """R8."""
    server.will("RunAgent", Hang())
    starting = asyncio.ensure_future(client.run_agent("greeter").start())
    await server.hanging.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await server.dropped.wait()
    assert len(server.asked) == 1


async def test_two_runs_have_two_request_ids(client: MusterdClient) -> None:
    """R8."""
    assert client.run_agent("greeter").request_id != client.run_agent("greeter").request_id


async def test_tries_to_start_a_run_are_bounded(server: ScriptedServer, client: MusterdClient) -> None:
    for _ in range(QUICK.call_attempts + 1):
        server.will("RunAgent", Refusal())

    with pytest.raises(UnavailableError):
        await client.run_agent("greeter").start()
    assert len(server.asked) == QUICK.call_attempts


async def test_tries_to_follow_a_run_are_bounded_and_iterating_again_tries_anew(
    server: ScriptedServer, client: MusterdClient
) -> None:
    server.will("RunAgent", run_message(text(1, "a"), task=a_task()), Refusal())
    for _ in range(QUICK.resume_attempts):
        server.will("WatchTask", Refusal())

    async with client.run_agent("greeter") as run:
        with pytest.raises(UnavailableError):
            await run.result()
        assert len(server.requests("WatchTask")) == QUICK.resume_attempts

        server.will("WatchTask", watch_message(completed(2), task=a_task()))
        assert (await run.result()).text == "Hello"


async def test_tries_to_start_a_run_do_not_count_among_those_to_follow_it(server: ScriptedServer) -> None:
    server.will("RunAgent", Refusal())
    server.will("RunAgent", run_message(task=a_task()), Refusal())
    server.will("WatchTask", watch_message(completed(1), task=a_task()))

    retry = RetryPolicy(call_attempts=2, resume_attempts=1, initial_delay_seconds=0.001)
    async with MusterdClient(server.target, retry=retry) as client:
        assert await sequences_and_text(client) == ([1], "Hello")


async def test_each_new_event_gives_new_tries(server: ScriptedServer, client: MusterdClient) -> None:
    last = 2 * QUICK.resume_attempts
    server.will("RunAgent", run_message(text(1, "a"), task=a_task()), Refusal())
    for sequence in range(2, last):
        server.will("WatchTask", watch_message(text(sequence, "b"), task=a_task()), Refusal())
    server.will("WatchTask", watch_message(completed(last), task=a_task()))

    assert (await sequences_and_text(client))[0] == list(range(1, last + 1))


async def test_the_server_says_how_long_to_wait_before_following_again(
    server: ScriptedServer, client: MusterdClient
) -> None:
    pause = RetryInfo(retry_delay=Duration(nanos=1_000_000))
    busy = Refusal(code=grpc.StatusCode.RESOURCE_EXHAUSTED, reason="CAPACITY_EXHAUSTED", details=(pause,))
    server.will("RunAgent", run_message(text(1, "a"), task=a_task()), Refusal())
    server.will("WatchTask", busy)
    server.will("WatchTask", watch_message(completed(2), task=a_task()))

    assert await sequences_and_text(client) == ([1, 2], "Hello")


async def test_a_trimmed_log_ends_the_stream_with_its_error(server: ScriptedServer, client: MusterdClient) -> None:
    gone = Refusal(code=grpc.StatusCode.OUT_OF_RANGE, reason="LOG_TRIMMED", metadata={"oldest_sequence": "90"})
    server.will("WatchTask", gone)

    with pytest.raises(OutOfRangeError) as caught:
        await client.tasks.watch(TASK_ID, after_sequence=4).start()
    assert caught.value.metadata == {"oldest_sequence": "90"}


async def test_a_stream_that_breaks_after_the_end_of_the_task_is_over(
    server: ScriptedServer, client: MusterdClient
) -> None:
    server.will("RunAgent", run_message(completed(1), task=a_task()), Refusal())

    assert await sequences_and_text(client) == ([1], "Hello")
    assert server.requests("WatchTask") == []


async def test_a_watch_of_the_tree_goes_on_after_the_end_of_its_task(
    server: ScriptedServer, client: MusterdClient
) -> None:
    server.will("WatchTask", watch_message(completed(1), task=a_task()), Refusal())
    ended = a_task(state="TASK_STATE_COMPLETED")
    server.will("WatchTask", watch_message(completed(2, task_id=CHILD_ID), task=ended))

    async with client.tasks.watch(TASK_ID, until=WatchUntil.TREE) as watch:
        assert [event.sequence async for event in watch] == [1, 2]
    assert [request.until for request in server.requests("WatchTask")] == [2, 2]


async def test_a_watch_of_the_tree_waits_for_its_heartbeats_after_the_end_of_its_task(server: ScriptedServer) -> None:
    """Those of a tree may be far apart; that its task has ended makes nobody wait for them less."""
    server.will("WatchTask", watch_message(completed(1), task=a_task()), Hang())

    once = RetryPolicy(resume_attempts=0)
    async with MusterdClient(server.target, retry=once, stall_timeout_seconds=0.05) as client:
        watch = client.tasks.watch(TASK_ID, until=WatchUntil.TREE)
        assert (await anext(watch)).sequence == 1
        with pytest.raises(UnavailableError, match=r"nothing came for 0\.05 s"):
            await anext(watch)


async def test_a_watch_after_the_end_of_a_finished_task_has_its_result(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """R3."""
    server.will("WatchTask", watch_message(task=a_task(state="TASK_STATE_COMPLETED", last_sequence=9)))

    async with client.tasks.watch(TASK_ID, after_sequence=9) as watch:
        assert (await watch.result()).task.state is TaskState.COMPLETED


async def test_a_watch_of_an_unknown_task_is_refused(server: ScriptedServer, client: MusterdClient) -> None:
    """I5."""
    server.will("WatchTask", Refusal(code=grpc.StatusCode.NOT_FOUND, reason="TASK_NOT_FOUND"))

    with pytest.raises(NotFoundError):
        await client.tasks.watch(TASK_ID).start()


async def test_a_reader_that_was_interrupted_can_read_on(server: ScriptedServer, client: MusterdClient) -> None:
    server.will("RunAgent", run_message(text(1, "a"), task=a_task()), Hang())
    server.will("WatchTask", watch_message(completed(2), task=a_task()))

    async with client.run_agent("greeter") as run:
        assert (await anext(run)).sequence == 1
        reading = asyncio.ensure_future(anext(run))
        await asyncio.wait((reading,), timeout=0.01)
        reading.cancel()
        await server.dropped.wait()
        assert (await anext(run)).sequence == 2


async def test_a_stream_waits_for_a_server_that_comes_back(tmp_path: Path) -> None:
    """R3."""
    patient = RetryPolicy(resume_attempts=200, initial_delay_seconds=0.01, max_delay_seconds=0.1)
    async with MusterdClient(f"unix:{tmp_path / 'grpc.sock'}", retry=patient) as client:
        async with ScriptedServer(tmp_path / "grpc.sock") as first:
            first.will("RunAgent", run_message(text(1, "a"), task=a_task()), Hang())
            run = client.run_agent("greeter")
            assert (await anext(run)).sequence == 1
        following = asyncio.ensure_future(run.result())
        async with ScriptedServer(tmp_path / "grpc.sock") as second:
            second.will("WatchTask", watch_message(completed(2), task=a_task()))
            assert (await following).text == "Hello"
