"""Slots: the caps hold whatever happens, who waits to go on comes first, and nothing is lost."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musterd.domain.queueing import Caps, Group
from musterd.runtime.admission import Slot, Slots

CAPS = Caps(in_all=3, per_tenant=2, per_user=2, per_tree=2)
OWNERS = [("acme", "anna", "a"), ("acme", "bert", "b"), ("umbrella", "anna", "c"), ("umbrella", "anna", "d")]


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(6):
        await asyncio.sleep(0)


@dataclass
class Call:
    """A tool call that waits for others until `over`, and is done once its task may go on."""

    over: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @classmethod
    def begin(cls, slots: Slots, slot: Slot) -> "Call":
        call = cls()
        call.task = asyncio.create_task(call.wait(slots, slot))
        return call

    async def wait(self, slots: Slots, slot: Slot) -> None:
        async with slots.waiting(slot):
            await self.over.wait()

    @property
    def is_done(self) -> bool:
        assert self.task is not None
        return self.task.done()

    async def cancel(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@dataclass
class Note:
    """What was noted for other processes last."""

    is_waiting: bool = False

    def note_waiting(self, *, is_waiting: bool) -> None:
        self.is_waiting = is_waiting


@dataclass
class Runner:
    """A task that holds a slot, with the tool calls of it that wait."""

    slot: Slot
    note: Note = field(default_factory=Note)
    calls: list[Call] = field(default_factory=list[Call])
    is_overdrawn: bool = False

    def __post_init__(self) -> None:
        self.slot.notes = self.note


class Model:
    """Does to slots what tasks do, and checks after each step what must always be true."""

    def __init__(self) -> None:
        self.releases = 0
        self.slots = Slots(CAPS, self.note_release)
        self.runners: list[Runner] = []

    def note_release(self) -> None:
        self.releases += 1

    def start(self, number: int) -> None:
        slot = self.slots.slot_of(*OWNERS[number % len(OWNERS)])
        if self.slots.try_take(slot):
            self.runners.append(Runner(slot))

    def claim(self, number: int) -> None:
        with self.slots.choosing() as free:
            running = Counter(self.slots.held_by_group())
            for turn in range(free):
                slot = self.slots.slot_of(*OWNERS[(number + turn) % len(OWNERS)])
                assert not self.slots.try_take(slot)
                if all(running[group] < cap for group, cap in slot.groups):
                    running.update(group for group, _ in slot.groups)
                    self.slots.take(slot)
                    self.runners.append(Runner(slot))

    def wait(self, number: int) -> None:
        if self.runners:
            runner = self.runners[number % len(self.runners)]
            runner.calls.append(Call.begin(self.slots, runner.slot))

    def go_on(self, number: int) -> None:
        calls = [call for runner in self.runners for call in runner.calls]
        if calls:
            calls[number % len(calls)].over.set()

    async def cancel(self, number: int) -> None:
        calls = [(runner, call) for runner in self.runners for call in runner.calls if not call.is_done]
        if calls:
            runner, call = calls[number % len(calls)]
            await call.cancel()
            runner.is_overdrawn = True

    async def end(self, number: int) -> None:
        if self.runners:
            runner = self.runners.pop(number % len(self.runners))
            for call in runner.calls:
                await call.cancel()
            self.slots.release(runner.slot)
            self.slots.release(runner.slot)

    def check(self) -> None:
        held = [runner for runner in self.runners if runner.slot.is_held]
        groups: Counter[Group] = Counter(group for runner in held for group, _ in runner.slot.groups)
        assert self.slots.held_count == len(held)
        assert self.slots.held_by_group() == groups
        within: Counter[Group] = Counter()
        for runner in held:
            if not runner.is_overdrawn:
                within.update((*(group for group, _ in runner.slot.groups), ("all",)))
        assert within["all",] <= CAPS.in_all
        for runner in self.runners:
            assert all(within[group] <= cap for group, cap in runner.slot.groups)
            has_room = len(held) < CAPS.in_all and all(groups[group] < cap for group, cap in runner.slot.groups)
            live = [call for call in runner.calls if not call.is_done]
            wants_to_go_on = bool(live) and all(call.over.is_set() for call in live)
            # Whoever waits to go on has its turn as soon as there is room, and holds nothing before.
            assert not (wants_to_go_on and has_room and not runner.slot.is_held)
            assert runner.slot.is_held == (not live)
            # Other processes are told the same.
            assert runner.note.is_waiting == (not runner.slot.is_held)


STEPS = st.tuples(st.sampled_from(["start", "claim", "wait", "go_on", "cancel", "end"]), st.integers(0, 20))


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(STEPS, max_size=40))
async def test_the_caps_hold_whatever_happens_and_nothing_is_lost(steps: list[tuple[str, int]]) -> None:
    """R9: what is canceled may hold a slot above the caps, for it cannot wait; nothing else does."""
    model = Model()
    for name, number in steps:
        result = getattr(model, name)(number)
        if result is not None:
            await result
        await settle()
        model.check()
    while model.runners:
        await model.end(0)
    assert (model.slots.held_count, model.slots.free_count) == (0, CAPS.in_all)
    assert model.slots.held_by_group() == {}


@pytest.mark.parametrize(
    ("caps", "others"),
    [
        (Caps(in_all=2), ("umbrella", "cleo", "x")),
        (Caps(in_all=9, per_tenant=2), ("acme", "cleo", "x")),
        (Caps(in_all=9, per_user=2), ("acme", "anna", "x")),
        (Caps(in_all=9, per_tree=2), ("umbrella", "cleo", "a")),
    ],
)
def test_each_cap_lets_its_last_one_in_and_no_more(caps: Caps, others: tuple[str, str, str]) -> None:
    """R9."""
    slots = Slots(caps)
    first, second, third = (
        slots.slot_of("acme", "anna", "a"),
        slots.slot_of("acme", "anna", "a"),
        slots.slot_of(*others),
    )
    assert slots.try_take(first)
    assert slots.try_take(second)
    assert not slots.try_take(third)
    slots.release(first)
    assert slots.try_take(third)


def test_a_full_tenant_and_user_leave_room_for_others() -> None:
    """R9: a user's name counts within its tenant."""
    slots = Slots(Caps(in_all=9, per_tenant=2, per_user=1))
    assert slots.try_take(slots.slot_of("acme", "anna", "a"))
    assert not slots.try_take(slots.slot_of("acme", "anna", "b"))
    assert slots.try_take(slots.slot_of("acme", "bert", "c"))
    assert not slots.try_take(slots.slot_of("acme", "cleo", "d"))
    assert slots.try_take(slots.slot_of("umbrella", "anna", "e"))


async def test_who_waits_to_go_on_comes_before_all_that_is_new() -> None:
    """R9."""
    slots = Slots(Caps(in_all=1))
    parent, child = slots.slot_of("acme", "anna", "a"), slots.slot_of("acme", "anna", "a")
    assert slots.try_take(parent)
    call = Call.begin(slots, parent)
    await settle()
    assert slots.try_take(child)
    call.over.set()
    await settle()
    assert not call.is_done
    slots.release(child)
    assert not slots.try_take(slots.slot_of("umbrella", "bert", "b"))
    await settle()
    assert call.is_done
    assert parent.is_held


async def test_who_waits_for_a_cap_of_its_group_takes_no_room_from_others() -> None:
    """R9: one full tenant does not block another."""
    slots = Slots(Caps(in_all=2, per_tenant=1))
    parent, child = slots.slot_of("acme", "anna", "a"), slots.slot_of("acme", "anna", "a")
    slots.take(parent)
    call = Call.begin(slots, parent)
    await settle()
    slots.take(child)
    call.over.set()
    await settle()
    assert not call.is_done
    assert slots.try_take(slots.slot_of("umbrella", "bert", "b"))
    await call.cancel()


async def test_the_task_goes_on_with_a_slot_when_its_wait_ends_with_an_error() -> None:
    """R9: it did not once, and more ran than the cap allows."""
    slots = Slots(Caps(in_all=1))
    slot = slots.slot_of("acme", "anna", "a")
    slots.take(slot)

    async def time_out() -> None:
        async with slots.waiting(slot):
            raise TimeoutError

    with pytest.raises(TimeoutError):
        await time_out()
    assert slot.is_held
    assert slots.free_count == 0


async def test_a_task_that_waits_again_before_its_turn_came_holds_no_slot() -> None:
    """R9: its second wait is for a child, which may need that very slot."""
    slots = Slots(Caps(in_all=1))
    parent, other, child = (slots.slot_of("acme", "anna", "a") for _ in range(3))
    slots.take(parent)
    first = Call.begin(slots, parent)
    await settle()
    slots.take(other)
    first.over.set()
    await settle()
    second = Call.begin(slots, parent)
    await settle()
    assert first.is_done
    slots.release(other)
    assert slots.try_take(child)
    second.over.set()
    await settle()
    assert not second.is_done
    slots.release(child)
    await settle()
    assert second.is_done
    assert parent.is_held
    assert slots.held_count == 1


async def test_nobody_takes_a_slot_while_the_queue_is_looked_through() -> None:
    """R9: else what was claimed would be more than the caps allow."""
    slots = Slots(Caps(in_all=2))
    parent = slots.slot_of("acme", "anna", "a")
    slots.take(parent)
    call = Call.begin(slots, parent)
    await settle()
    with slots.choosing() as free:
        assert free == 2
        call.over.set()
        await settle()
        assert not call.is_done
        assert not slots.try_take(slots.slot_of("acme", "bert", "b"))
        slots.take(slots.slot_of("acme", "cleo", "c"))
    await settle()
    assert call.is_done
    assert slots.held_count == 2


async def test_a_canceled_wait_leaves_no_trace() -> None:
    """R9, R5."""
    released = 0

    def note() -> None:
        nonlocal released
        released += 1

    slots = Slots(Caps(in_all=1), note)
    parent, child = slots.slot_of("acme", "anna", "a"), slots.slot_of("acme", "anna", "a")
    slots.take(parent)
    call = Call.begin(slots, parent)
    await settle()
    slots.take(child)
    call.over.set()
    await settle()
    await call.cancel()
    slots.release(parent)
    slots.release(child)
    assert released == 3
    assert (slots.held_count, slots.free_count, slots.held_by_group()) == (0, 1, {})
    assert slots.try_take(slots.slot_of("acme", "bert", "b"))


async def test_what_only_waits_from_now_on_is_noted_and_makes_room() -> None:
    """R9, S13: a task without a cap has nobody to note it for."""
    slots = Slots(CAPS)
    slot, note = slots.slot_of("acme", "anna", "a"), Note()
    slot.notes = note
    slots.take(slot)
    slots.set_aside(slot)
    assert note.is_waiting
    assert slots.held_count == 0
    uncapped, unnoted = Slots(Caps(in_all=1)), Note()
    alone = uncapped.slot_of("acme", "anna", "a")
    alone.notes = unnoted
    uncapped.take(alone)
    uncapped.set_aside(alone)
    assert not unnoted.is_waiting
    assert uncapped.free_count == 1
