"""Who may run, and in which order."""

import asyncio

import pytest

from musterd.subagents.slots import AGING_SECONDS, QueueFullError, Slot, Slots
from musterd.subagents.status import TaskPriority


class HandClock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def served(*slots: Slot) -> list[int]:
    """Return the order in which slots get their turn, when each gives it back at once."""
    order: list[int] = []

    async def run(number: int, slot: Slot) -> None:
        await slot.take()
        order.append(number)
        slot.give_back()

    await asyncio.gather(*(run(number, slot) for number, slot in enumerate(slots)))
    return order


async def test_the_urgent_go_first() -> None:
    """S13: priority is real."""
    slots = Slots(max_running=1)
    running = slots.reserve(TaskPriority.NORMAL)
    waiting = [slots.reserve(priority) for priority in TaskPriority]
    running.give_back()
    assert await served(*waiting) == [3, 2, 1, 0]


async def test_nothing_starves() -> None:
    """S13: who waits long enough goes before the more urgent that came later."""
    clock = HandClock()
    slots = Slots(max_running=1, monotonic=clock)
    running = slots.reserve(TaskPriority.NORMAL)
    low = slots.reserve(TaskPriority.LOW)
    clock.now = 3 * AGING_SECONDS - 1
    early = slots.reserve(TaskPriority.CRITICAL)
    clock.now = 3 * AGING_SECONDS + 1
    late = slots.reserve(TaskPriority.CRITICAL)
    running.give_back()
    assert await served(low, early, late) == [1, 0, 2]


async def test_so_many_run_and_so_many_wait() -> None:
    """S13: the limits themselves fit, one more does not."""
    slots = Slots(max_running=2, max_queued=1)
    first, _, waiting = [slots.reserve(TaskPriority.NORMAL) for _ in range(3)]
    with pytest.raises(QueueFullError):
        slots.reserve(TaskPriority.CRITICAL)
    first.give_back()
    first.give_back()
    await waiting.take()
    slots.reserve(TaskPriority.NORMAL)


async def test_who_leaves_the_queue_is_not_served() -> None:
    """S13."""
    slots = Slots(max_running=1, max_queued=1)
    running, gone = slots.reserve(TaskPriority.NORMAL), slots.reserve(TaskPriority.NORMAL)
    gone.give_back()
    after = slots.reserve(TaskPriority.NORMAL)
    running.give_back()
    await after.take()


async def test_who_waits_for_others_lets_them_run() -> None:
    """S13: also while it waits for several things at once."""
    slots = Slots(max_running=1)
    parent = slots.reserve(TaskPriority.NORMAL)
    async with parent.stepping_aside(), parent.stepping_aside():
        child = slots.reserve(TaskPriority.NORMAL)
        await child.take()
        child.give_back()
    other = slots.reserve(TaskPriority.NORMAL)
    taking = asyncio.create_task(other.take())
    await asyncio.sleep(0)
    assert not taking.done()
    parent.give_back()
    await taking


async def test_who_waits_again_lets_its_other_calls_go_on() -> None:
    """S13: of two tool calls of a task, one is back and queues up when the other one begins to wait."""
    slots = Slots(max_running=1)
    parent, other = slots.reserve(TaskPriority.NORMAL), slots.reserve(TaskPriority.CRITICAL)

    async def wait_for_what_has_ended() -> None:
        async with parent.stepping_aside():
            pass

    back = asyncio.create_task(wait_for_what_has_ended())
    await asyncio.sleep(0)
    assert not back.done()

    async def wait_for_what_goes_on() -> None:
        async with parent.stepping_aside():
            await back
            other.give_back()

    await wait_for_what_goes_on()
    parent.give_back()


async def test_who_stops_waiting_by_an_exception_goes_on_at_once() -> None:
    """S13."""
    slots = Slots(max_running=1)
    parent = slots.reserve(TaskPriority.NORMAL)

    async def wait_for_another() -> None:
        async with parent.stepping_aside():
            slots.reserve(TaskPriority.NORMAL)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await wait_for_another()
    waiting = slots.reserve(TaskPriority.NORMAL)
    taking = asyncio.create_task(waiting.take())
    parent.give_back()
    await asyncio.sleep(0)
    assert not taking.done()
    taking.cancel()


@pytest.mark.parametrize("wrong", [(0, 1), (1, 0)])
def test_limits_below_one_are_refused(wrong: tuple[int, int]) -> None:
    """S13."""
    with pytest.raises(ValueError, match="must be 1 or more, it is 0"):
        Slots(*wrong)
