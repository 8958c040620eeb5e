"""Hooks in the background as a client sees them."""

import asyncio
from collections.abc import Sequence

from tests.support.followers import GUARD_SECONDS

from musterd_client import Event, HookCompleted, HookFailed, HookRun, HookRunState, HookStarted, MusterdClient

OVER = frozenset((HookRunState.COMPLETED, HookRunState.DEAD))

HookEvent = HookStarted | HookCompleted | HookFailed


async def settled(client: MusterdClient, task_id: str = "", *, count: int = 1) -> dict[str, HookRun]:
    """Return the hook runs of a task, or of all, by their names, once so many are there and all are over."""
    async with asyncio.timeout(GUARD_SECONDS):
        while True:
            found = [run async for run in client.hooks.list(task_id=task_id)]
            if len(found) >= count and all(run.state in OVER for run in found):
                return {run.name: run for run in found}


async def logged(client: MusterdClient, task_id: str) -> list[Event]:
    """Return all that the log has of a task that is over."""
    return [event async for event in client.tasks.watch(task_id)]


def told(events: Sequence[Event]) -> list[str]:
    """Return what events say of hooks: `started`, `completed` or `failed`, and the name."""
    return [f"{event.kind.removeprefix('hook_')} {event.name}" for event in events if isinstance(event, HookEvent)]
