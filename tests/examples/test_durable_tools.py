"""examples/durable_tools.py: the server stops in the middle of a tool, and starts again on the same database."""

import asyncio
from pathlib import Path

import pytest
from examples.durable_tools import make_app

from musterd.testing import serve
from musterd_client import TaskFailedError


class GatedShop:
    """A shop whose named operation never returns, but tells when it has begun."""

    def __init__(self, stuck_in: str = "") -> None:
        self.calls: list[str] = []
        self.is_stuck = asyncio.Event()
        self._stuck_in = stuck_in

    async def count(self, item: str) -> int:
        await self._enter("count")
        return 4

    async def take_payment(self, user_id: str, cents: int) -> str:
        await self._enter("take_payment")
        return f"receipt for {user_id}"

    async def _enter(self, name: str) -> None:
        self.calls.append(name)
        if name == self._stuck_in:
            self.is_stuck.set()
            await asyncio.Event().wait()


async def start_and_stop_in(stuck_in: str, folder: Path) -> tuple[GatedShop, str]:
    """Start a run, and stop the server once its tool hangs and the other one has told its result."""
    shop = GatedShop(stuck_in)
    async with serve(make_app(shop), folder=folder) as client:
        async with client.run_agent("cashier", "One umbrella.", user_id="ada") as run:
            async for event in run:
                if event.kind == "tool_call_completed":
                    break
        await shop.is_stuck.wait()
    return shop, run.task.task_id


async def test_a_repeatable_tool_runs_again_after_a_restart(tmp_path: Path) -> None:
    """R3: what had finished is not done twice."""
    first, task_id = await start_and_stop_in("count", tmp_path)
    second = GatedShop()
    async with serve(make_app(second), folder=tmp_path) as client:
        async with client.tasks.watch(task_id) as watch:
            result = await watch.result()
        task = await client.tasks.status(task_id)

    assert sorted(first.calls) == ["count", "take_payment"]
    assert second.calls == ["count"]
    assert '"charge":"receipt for ada"' in result.text
    assert task.attempt == 2


async def test_a_tool_that_may_not_be_repeated_loses_its_task(tmp_path: Path) -> None:
    """R3."""
    first, task_id = await start_and_stop_in("take_payment", tmp_path)
    second = GatedShop()
    async with serve(make_app(second), folder=tmp_path) as client, client.tasks.watch(task_id) as watch:
        with pytest.raises(TaskFailedError) as failure:
            await watch.result()

    assert sorted(first.calls) == ["count", "take_payment"]
    assert second.calls == []
    assert (failure.value.reason, failure.value.error.cause) == ("TASK_LOST", "TOOL_NOT_REPEATABLE")
