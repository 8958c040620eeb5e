"""How soon a worker that died is started anew, and what a worker learns of the process that started it."""

import asyncio
import socket

from musterd.cli.lifeline import SERVES, Lifeline
from musterd.cli.workers import RESTART_DELAY_MAX_SECONDS, RESTART_DELAY_SECONDS, restart_delay_seconds


def test_each_death_in_a_row_doubles_the_wait_up_to_a_limit() -> None:
    """R3."""
    delays = [restart_delay_seconds(deaths) for deaths in range(1, 9)]
    assert delays[:3] == [RESTART_DELAY_SECONDS, 2 * RESTART_DELAY_SECONDS, 4 * RESTART_DELAY_SECONDS]
    assert delays == sorted(delays)
    assert delays[-1] == restart_delay_seconds(100_000) == RESTART_DELAY_MAX_SECONDS


def test_a_worker_that_did_not_die_is_followed_at_once() -> None:
    """R3."""
    assert restart_delay_seconds(0) == 0


async def test_a_lifeline_tells_both_ends() -> None:
    """R3."""
    ours, theirs = socket.socketpair()
    cut = asyncio.Event()
    with ours:
        lifeline = Lifeline(2, theirs.detach())
        lifeline.on_cut(cut.set)
        lifeline.tell_that_it_serves()
        assert ours.recv(8) == SERVES
        assert not cut.is_set()
    await asyncio.wait_for(cut.wait(), timeout=10)
    lifeline.close()
