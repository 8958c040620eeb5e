"""How a delegated task stands, and how urgent it is."""

from enum import StrEnum


class TaskStatus(StrEnum):
    """Where a delegated task is in its life."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING_FOR_ANSWER = "waiting_for_answer"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_finished(self) -> bool:
        """Whether the task has ended."""
        return self in TERMINAL_STATUSES


TERMINAL_STATUSES = frozenset((TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED))


class TaskPriority(StrEnum):
    """How urgent a delegated task is among those that wait for their turn."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"
