"""The steps of a workflow with their places in it: what runs, is listed, and is told in events."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from musterd.workflows.checking import outputs_of_template
from musterd.workflows.steps import Container, Loop, Step, StepKind

MAX_STEPS = 1_000
"""How many steps and containers a workflow may have, without those of workflows in it."""

MAX_DEPTH = 32
"""How deep steps may be nested, workflows in workflows counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """A step or a container in its place, and how many loops are around it.

    `path` names what it is in, outermost first, and itself last.
    """

    name: str
    path: tuple[str, ...]
    index: int
    loop_count: int
    source: Step | Container
    steps: tuple["PlannedStep", ...] = ()
    else_steps: tuple["PlannedStep", ...] = ()

    @property
    def kind(self) -> StepKind:
        """What it is."""
        return self.source.kind

    @property
    def max_iterations(self) -> int:
        """How often a loop turns at most; 0 for everything else."""
        return self.source.max_iterations if isinstance(self.source, Loop) else 0

    def all(self) -> Iterator["PlannedStep"]:
        """Go through this and all inside it."""
        yield self
        for each in (*self.steps, *self.else_steps):
            yield from each.all()


def plan_of(workflow: str, steps: Sequence[Step | Container]) -> tuple[PlannedStep, ...]:
    """Return the steps of a workflow with their places and names.

    Raises ValueError when two have the same name, there are too many, they are nested too deep, or a prompt has the
    output of a step that there is not.
    """
    every = list(_all(workflow, steps, 1))
    if len(every) > MAX_STEPS:
        raise ValueError(f"workflow {workflow!r} has {len(every)} steps; at most {MAX_STEPS} are allowed")
    counted = Counter(each.name for each in every if each.name is not None)
    for name, count in counted.items():
        if count > 1:
            raise ValueError(f"workflow {workflow!r} has two steps {name!r}: their names must differ")
    names = _Names(set(counted))
    plan = names.placed(steps, (), 0)
    _check_prompts(workflow, [each for planned in plan for each in planned.all()])
    return plan


def _check_prompts(workflow: str, every: Sequence[PlannedStep]) -> None:
    names = {each.name for each in every}
    for each in every:
        if not isinstance(each.source, Step) or not isinstance(each.source.prompt, str):
            continue
        for name in outputs_of_template(each.source.prompt):
            if name not in names:
                raise ValueError(
                    f"workflow {workflow!r}: the prompt of the step {each.name!r} has {{outputs[{name}]}}, but there "
                    f"is no step {name!r}"
                )


def _all(workflow: str, steps: Sequence[Step | Container], depth: int) -> Iterator[Step | Container]:
    if depth > MAX_DEPTH:
        raise ValueError(f"workflow {workflow!r}: steps are nested deeper than {MAX_DEPTH} levels")
    for each in steps:
        yield each
        if isinstance(each, Container):
            yield from _all(workflow, (*each.steps, *each.else_steps), depth + 1)


class _Names:
    """Gives those containers a name that have none, in the order of the workflow."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken

    def placed(
        self, steps: Sequence[Step | Container], above: tuple[str, ...], loop_count: int
    ) -> tuple[PlannedStep, ...]:
        return tuple(self._place(index, each, above, loop_count) for index, each in enumerate(steps))

    def _place(self, index: int, source: Step | Container, above: tuple[str, ...], loop_count: int) -> PlannedStep:
        name = source.name or self._free(source.kind.value)
        path = (*above, name)
        if isinstance(source, Step):
            return PlannedStep(name=name, path=path, index=index, loop_count=loop_count, source=source)
        inner_count = loop_count + isinstance(source, Loop)
        return PlannedStep(
            name=name,
            path=path,
            index=index,
            loop_count=loop_count,
            source=source,
            steps=self.placed(source.steps, path, inner_count),
            else_steps=self.placed(source.else_steps, path, inner_count),
        )

    def _free(self, kind: str) -> str:
        name, number = kind, 1
        while name in self._taken:
            number += 1
            name = f"{kind}-{number}"
        self._taken.add(name)
        return name
