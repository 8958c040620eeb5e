"""When calls go to a thread of the store."""

import asyncio
from collections.abc import Sequence

import pytest

from musterd.domain.event import Event
from musterd.store.sqlite.worker import GATHERING_SECONDS, LOOK_EVERY, Job, Worker, wait_seconds


@pytest.mark.parametrize(
    ("lag_seconds", "seconds"), [(0, 0), (0.000_4, 0), (0.000_5, 0.002), (0.001, 0.004), (0.002_5, 0.01), (1, 0.01)]
)
def test_calls_gather_for_longer_the_busier_the_loop_is(lag_seconds: float, seconds: float) -> None:
    """R3."""
    assert wait_seconds(lag_seconds) == pytest.approx(seconds)


class _Thread:
    """A worker whose batches are counted, on a loop whose time is driven."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batch_sizes: list[int] = []
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: self.now)
        self.worker = Worker[None]("worker", self._process, lambda _: None)

    def _process(self, jobs: Sequence[Job[None]]) -> Sequence[Event]:
        self.batch_sizes.append(len(jobs))
        for job in jobs:
            job.result = job.call(None)
        return ()


async def test_on_a_busy_loop_the_calls_of_several_turns_are_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """R3."""
    thread = _Thread(monkeypatch)
    first = thread.worker.submit(lambda _: 1)
    # What else is to be done in this turn takes so long.
    thread.now += 0.001
    await asyncio.sleep(0)
    second = thread.worker.submit(lambda _: 2)
    await asyncio.sleep(0)
    thread.now += 0.004
    assert await asyncio.gather(first, second) == [1, 2]
    assert thread.batch_sizes == [2]
    await thread.worker.close()


async def test_on_a_loop_with_little_to_do_a_call_does_not_wait_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """R3."""
    thread = _Thread(monkeypatch)
    assert await thread.worker.submit(lambda _: 1) == 1
    assert await thread.worker.submit(lambda _: 2) == 2
    assert thread.batch_sizes == [1, 1]
    await thread.worker.close()


async def test_what_is_being_gathered_is_done_before_the_thread_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """R3."""
    thread = _Thread(monkeypatch)
    call = thread.worker.submit(lambda _: 1)
    thread.now += 0.001
    await asyncio.sleep(0)
    await thread.worker.close()
    assert call.result() == 1


async def test_calls_wait_for_as_many_as_came_together_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """R3: that is found out now and then, and forgotten when fewer come."""
    thread = _Thread(monkeypatch)
    for _ in range(LOOK_EVERY - 1):
        await thread.worker.submit(lambda _: None)
    looking = [thread.worker.submit(lambda _: None)]
    await asyncio.sleep(0)
    looking += [thread.worker.submit(lambda _: None) for _ in range(2)]
    thread.now += GATHERING_SECONDS
    await asyncio.gather(*looking)
    assert thread.batch_sizes[-2:] == [1, 3]
    three = [thread.worker.submit(lambda _: None)]
    await asyncio.sleep(0)
    three.append(thread.worker.submit(lambda _: None))
    await asyncio.sleep(0)
    assert thread.batch_sizes[-1] == 3
    assert len(thread.batch_sizes) == LOOK_EVERY
    three.append(thread.worker.submit(lambda _: None))
    await asyncio.gather(*three)
    alone = thread.worker.submit(lambda _: None)
    await asyncio.sleep(0)
    thread.now += GATHERING_SECONDS
    await alone
    await thread.worker.submit(lambda _: None)
    assert thread.batch_sizes[LOOK_EVERY:] == [3, 1, 1]
    await thread.worker.close()


async def test_what_waits_for_others_is_done_when_the_thread_is_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """R3."""
    thread = _Thread(monkeypatch)
    for _ in range(LOOK_EVERY - 1):
        await thread.worker.submit(lambda _: None)
    last = thread.worker.submit(lambda _: "done")
    await asyncio.sleep(0)
    await thread.worker.close()
    assert await last == "done"
