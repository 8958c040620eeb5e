"""What waits together goes together, and never before the first of it has waited for long enough."""

import asyncio
from collections.abc import Collection

from musterd.runtime.feed.gathering import Gathering


class Gone:
    """Notes what goes, group by group."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.came = asyncio.Event()

    def __call__(self, things: Collection[str]) -> None:
        self.groups.append(list(things))
        self.came.set()


async def test_all_go_once_the_first_has_waited_for_long_enough() -> None:
    """R3."""
    gone = Gone()
    gathering = Gathering[str](gone)
    gathering.add("first", 0.0)
    gathering.add("second", 3_600.0)
    await gone.came.wait()
    assert gone.groups == [["first", "second"]]


async def test_what_left_does_not_shorten_the_wait_of_what_comes_later() -> None:
    """R3."""
    gone = Gone()
    gathering = Gathering[str](gone)
    gathering.add("left", 0.0)
    gathering.discard("left")
    gathering.add("later", 3_600.0)
    timer_of_the_first_would_have_rung = asyncio.Event()
    asyncio.get_running_loop().call_later(0.0, timer_of_the_first_would_have_rung.set)
    await timer_of_the_first_would_have_rung.wait()
    assert gone.groups == []
    gathering.release()
    assert gone.groups == [["later"]]
