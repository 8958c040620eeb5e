"""What the processes on one store tell each other, as a port."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class SignalKind(StrEnum):
    """What a signal is about. All are hints: who misses one finds out by looking, a moment later."""

    CHANGED = "changed"
    """Something happened in a task or a tree that somebody watches."""

    ORDERS = "orders"
    """Something waits for the runner of a task: a message, an order to cancel, an answer."""

    QUEUED = "queued"
    """A task came into the queue, or may leave it."""

    WATCHED = "watched"
    """Somebody watches a task or a tree for a while."""

    MISSED = "missed"
    """Signals may have been lost: look at everything."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A hint to the other processes. `key` is the id of a task, or of the root of a tree; empty for no certain one."""

    kind: SignalKind
    key: str = ""


class Bus(Protocol):
    """Carries signals to the other processes, soon and most of the time."""

    async def open(self, on_signal: Callable[[Signal], None]) -> None:
        """Begin to listen. `on_signal` is called on the event loop with the signals of the others, not with our own."""
        ...

    async def close(self) -> None:
        """Stop to listen; what was sent may be lost."""
        ...

    def send(self, signal: Signal) -> None:
        """Tell the others, soon. The same signal sent several times before it leaves is sent once."""
        ...
