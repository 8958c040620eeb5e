"""A lease: renewed in time it goes on, and once it is lost its holder stops and begins under a new name."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
from tests.support.clocks import DrivenClock

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.ports import Store
from musterd.runtime.ownership import Ownership
from musterd.runtime.replicas.lease import Lease

SECONDS = 30.0
THIRD = 10.0
RETRY = 1.5
"""How long a lease waits before it tries again."""


class Registrar:
    """Gives leases as a test says: it counts what is asked, and refuses when it is away or the lease has run out."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.added: list[str] = []
        self.renewed: list[str] = []
        self.ended: list[str] = []
        self.is_away = False
        self.is_silent = False
        self.is_broken = False
        self.has_run_out = False

    async def add_lease(self, owner: str, seconds: float) -> None:
        assert seconds == self._seconds
        self._check()
        self.added.append(owner)
        self.has_run_out = False

    async def renew_lease(self, owner: str, seconds: float) -> bool:
        assert seconds == self._seconds
        self._check()
        if self.is_silent:
            await asyncio.get_running_loop().create_future()
        self.renewed.append(owner)
        return not self.has_run_out

    async def end_lease(self, owner: str) -> None:
        self._check()
        self.ended.append(owner)

    def _check(self) -> None:
        if self.is_broken:
            raise RuntimeError("not foreseen")
        if self.is_away:
            raise MusterdError(reason=Reason.STORE_UNAVAILABLE, message="away")


class World:
    """One lease that is kept, and what came of it."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.registrar = Registrar(seconds)
        self.clock = DrivenClock()
        self.ownership = Ownership()
        self.losses: list[str] = []
        store = cast("Store", self.registrar)
        self.lease = Lease(self.ownership, store=store, clock=self.clock, seconds=seconds)

    def notice_loss(self) -> None:
        assert self.ownership.is_lost
        self.losses.append(self.ownership.owner)

    async def renewal(self) -> None:
        """Let the time of the next renewal come, and return when it is over."""
        await self.clock.sleeping(seconds=THIRD)
        self.clock.advance(THIRD)

    async def retry(self, seconds: float = RETRY) -> None:
        """Let the time of another try come."""
        await self.clock.sleeping(seconds=seconds)
        self.clock.advance(seconds)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    await made.lease.open(made.notice_loss)
    yield made
    await made.lease.close()


async def test_a_lease_is_taken_under_a_name_that_nobody_had(world: World) -> None:
    """R11: not the one that the process had before it had a lease."""
    assert world.registrar.added == [world.ownership.owner]
    other = World()
    await other.lease.open(other.notice_loss)
    await other.lease.close()
    assert other.registrar.added != world.registrar.added


async def test_a_lease_is_renewed_at_each_third_of_its_time(world: World) -> None:
    """R11."""
    owner = world.ownership.owner
    await world.clock.sleeping(seconds=THIRD)
    world.clock.advance(THIRD - 0.1)
    assert world.registrar.renewed == []
    world.clock.advance(0.1)
    for _ in range(5):
        await world.renewal()
    await world.clock.sleeping(seconds=THIRD)
    assert world.registrar.renewed == [owner] * 6
    assert (world.losses, world.ownership.is_lost) == ([], False)


async def test_a_lease_that_the_store_says_is_over_is_lost_once_and_never_revived(world: World) -> None:
    """R11: the process goes on under another name."""
    before = world.ownership.owner
    world.registrar.has_run_out = True
    await world.renewal()
    await world.renewal()
    await world.clock.sleeping(seconds=THIRD)
    after = world.ownership.owner
    assert world.losses == [before]
    assert world.registrar.added == [before, after]
    assert world.registrar.renewed == [before, after]
    assert not world.ownership.is_lost


async def test_a_renewal_that_failed_is_tried_again(world: World) -> None:
    """R11: nothing is lost while there is time."""
    world.registrar.is_away = True
    await world.renewal()
    await world.retry()
    await world.clock.sleeping(seconds=RETRY)
    assert not world.ownership.is_lost
    world.registrar.is_away = False
    await world.retry()
    await world.clock.sleeping(seconds=THIRD)
    assert world.registrar.renewed == [world.ownership.owner]
    assert world.losses == []


async def test_a_lease_that_cannot_be_renewed_is_lost_after_four_fifths_of_its_time(world: World) -> None:
    """R11: before another process may begin; what is left of the time is not waited for twice."""
    owner = world.ownership.owner
    world.registrar.is_away = True
    await world.renewal()
    for _ in range(9):
        await world.retry()
    await world.clock.sleeping(seconds=0.5)
    assert not world.ownership.is_lost
    world.clock.advance(0.5)
    # From then on it asks for another lease.
    await world.clock.sleeping(seconds=RETRY)
    assert (world.losses, world.ownership.is_lost) == ([owner], True)
    with pytest.raises(MusterdError) as refused:
        world.ownership.check()
    assert refused.value.reason is Reason.STORE_UNAVAILABLE


async def test_a_lease_outlives_what_nobody_foresaw(world: World) -> None:
    """R11: else a process would go on to claim under a name that is dead for all others."""
    before = world.ownership.owner
    world.registrar.is_broken = True
    await world.renewal()
    await world.clock.sleeping(seconds=RETRY)
    assert world.losses == []
    world.clock.advance(SECONDS)
    await world.clock.sleeping(seconds=RETRY)
    assert (world.losses, world.ownership.is_lost) == ([before], True)
    world.registrar.is_broken = False
    await world.retry()
    await world.clock.sleeping(seconds=THIRD)
    assert world.registrar.added == [before, world.ownership.owner]
    world.ownership.check()


async def test_a_store_that_is_back_too_late_gives_a_new_name(world: World) -> None:
    """R11: though it would have renewed the old one."""
    before = world.ownership.owner
    world.registrar.is_away = True
    await world.clock.sleeping(seconds=THIRD)
    # The process was stopped for longer than it may work.
    world.clock.advance(0.8 * SECONDS)
    await world.clock.sleeping(seconds=RETRY)
    assert world.losses == [before]
    world.registrar.is_away = False
    await world.retry()
    await world.clock.sleeping(seconds=THIRD)
    assert world.registrar.renewed == []
    assert world.registrar.added == [before, world.ownership.owner]
    assert world.ownership.owner != before
    world.ownership.check()
    assert world.losses == [before]


async def test_a_store_that_never_answers_costs_the_lease_as_well() -> None:
    """R11: the call is given up in time."""
    world = World(seconds=0.03)
    world.registrar.is_silent = True
    await world.lease.open(world.notice_loss)
    await world.clock.sleeping(seconds=0.01)
    world.clock.advance(0.01)
    await world.clock.sleeping(seconds=0.03 * 0.05)
    assert world.losses == []
    world.clock.advance(0.02)
    await world.clock.sleeping(seconds=0.01)
    assert len(world.losses) == 1
    await world.lease.close()


async def test_a_lease_that_is_let_go_is_ended(world: World) -> None:
    """R11: what the process left is free at once."""
    await world.lease.close()
    assert world.registrar.ended == [world.ownership.owner]


async def test_a_lost_lease_is_not_ended_again() -> None:
    """R11: a process goes down though its store is away."""
    world = World()
    await world.lease.open(world.notice_loss)
    world.registrar.is_away = True
    await world.clock.sleeping(seconds=THIRD)
    world.clock.advance(SECONDS)
    await world.clock.sleeping(seconds=RETRY)
    await world.lease.close()
    assert world.registrar.ended == []


async def test_a_store_that_is_away_at_the_start_gives_no_lease() -> None:
    """R11."""
    world = World()
    world.registrar.is_away = True
    with pytest.raises(MusterdError) as refused:
        await world.lease.open(world.notice_loss)
    assert refused.value.reason is Reason.STORE_UNAVAILABLE
