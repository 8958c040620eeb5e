"""What every event has."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from musterd_client.model import ComponentRef


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """What every event has: its task, its place in the log of the task's tree, its time, and the task's component.

    `sequence` is the token to go on after: `watch(task_id, after_sequence=event.sequence)`. `kind` is the event's name
    in the contract, for example `text_delta`.
    """

    kind: ClassVar[str]

    task_id: str
    sequence: int
    create_time: datetime
    component: ComponentRef
