"""How long is how long."""

from datetime import UTC, datetime

import pytest

from musterd.store.encoding import to_micros
from musterd.store.retention import Retention

NOW = datetime(2026, 5, 6, 12, tzinfo=UTC)


def test_nothing_is_removed_unless_somebody_says_so() -> None:
    """R3."""
    assert (Retention().log_cutoff(NOW), Retention().task_cutoff(NOW)) == (None, None)


def test_days_count_back_from_now() -> None:
    """R3."""
    kept = Retention(event_days=1, task_days=36_500)
    assert kept.log_cutoff(NOW) == to_micros(datetime(2026, 5, 5, 12, tzinfo=UTC))
    assert kept.task_cutoff(NOW) == to_micros(datetime(1926, 5, 31, 12, tzinfo=UTC))


@pytest.mark.parametrize(("events", "tasks"), [(None, 1), (2, 1)])
def test_a_task_is_not_removed_before_its_log(events: int | None, tasks: int) -> None:
    """R3."""
    with pytest.raises(ValueError, match="before its log"):
        Retention(event_days=events, task_days=tasks)
