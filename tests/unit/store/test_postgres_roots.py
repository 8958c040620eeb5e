"""Which tree a task is in, as a process remembers it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest
from tests.contract.values import make_deltas

from musterd.domain.event import Event
from musterd.domain.task import ComponentKind, ComponentRef
from musterd.store.postgres import roots
from musterd.store.postgres.roots import Roots

if TYPE_CHECKING:
    import asyncpg

AGENT = ComponentRef(kind=ComponentKind.AGENT, id="agent")


class SlowPool:
    """Answers when a test lets it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answered = asyncio.Event()

    async def fetch(self, _query: str, task_ids: Sequence[str]) -> Sequence[dict[str, str]]:
        self.asked.set()
        await self.answered.wait()
        return [{"task_id": task_id, "root_task_id": f"root of {task_id}"} for task_id in task_ids]


async def test_what_is_forgotten_during_a_look_is_not_left_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """R3, R11: a write whose tree is not locked counts as lost, and would end a run that no other process has."""
    known, pool = Roots(), SlowPool()
    (payload,) = make_deltas(1)
    known.learn([Event("root", "child", 1, datetime.now(UTC), AGENT, payload)])
    looking = asyncio.create_task(known.of(["child", "new"], cast("asyncpg.Pool[asyncpg.Record]", pool)))
    await pool.asked.wait()
    monkeypatch.setattr(roots, "KNOWN_TASKS_MAX", 0)
    known.learn(())
    pool.answered.set()
    assert await looking == {"root", "root of new"}
