"""Encodes a task's stream into messages: the task first, then its events, several to a message."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from musterd.domain.event import Event
from musterd.domain.task import Task
from musterd.runtime.feed.streams import Batches, Pulse
from musterd.transport.codec.events import EventEncoder, heartbeat
from musterd.transport.codec.tasks import encode_task
from musterd_client.v1 import event_pb2, task_pb2

BATCH_MAX_BYTES = 1_048_576
"""A message is closed once its events exceed this; only a single event may be larger."""

R = TypeVar("R", bound=Message)
MakeResponse = Callable[[task_pb2.Task | None, Sequence[event_pb2.RunEvent]], R]


async def encode_stream(
    task: Task, ready: Sequence[Event], batches: Batches | None, make_response: MakeResponse[R]
) -> AsyncIterator[R]:
    """Yield the messages of a stream: first the task with the events that are ready, then the batches if there are."""
    encoder = EventEncoder()
    yield make_response(encode_task(task), [encoder.encode(event) for event in ready])
    if batches is None:
        return
    async for batch in batches:
        if isinstance(batch, Pulse):
            yield make_response(None, [heartbeat(task.task_id, batch.last_sequence)])
            continue
        for message in _split([encoder.encode(event) for event in batch]):
            yield make_response(None, message)


def _split(events: list[event_pb2.RunEvent]) -> list[list[event_pb2.RunEvent]]:
    messages: list[list[event_pb2.RunEvent]] = [[]]
    size = 0
    for event in events:
        event_size = event.ByteSize()
        if messages[-1] and size + event_size > BATCH_MAX_BYTES:
            messages.append([])
            size = 0
        messages[-1].append(event)
        size += event_size
    return messages
