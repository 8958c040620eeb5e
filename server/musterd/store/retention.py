"""How long logs and tasks are kept, the same in every adapter."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from musterd.store.encoding import to_micros

BATCH_ROWS = 500
"""Most rows that a statement removes: it is short, and what runs writes before the next one."""

MICROS_PER_DAY = 24 * 60 * 60 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """For how many days a log, and a task, are kept after the last task of their tree has ended. None is for ever.

    Raises ValueError when a task would be removed before its log.
    """

    event_days: int | None = None
    task_days: int | None = None

    def __post_init__(self) -> None:
        if self.task_days is not None and (self.event_days is None or self.task_days < self.event_days):
            raise ValueError("a task cannot be removed before its log")

    def log_cutoff(self, now: datetime) -> int | None:
        """Return the time of whose trees, and of older ones, the logs go; None when none do."""
        return _before(now, self.event_days)

    def task_cutoff(self, now: datetime) -> int | None:
        """Return the time of whose trees, and of older ones, the tasks go; None when none do."""
        return _before(now, self.task_days)


def _before(now: datetime, days: int | None) -> int | None:
    return None if days is None else to_micros(now - timedelta(days=days))
