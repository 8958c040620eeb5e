"""The values of workflows: what can be run, and where in it something happens, as frozen dataclasses."""

from dataclasses import dataclass
from enum import StrEnum


class WorkflowStepKind(StrEnum):
    """What a step is: who does it, or how the steps inside it run."""

    UNKNOWN = "UNKNOWN"
    AGENT = "AGENT"
    TEAM = "TEAM"
    FUNCTION = "FUNCTION"
    WORKFLOW = "WORKFLOW"
    STEPS = "STEPS"
    PARALLEL = "PARALLEL"
    LOOP = "LOOP"
    CONDITION = "CONDITION"
    ROUTER = "ROUTER"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowStep:
    """A step of a workflow, with those inside it.

    `else_steps` run when a condition does not hold. `max_iterations` is that of a loop, zero for everything else.
    """

    name: str
    kind: WorkflowStepKind
    description: str = ""
    steps: tuple["WorkflowStep", ...] = ()
    else_steps: tuple["WorkflowStep", ...] = ()
    max_iterations: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A workflow that can be run. `steps` is empty for a factory, whose steps are not known in advance."""

    workflow_id: str
    name: str
    description: str = ""
    is_factory: bool = False
    input_schema_json: str = ""
    steps: tuple[WorkflowStep, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlace:
    """Where in a workflow something happened.

    `path` names the steps that it is in, outermost first, and its own at the end. `index` is its place among the steps
    beside it, from 0. `iteration` is the turn of the innermost loop around it, from 1; zero outside of loops.
    """

    name: str
    path: tuple[str, ...] = ()
    index: int = 0
    iteration: int = 0
