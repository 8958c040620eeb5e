"""Opening and closing."""

import asyncio

import pytest
from tests.contract.incarnations import Restart
from tests.contract.values import ANNA, make_deltas, make_root, read_log, say, start

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.ports import Store, Stored


class LifecycleContract:
    """What `open`, `close` and `now` promise."""

    async def test_closing_finishes_what_was_handed_in(self, store: Store, restart: Restart) -> None:
        """R3."""
        task = await start(store)
        writes = [asyncio.ensure_future(store.write([say(task, *make_deltas(1))])) for _ in range(20)]
        reads = [asyncio.ensure_future(store.get_task(ANNA, task.task_id)) for _ in range(20)]
        # One turn of the loop, in which they are handed in.
        await asyncio.sleep(0)
        reopened = await restart()
        results = await asyncio.gather(*writes)
        assert all(isinstance(stored, Stored) for (stored,) in results)
        assert {read.task_id for read in await asyncio.gather(*reads)} == {task.task_id}
        assert len(await read_log(reopened, task)) == 21

    async def test_a_caller_that_stops_waiting_disturbs_no_other(self, store: Store) -> None:
        """R3."""
        task = await start(store)
        writes = [asyncio.ensure_future(store.write([say(task, *make_deltas(1))])) for _ in range(3)]
        await asyncio.sleep(0)
        writes[1].cancel()
        await asyncio.wait(writes)
        assert writes[1].cancelled()
        assert len(await read_log(store, task)) == 4

    async def test_a_closed_store_is_unavailable(self, store: Store) -> None:
        """R1."""
        await store.close()
        await store.close()
        for call in (store.create_task(make_root()), store.get_task(ANNA, "any")):
            with pytest.raises(MusterdError) as refused:
                await call
            assert refused.value.reason is Reason.STORE_UNAVAILABLE

    async def test_time_goes_forward_and_is_utc(self, store: Store) -> None:
        """R11."""
        first, second = await store.now(), await store.now()
        assert first <= second
        assert str(first.tzinfo) == "UTC"
