"""A workflow as a component."""

from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from musterd.domain.hook_run import HookPhase
from musterd.hooks import HookCallable, check_hooks
from musterd.workflows.checking import check_name
from musterd.workflows.flow import Flow
from musterd.workflows.plan import MAX_DEPTH, PlannedStep, plan_of
from musterd.workflows.steps import Step, StepLike, steps_of


class Workflow(Flow):
    """Steps that work on one request in an order that the author gives. It holds no state, and may run many times.

    What the last step gives is the result, as JSON when it is structured. A step that is done is stored: when the
    server restarts, the workflow goes on with the next.

    Args:
        name: The workflow's name; for a registered one also its id.
        steps: A list of `Step`, `Steps`, `Parallel`, `Loop`, `Condition` and `Router`, and of agents, teams, workflows
            and functions that have a name.
        description: What the workflow is for.
        input_schema: The model that validates `factory_input`; steps read the instance at `StepInput.input`. A
            workflow that is a step of another has the input of that one; one that a factory builds that of the factory.
        pre_hooks: Called before the first step.
        post_hooks: Called after the last.

    Raises:
        TypeError: Something is no step (a factory is none), or a hook cannot be called.
        ValueError: There is no name or no step, two steps have the same name, or there are too many or nested too deep.
    """

    def __init__(
        self,
        name: str,
        steps: StepLike | Sequence[StepLike],
        *,
        description: str = "",
        input_schema: type[BaseModel] | None = None,
        pre_hooks: Sequence[HookCallable] = (),
        post_hooks: Sequence[HookCallable] = (),
    ) -> None:
        check_name(f"workflow {name!r}", name)
        self.name = name
        self.description = description
        self.input_schema = input_schema
        self.pre_hooks = check_hooks(f"workflow {name!r}", pre_hooks, HookPhase.PRE)
        self.post_hooks = check_hooks(f"workflow {name!r}", post_hooks, HookPhase.POST)
        self.steps = steps_of(f"workflow {name!r}", "steps", steps)
        self.plan = plan_of(name, self.steps)
        if _depth(self.plan) > MAX_DEPTH:
            raise ValueError(f"workflow {name!r}: steps are nested deeper than {MAX_DEPTH} levels")

    def find(self, name: str) -> Step:
        """Return the step with a name. Raises LookupError when there is none."""
        for planned in self.all():
            if planned.name == name and isinstance(planned.source, Step):
                return planned.source
        raise LookupError(f"the workflow {self.name!r} has no step {name!r}")

    def all(self) -> Iterator[PlannedStep]:
        """Go through all steps and containers, without those of workflows in it."""
        for planned in self.plan:
            yield from planned.all()

    def __repr__(self) -> str:
        return f"Workflow({self.name!r}, [{', '.join(each.name for each in self.plan)}])"


def steps_inside(planned: PlannedStep) -> tuple[PlannedStep, ...]:
    """Return the steps inside a container, or of the workflow that does a step."""
    source = planned.source
    return source.run.plan if isinstance(source, Step) and isinstance(source.run, Workflow) else planned.steps


def _depth(plan: Sequence[PlannedStep]) -> int:
    return max((1 + _depth((*steps_inside(each), *each.else_steps)) for each in plan), default=0)
