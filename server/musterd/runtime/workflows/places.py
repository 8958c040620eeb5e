"""Where a workflow is: its steps in the turns of its loops, and what was given so far."""

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from musterd.workflows.passing import StepOutput
from musterd.workflows.plan import PlannedStep

KEY_MARK = "#"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A step in one turn of each loop around it, outermost first, and which of its tries it is."""

    planned: PlannedStep
    turns: tuple[int, ...] = ()
    attempt: int = 1

    @property
    def name(self) -> str:
        """The step's name."""
        return self.planned.name

    @property
    def key(self) -> str:
        """What tells it from all others of its workflow. No digit or point follows the last `#` of any other."""
        return f"{self.name}{KEY_MARK}{'.'.join(map(str, (*self.turns, self.attempt)))}"

    @property
    def in_events(self) -> Mapping[str, Any]:
        """How events name it."""
        return {
            "name": self.name,
            "path": self.planned.path,
            "index": self.planned.index,
            "iteration": self.turns[-1] if self.turns else 0,
        }


def turn_count(key: str) -> int:
    """Return how many loops were around the step that a key names."""
    numbers, _, _ = key.rpartition(KEY_MARK)[2].partition(":")
    return numbers.count(".")


@dataclass(slots=True, kw_only=True)
class Track:
    """One strand of a workflow: what its steps can see, and in which turns of loops it is."""

    outputs: ChainMap[str, StepOutput] = field(default_factory=ChainMap[str, StepOutput])
    previous: StepOutput | None = None
    turns: tuple[int, ...] = ()

    def add(self, output: StepOutput) -> None:
        """Note what a step gave. One that was skipped is passed over by the next."""
        self.outputs[output.name] = output
        if not output.is_skipped:
            self.previous = output

    def inside(self, *turns: int) -> "Track":
        """Return the same strand inside a container, in a further turn of a loop when there is one."""
        return Track(outputs=self.outputs, previous=self.previous, turns=(*self.turns, *turns))

    def fork(self) -> "Track":
        """Return a strand that sees what is there, and adds for itself."""
        return Track(outputs=self.outputs.new_child(), previous=self.previous, turns=self.turns)

    def merge(self, other: "Track") -> None:
        """Take over what a fork has added."""
        self.outputs.update(other.outputs.maps[0])

    def seen(self) -> Mapping[str, StepOutput]:
        """Return what steps may see, as it stands."""
        return MappingProxyType(dict(self.outputs))
