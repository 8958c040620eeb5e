"""How many tasks run here: counts slots against the caps, and gives back those of tasks that wait for others."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from musterd.domain.queueing import Caps, Group


class Notes(Protocol):
    """Where it is noted for other processes, whose tasks share a cap, whether a task holds a slot."""

    def note_waiting(self, *, is_waiting: bool) -> None:
        """Note, soon, whether the task waits for others."""
        ...


@dataclass(slots=True, eq=False)
class Slot:
    """A task's right to run. `waits` counts the tool calls of it that wait for others."""

    groups: Sequence[tuple[Group, int]] = ()
    is_held: bool = False
    waits: int = 0
    notes: Notes | None = field(default=None, repr=False)
    turn: asyncio.Future[None] | None = field(default=None, repr=False)


class Slots:
    """The slots of this process. `on_release` is called whenever one was given back.

    A task that waits for its children or for an answer gives its slot back, else waiting parents could keep their own
    children from running for ever. When it goes on it comes before all that has not started yet, and asks no
    other process: if those have filled its groups meanwhile, it goes on above their caps.
    """

    def __init__(self, caps: Caps, on_release: Callable[[], None] = lambda: None) -> None:
        self.caps = caps
        self._on_release = on_release
        self.held_count = 0
        self._held: Counter[Group] = Counter()
        self._resuming: deque[Slot] = deque()
        self._is_choosing = False

    @property
    def free_count(self) -> int:
        """How many more tasks may run, as far as the cap of the server goes."""
        # Who waits to go on while there is room waits for a cap of its group, and takes nothing from other groups.
        return max(0, self.caps.in_all - self.held_count)

    def held_by_group(self) -> Mapping[Group, int]:
        """Return how many slots each group holds now, of those that have a cap."""
        return dict(self._held)

    def slot_of(self, tenant_id: str, user_id: str, root_task_id: str) -> Slot:
        """Return a slot for a task, not held yet."""
        return Slot(self.caps.of(tenant_id, user_id, root_task_id))

    def try_take(self, slot: Slot) -> bool:
        """Take a slot if there is room."""
        if self._is_choosing or not self._has_room(slot):
            return False
        self._take(slot)
        return True

    @contextmanager
    def choosing(self) -> Generator[int]:
        """Give the number of free slots, of which only `take` takes inside: so what is chosen keeps to the caps."""
        self._is_choosing = True
        try:
            yield self.free_count
        finally:
            self._is_choosing = False
            self._resume_others()

    def take(self, slot: Slot) -> None:
        """Take a slot for a task that was claimed: the claim kept to the caps."""
        self._take(slot)

    def release(self, slot: Slot) -> None:
        """Give a slot back, if it is held. Whoever waits to go on gets it."""
        if not slot.is_held:
            return
        slot.is_held = False
        self.held_count -= 1
        for group, _ in slot.groups:
            self._held[group] -= 1
            if not self._held[group]:
                del self._held[group]
        self._resume_others()
        self._on_release()

    def set_aside(self, slot: Slot) -> None:
        """Give the slot of a task back that only waits for others from now on."""
        self._note(slot, is_waiting=True)
        self.release(slot)

    @asynccontextmanager
    async def waiting(self, slot: Slot) -> AsyncGenerator[None]:
        """Hold no slot inside. The last of several waits of one task takes it back, and waits for its turn."""
        slot.waits += 1
        # A call of the same task that has waited, and now waits for its turn, goes on without: the task waits again.
        self._end_turn(slot)
        self.set_aside(slot)
        try:
            yield
        except BaseException:
            slot.waits -= 1
            self._take_at_once(slot)
            raise
        slot.waits -= 1
        await self._take_back(slot)

    async def _take_back(self, slot: Slot) -> None:
        if slot.waits or slot.is_held or self.try_take(slot):
            return
        turn = slot.turn = asyncio.get_running_loop().create_future()
        self._resuming.append(slot)
        try:
            await turn
        except asyncio.CancelledError:
            if slot.turn is turn:
                self._end_turn(slot)
            self._take_at_once(slot)
            raise

    def _take_at_once(self, slot: Slot) -> None:
        """Take a slot, even above the caps: what is canceled or has failed must not wait for a slot in which to end."""
        if not slot.waits and not slot.is_held:
            self._take(slot)

    def _resume_others(self) -> None:
        for slot in list(self._resuming):
            if self._is_choosing or self.held_count >= self.caps.in_all:
                return
            if self._has_room(slot):
                self._take(slot)
                self._end_turn(slot)

    def _end_turn(self, slot: Slot) -> None:
        """Let whoever waits for its turn go on."""
        if slot.turn is None:
            return
        self._resuming.remove(slot)
        if not slot.turn.done():
            slot.turn.set_result(None)
        slot.turn = None

    def _has_room(self, slot: Slot) -> bool:
        return self.held_count < self.caps.in_all and all(self._held[group] < cap for group, cap in slot.groups)

    def _note(self, slot: Slot, *, is_waiting: bool) -> None:
        if slot.groups and slot.notes is not None:
            slot.notes.note_waiting(is_waiting=is_waiting)

    def _take(self, slot: Slot) -> None:
        self._note(slot, is_waiting=False)
        slot.is_held = True
        self.held_count += 1
        for group, _ in slot.groups:
            self._held[group] += 1
