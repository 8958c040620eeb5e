"""The events of workflows: steps, branches and loops, each with its place."""

from dataclasses import dataclass

from musterd_client.logged_event import LoggedEvent
from musterd_client.workflow_model import StepPlace, WorkflowStepKind


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(LoggedEvent):
    """A step begins. `attempt` counts its tries from 1; `subtask_id` is the child that does it, if one does."""

    kind = "step_started"

    place: StepPlace
    step_kind: WorkflowStepKind
    attempt: int = 1
    subtask_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCompleted(LoggedEvent):
    """A step ended with its output, which is text or JSON.

    An output too large for an event is left out, and `omitted_bytes` tells its size. `stops_workflow` is true when the
    step ended the whole workflow early.
    """

    kind = "step_completed"

    place: StepPlace
    attempt: int = 1
    output: str = ""
    omitted_bytes: int = 0
    stops_workflow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed(LoggedEvent):
    """A try of a step failed. It is tried again with `will_retry`; with `is_skipped` the workflow goes on without."""

    kind = "step_failed"

    place: StepPlace
    attempt: int = 1
    message: str = ""
    will_retry: bool = False
    is_skipped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSkipped(LoggedEvent):
    """A step was left out."""

    kind = "step_skipped"

    place: StepPlace
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchChosen(LoggedEvent):
    """A condition or a router chose what runs: the names of the steps, none when it is nothing."""

    kind = "branch_chosen"

    place: StepPlace
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopTurned(LoggedEvent):
    """A turn of a loop is over. `turn` counts from 1; with `will_continue` another one follows."""

    kind = "loop_turned"

    place: StepPlace
    turn: int
    will_continue: bool = False
