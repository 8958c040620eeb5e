"""Reads whole logs."""

from collections.abc import Sequence

from musterd_client import Event, MusterdClient, RestartCause, StepRestarted


async def log_of(client: MusterdClient, task_id: str, *, after_sequence: int = 0) -> list[Event]:
    """Return a task's events to its end."""
    async with client.tasks.watch(task_id, after_sequence=after_sequence) as watch:
        return [event async for event in watch]


def is_dense(log: Sequence[Event]) -> bool:
    """Whether the log counts from 1 without a gap or a repetition."""
    return [event.sequence for event in log] == list(range(1, len(log) + 1))


def restarts_in(log: Sequence[Event]) -> list[tuple[int, RestartCause]]:
    """Return which steps began again, and why."""
    return [(event.step, event.cause) for event in log if isinstance(event, StepRestarted)]
