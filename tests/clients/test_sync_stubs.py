"""The generated synchronous stubs, as a program without asyncio uses them, on grpcio-testing's channel."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# Neither the generated stubs nor grpc_testing have types.

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import grpc_testing
import pytest

from musterd_client.v1 import (
    agent_service_pb2,
    agent_service_pb2_grpc,
    component_pb2,
    event_pb2,
    task_pb2,
    task_service_pb2,
    task_service_pb2_grpc,
)

AGENTS = agent_service_pb2.DESCRIPTOR.services_by_name["AgentService"]
TASKS = task_service_pb2.DESCRIPTOR.services_by_name["TaskService"]
TOKEN = ("authorization", "Bearer t")
SECONDS = 30.0


@pytest.fixture
def channel() -> Any:
    return grpc_testing.channel((AGENTS, TASKS), grpc_testing.strict_real_time())


@pytest.fixture
def program() -> Iterator[ThreadPoolExecutor]:
    """Where the program runs that uses the stubs: they block, so it has a thread of its own."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        yield executor


def event(sequence: int, **kind: Any) -> event_pb2.RunEvent:
    component = component_pb2.ComponentRef(kind="COMPONENT_KIND_AGENT", id="greeter")
    return event_pb2.RunEvent(task_id="t", sequence=sequence, component=component, **kind)


def test_the_stream_of_a_run_is_an_iterator_of_its_messages(channel: Any, program: ThreadPoolExecutor) -> None:
    """R1."""
    stub = agent_service_pb2_grpc.AgentServiceStub(channel)
    request = agent_service_pb2.RunAgentRequest(agent_id="greeter", message="Hi", request_id="r")
    stream = stub.RunAgent(request, metadata=(TOKEN,), timeout=SECONDS)

    metadata, received, rpc = channel.take_unary_stream(AGENTS.methods_by_name["RunAgent"])
    rpc.send_initial_metadata(())
    rpc.send_response(
        agent_service_pb2.RunAgentResponse(
            task=task_pb2.Task(task_id="t", state="TASK_STATE_WORKING"),
            events=[event(1, text_delta=event_pb2.TextDelta(step=1, text="Hello"))],
        )
    )
    done = event_pb2.TaskCompleted(output=task_pb2.Output(text="Hello"))
    rpc.send_response(agent_service_pb2.RunAgentResponse(events=[event(2, task_completed=done)]))
    rpc.terminate((), grpc.StatusCode.OK, "")

    first, last = program.submit(list, stream).result(SECONDS)
    assert received == request
    assert TOKEN in metadata
    assert (first.task.task_id, first.events[0].text_delta.text) == ("t", "Hello")
    assert (last.HasField("task"), last.events[0].WhichOneof("event")) == (False, "task_completed")


def test_a_stream_that_breaks_raises_after_what_it_sent(channel: Any, program: ThreadPoolExecutor) -> None:
    """R3."""
    stub = task_service_pb2_grpc.TaskServiceStub(channel)
    request = task_service_pb2.WatchTaskRequest(task_id="t", after_sequence=6)

    stream = stub.WatchTask(request, timeout=SECONDS)

    _, received, rpc = channel.take_unary_stream(TASKS.methods_by_name["WatchTask"])
    rpc.send_initial_metadata(())
    rpc.send_response(task_service_pb2.WatchTaskResponse(events=[event(7), event(8)]))
    message = program.submit(next, stream).result(SECONDS)
    rpc.terminate((), grpc.StatusCode.UNAVAILABLE, "the server is going down")

    assert received == request
    assert [each.sequence for each in message.events] == [7, 8]
    with pytest.raises(grpc.RpcError):
        program.submit(next, stream).result(SECONDS)
    assert stream.code() is grpc.StatusCode.UNAVAILABLE


def test_the_status_of_a_task_is_one_call(channel: Any, program: ThreadPoolExecutor) -> None:
    """R4."""
    stub = task_service_pb2_grpc.TaskServiceStub(channel)
    request = task_service_pb2.TaskStatusRequest(task_id="t")
    calling: Future[Any] = program.submit(stub.TaskStatus, request, timeout=SECONDS)

    _, received, rpc = channel.take_unary_unary(TASKS.methods_by_name["TaskStatus"])
    rpc.send_initial_metadata(())
    task = task_pb2.Task(task_id="t", state="TASK_STATE_COMPLETED", usage=task_pb2.Usage(requests=1))
    rpc.terminate(task_service_pb2.TaskStatusResponse(task=task), (), grpc.StatusCode.OK, "")

    assert received == request
    assert calling.result(SECONDS).task == task


def test_a_refused_call_raises_its_status(channel: Any, program: ThreadPoolExecutor) -> None:
    """I5."""
    stub = task_service_pb2_grpc.TaskServiceStub(channel)
    request = task_service_pb2.TaskStatusRequest(task_id="t")
    calling: Future[Any] = program.submit(stub.TaskStatus, request, timeout=SECONDS)

    _, _, rpc = channel.take_unary_unary(TASKS.methods_by_name["TaskStatus"])
    rpc.send_initial_metadata(())
    rpc.terminate(None, (), grpc.StatusCode.NOT_FOUND, "there is no such task")

    error = calling.exception(SECONDS)
    assert isinstance(error, grpc.RpcError)
    assert isinstance(error, grpc.Call)
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "there is no such task")
