import grpc
import pytest
from tests.unit.client.messages import (
    CHILD_ID,
    TASK_ID,
    a_task,
    canceled,
    completed,
    failed,
    heartbeat,
    response_completed,
    restarted,
    run_message,
    text,
    watch_message,
)
from tests.unit.client.scripted import Hang, Refusal, ScriptedServer

from musterd_client import (
    InvalidArgumentError,
    JsonValue,
    MusterdClient,
    MusterdClientError,
    OnDisconnect,
    Priority,
    RetryPolicy,
    TaskCanceledError,
    TaskCompleted,
    TaskFailedError,
    TaskState,
    TextDelta,
    TextPart,
    UsageLimits,
)
from musterd_client.v1.event_pb2 import RunEvent


async def test_a_run_gives_its_task_its_events_and_its_result(server: ScriptedServer, client: MusterdClient) -> None:
    """R1."""
    server.will("RunAgent", run_message(text(1, "Hel"), task=a_task()), run_message(text(2, "lo"), completed(3)))

    async with client.run_agent("greeter", "Hi") as run:
        assert (run.task.task_id, run.task.state) == (TASK_ID, TaskState.WORKING)
        events = [event async for event in run]

    assert [type(event) for event in events] == [TextDelta, TextDelta, TaskCompleted]
    assert [event.sequence for event in events] == [1, 2, 3]
    assert run.text == "Hello"
    result = await run.result()
    assert (result.text, result.data, result.usage.output_tokens) == ("Hello", "Hello", 12)
    assert (run.task.state, run.task.last_sequence) == (TaskState.COMPLETED, 3)


async def test_a_run_sends_everything_that_it_was_given(server: ScriptedServer, client: MusterdClient) -> None:
    server.will("RunAgent", run_message(completed(1), task=a_task()))

    await client.run_agent(
        "greeter",
        "Hi",
        parts=[TextPart(text="a note", name="note.txt")],
        session_id="s",
        user_id="u",
        factory_input={"tier": "gold", "seats": 3, "nested": {"flags": [True, None, 1.5]}},
        request_id="r",
        run_timeout_seconds=1.5,
        usage_limits=UsageLimits(requests=4),
        priority=Priority.HIGH,
        on_disconnect=OnDisconnect.CANCEL,
        metadata={"team": "blue"},
    ).result()

    (request,) = server.requests("RunAgent")
    assert (request.agent_id, request.message, request.session_id, request.user_id) == ("greeter", "Hi", "s", "u")
    assert (request.parts[0].text, request.parts[0].name) == ("a note", "note.txt")
    assert request.factory_input["nested"]["flags"][2] == 1.5
    assert (request.request_id, request.run_timeout.ToMilliseconds()) == ("r", 1500)
    assert (request.usage_limits.requests, request.usage_limits.HasField("tool_calls")) == (4, False)
    assert (request.priority, request.on_disconnect, dict(request.metadata)) == (3, 2, {"team": "blue"})


@pytest.mark.parametrize("value", [2**53 + 1, b"bytes", object(), {"inner": [{1, 2}]}, {7: "seven"}, [{7: "seven"}]])
async def test_input_that_the_contract_cannot_carry_is_refused_before_the_call(
    client: MusterdClient, value: object
) -> None:
    with pytest.raises(ValueError, match=r"^tier"):
        client.run_agent("greeter", factory_input={"tier": value})


@pytest.mark.parametrize("levels", [40, 10_000])
async def test_input_that_is_nested_too_deeply_is_refused_before_the_call(client: MusterdClient, levels: int) -> None:
    """C6: the server refuses what it can read; this it could not."""
    value: JsonValue = None
    for _ in range(levels):
        value = {"in": value}
    with pytest.raises(ValueError, match=r"^factory_input: it is nested too deeply"):
        client.run_agent("greeter", factory_input={"deep": value})


async def test_a_failed_run_raises_its_error_with_the_task(server: ScriptedServer, client: MusterdClient) -> None:
    """R1."""
    server.will("RunAgent", run_message(failed(1), task=a_task()))

    with pytest.raises(TaskFailedError, match="MODEL_FAILED: the model refused") as caught:
        await client.run_agent("greeter").result()

    assert (caught.value.reason, caught.value.error.error_id) == ("MODEL_FAILED", "e-1")
    assert (caught.value.task.state, caught.value.task.usage.requests) == (TaskState.FAILED, 2)


async def test_a_canceled_run_raises_with_its_partial_output(server: ScriptedServer, client: MusterdClient) -> None:
    """R5."""
    server.will("RunAgent", run_message(canceled(1), task=a_task()))

    with pytest.raises(TaskCanceledError, match="enough") as caught:
        await client.run_agent("greeter").result()

    output = caught.value.task.output
    assert output is not None
    assert (output.text, output.partial) == ("Hel", True)


async def test_a_background_run_ends_with_its_task_and_can_be_followed(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """R2."""
    server.will("RunAgent", run_message(task=a_task(state="TASK_STATE_SUBMITTED")))
    server.will("WatchTask", watch_message(text(1, "Hello"), completed(2), task=a_task()))

    async with client.run_agent("greeter", background=True) as run:
        assert run.task.state is TaskState.SUBMITTED
        assert [event async for event in run] == []
        assert server.requests("WatchTask") == []
        assert (await run.result()).text == "Hello"


async def test_a_background_run_that_is_never_followed_ends_however_its_stream_ends(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """R2."""
    server.will("RunAgent", run_message(task=a_task(state="TASK_STATE_SUBMITTED")), Refusal())

    async with client.run_agent("greeter", background=True) as run:
        assert [event async for event in run] == []
    assert len(server.asked) == 1


async def test_to_follow_a_background_run_is_no_repetition(server: ScriptedServer) -> None:
    """R2."""
    server.will("RunAgent", run_message(task=a_task(state="TASK_STATE_SUBMITTED")))
    server.will("WatchTask", watch_message(completed(1), task=a_task()))

    async with MusterdClient(server.target, retry=RetryPolicy(resume_attempts=0)) as client:
        assert (await client.run_agent("greeter", background=True).result()).text == "Hello"


async def test_a_run_that_failed_in_a_way_of_a_newer_server_has_failed(
    server: ScriptedServer, client: MusterdClient
) -> None:
    newer = failed(1)
    newer.task_failed.ClearField("state")
    server.will("RunAgent", run_message(newer, task=a_task()))

    with pytest.raises(TaskFailedError, match="MODEL_FAILED") as caught:
        await client.run_agent("greeter").result()
    assert caught.value.task.state is TaskState.FAILED


async def test_heartbeats_do_not_show(server: ScriptedServer, client: MusterdClient) -> None:
    server.will("RunAgent", run_message(task=a_task()), run_message(heartbeat(0)), run_message(completed(1)))

    async with client.run_agent("greeter") as run:
        assert [event.kind async for event in run] == ["task_completed"]


async def test_events_that_the_client_does_not_know_are_skipped(server: ScriptedServer, client: MusterdClient) -> None:
    from_the_future = RunEvent.FromString(RunEvent(task_id=TASK_ID, sequence=1).SerializeToString() + b"\xa2\x1f\x00")
    server.will("RunAgent", run_message(from_the_future, completed(2), task=a_task()))

    async with client.run_agent("greeter") as run:
        assert [event.sequence async for event in run] == [2]
    assert len(server.asked) == 1


async def test_text_of_a_restarted_step_is_dropped(server: ScriptedServer, client: MusterdClient) -> None:
    server.will(
        "RunAgent",
        run_message(text(1, "One. "), response_completed(2), text(3, "Tw", step=2), task=a_task()),
        run_message(restarted(4, step=2), text(5, "Two.", step=2), response_completed(6, step=2), completed(7)),
    )

    async with client.run_agent("greeter") as run:
        kinds = [event.kind async for event in run]

    assert run.text == "One. Two."
    assert "step_restarted" in kinds


@pytest.mark.parametrize(("settled", "pieces"), [(False, ["Tw", "Two", "."]), (True, ["Two."])])
async def test_settled_text_never_shows_what_became_void(
    server: ScriptedServer, client: MusterdClient, settled: bool, pieces: list[str]
) -> None:
    server.will(
        "RunAgent",
        run_message(text(1, "Tw"), restarted(2), text(3, "Two"), task=a_task()),
        run_message(text(4, "."), text(5, "child", task_id=CHILD_ID), response_completed(6), completed(7)),
    )

    async with client.run_agent("greeter") as run:
        assert [piece async for piece in run.text_stream(settled=settled)] == pieces


async def test_a_refused_run_raises_and_is_not_repeated(server: ScriptedServer, client: MusterdClient) -> None:
    """C6."""
    server.will("RunAgent", Refusal(code=grpc.StatusCode.INVALID_ARGUMENT, reason="INVALID_INPUT", message="bad input"))

    with pytest.raises(InvalidArgumentError):
        await client.run_agent("greeter").start()
    assert len(server.asked) == 1


async def test_leaving_a_run_drops_its_stream(server: ScriptedServer, client: MusterdClient) -> None:
    """R3."""
    server.will("RunAgent", run_message(text(1, "Hel"), task=a_task()), Hang())

    async with client.run_agent("greeter") as run:
        async for _ in run:
            break

    await server.dropped.wait()
    with pytest.raises(MusterdClientError, match="closed while"):
        await run.result()


async def test_a_run_that_has_not_begun_has_no_task(client: MusterdClient) -> None:
    with pytest.raises(RuntimeError, match="has not begun"):
        _ = client.run_agent("greeter").task


async def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await MusterdClient("unix:/nowhere").server_info()
