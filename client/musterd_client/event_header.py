"""Translates what every event has."""

from datetime import datetime
from typing import TypedDict

from musterd_client.codec import component_from, time_from
from musterd_client.model import ComponentRef
from musterd_client.v1 import event_pb2


class Header(TypedDict):
    """What every event has."""

    task_id: str
    sequence: int
    create_time: datetime
    component: ComponentRef


def header_from(message: event_pb2.RunEvent) -> Header:
    """Returns what the event has beside its kind."""
    return Header(
        task_id=message.task_id,
        sequence=message.sequence,
        create_time=time_from(message.create_time),
        component=component_from(message.component),
    )
