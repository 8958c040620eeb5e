"""Calls to the servers, with as little work on this side as there can be: messages stay bytes until all is over."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from musterd_client.v1 import agent_service_pb2, event_pb2, task_pb2, task_service_pb2

RUN_AGENT = "/musterd.v1.AgentService/RunAgent"
TASK_STATUS = "/musterd.v1.TaskService/TaskStatus"
WAIT_TASKS = "/musterd.v1.TaskService/WaitTasks"
CANCEL_TASK = "/musterd.v1.TaskService/CancelTask"
MESSAGE = "hi"


@dataclass(frozen=True, slots=True)
class Stream:
    """What came of a call: when it began, and each message with its time."""

    begun_at: float
    messages: list[tuple[float, bytes]]

    @property
    def first_delta_seconds(self) -> float:
        """How long the first delta took."""
        for at, data in self.messages:
            if _deltas(data):
                return at - self.begun_at
        raise AssertionError(self.messages)

    def deltas_between(self, begin: float, end: float) -> int:
        """How many deltas came within a time."""
        return sum(_deltas(data) for at, data in self.messages if begin <= at < end)

    @property
    def is_whole(self) -> bool:
        """Whether the run completed, and every event of its log came."""
        events = [event for _, data in self.messages for event in _events(data)]
        sequences = [event.sequence for event in events]
        return sequences == list(range(1, len(events) + 1)) and events[-1].HasField("task_completed")

    @property
    def task_id(self) -> str:
        """The task's id."""
        return task_id_in(self.messages[0][1])


def _events(data: bytes) -> Sequence[event_pb2.RunEvent]:
    return agent_service_pb2.RunAgentResponse.FromString(data).events


def _deltas(data: bytes) -> int:
    return sum(event.HasField("text_delta") for event in _events(data))


class Load:
    """Makes calls to one server, over as many connections as it is given."""

    def __init__(self, channels: Sequence[grpc.aio.Channel], token: str) -> None:
        self._channels = channels
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._calls = 0

    def _next_channel(self) -> Any:
        self._calls += 1
        return self._channels[self._calls % len(self._channels)]

    async def run(self, agent_id: str, message: str = MESSAGE) -> Stream:
        """Run an agent to its end."""
        stream = Stream(time.perf_counter(), [])
        call = self._next_channel().unary_stream(RUN_AGENT)(run_request(agent_id, message), metadata=self._metadata)
        async for data in call:
            stream.messages.append((time.perf_counter(), data))
        return stream

    async def begin(self, agent_id: str, *, background: bool = False) -> tuple[str, AsyncIterator[bytes]]:
        """Begin to run an agent; return its task's id, and the rest of the messages to iterate over."""
        request = run_request(agent_id, background=background)
        messages = aiter(self._next_channel().unary_stream(RUN_AGENT)(request, metadata=self._metadata))
        return task_id_in(await anext(messages)), messages

    async def runs(self, agent_id: str, count: int, at_once: int = 1, message: str = MESSAGE) -> list[Stream]:
        """Run an agent `count` times, `at_once` at any time."""
        streams: list[Stream] = []
        left = iter(range(count))

        async def work() -> None:
            streams.extend([await self.run(agent_id, message) for _ in left])

        await asyncio.gather(*(work() for _ in range(at_once)))
        return streams

    async def whole_runs(self, agent_id: str, count: int, at_once: int = 1, message: str = MESSAGE) -> None:
        """Run an agent as `runs` does. Raises RuntimeError when a run does not complete: it would seem to be cheap."""
        streams = await self.runs(agent_id, count, at_once, message)
        if not all(stream.is_whole for stream in streams):
            raise RuntimeError(f"a run of {agent_id!r} did not complete, or not all of it came")

    async def ask(self, method: str, request: bytes, count: int, at_once: int) -> bytes:
        """Make `count` unary calls, `at_once` at any time. Returns the last response."""
        call = self._next_channel().unary_unary(method)
        left = iter(range(count))

        async def work() -> bytes:
            response = b""
            for _ in left:
                response = await call(request, metadata=self._metadata)
            return response

        return (await asyncio.gather(*(work() for _ in range(at_once))))[0]

    async def hold(self, method: str, request: bytes, count: int) -> list[Any]:
        """Open streams, wait for the first message of each, and leave them open."""
        calls = [self._next_channel().unary_stream(method)(request, metadata=self._metadata) for _ in range(count)]
        await asyncio.gather(*(call.read() for call in calls))
        return calls


def status_request(task_id: str) -> bytes:
    """Return the request for a task's status."""
    return task_service_pb2.TaskStatusRequest(task_id=task_id).SerializeToString()


def wait_request(task_id: str) -> bytes:
    """Return the request to wait for a task's end."""
    return task_service_pb2.WaitTasksRequest(task_ids=[task_id]).SerializeToString()


def cancel_request(task_id: str) -> bytes:
    """Return the request to cancel a task at once."""
    hard = task_service_pb2.CANCEL_MODE_HARD
    return task_service_pb2.CancelTaskRequest(task_id=task_id, mode=hard).SerializeToString()


def run_request(agent_id: str, message: str = MESSAGE, *, background: bool = False) -> bytes:
    """Return the request for an agent's run."""
    return agent_service_pb2.RunAgentRequest(
        agent_id=agent_id, message=message, background=background
    ).SerializeToString()


def task_id_in(data: bytes) -> str:
    """Return the id of the task in the first message of a run."""
    return agent_service_pb2.RunAgentResponse.FromString(data).task.task_id


def task_in(data: bytes) -> task_pb2.Task:
    """Return the task that a server looked at."""
    return task_service_pb2.TaskStatusResponse.FromString(data).task


@asynccontextmanager
async def load_on(port: int, token: str, connections: int = 1) -> AsyncGenerator[Load]:
    """Connect to a server on this machine."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) for _ in range(connections)]
    try:
        yield Load(channels, token)
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))
