"""What others may tell a running task: messages for it, and orders to cancel it."""

from dataclasses import dataclass
from enum import StrEnum

from musterd.domain.task import Task


class SteerState(StrEnum):
    """What became of a steering message."""

    PENDING = "pending"
    APPLIED = "applied"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Steer:
    """A message from outside for a running task."""

    steer_id: str
    task_id: str
    message: str
    user_id: str
    state: SteerState = SteerState.PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """A request to cancel: hard at once, or soft with a grace for the current step."""

    hard: bool
    grace_seconds: float
    reason: str
    cascade: bool
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """What waits for a task's runner: all steering messages, applied ones too, and the cancel order if there is one."""

    steers: tuple[Steer, ...]
    cancel: CancelOrder | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRecord:
    """What a cancel request did in the store.

    `to_interrupt` are the ids of the tasks that some runner must stop (the task itself and, with cascade, its live
    descendants). `was_canceled_before` is True when the task had ended as CANCELED before this request (and not
    through an earlier call with the same request key). `delivered` is as in `Stored`, for turns that had not begun.
    """

    task: Task
    to_interrupt: tuple[str, ...]
    was_canceled_before: bool
    delivered: tuple[Steer, ...] = ()
