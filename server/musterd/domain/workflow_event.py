"""What can happen in a workflow: its steps, branches and loops."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """A step of the workflow begins.

    `path` names the steps that it is in, outermost first and itself last. `index` is its place among its siblings from
    0, `iteration` the turn of the innermost loop around it from 1 (0 outside of loops), `attempt` counts its tries
    from 1. `subtask_id` is the child that does it; it is empty for a function.
    """

    name: str
    path: tuple[str, ...]
    index: int = 0
    iteration: int = 0
    attempt: int = 1
    kind: str
    subtask_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCompleted:
    """A step of the workflow ended with its output; one too large for an event is left out.

    `stops_workflow` is true when the step ended the whole workflow early.
    """

    name: str
    path: tuple[str, ...]
    index: int = 0
    iteration: int = 0
    attempt: int = 1
    output: str = ""
    omitted_bytes: int = 0
    stops_workflow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed:
    """A try of a step failed. It is tried again with `will_retry`; with `is_skipped` the workflow goes on without."""

    name: str
    path: tuple[str, ...]
    index: int = 0
    iteration: int = 0
    attempt: int = 1
    message: str
    will_retry: bool = False
    is_skipped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSkipped:
    """A step of the workflow was left out; `reason` says why."""

    name: str
    path: tuple[str, ...]
    index: int = 0
    iteration: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchChosen:
    """A condition or a router chose what runs: the names of the steps, none when it is nothing."""

    name: str
    path: tuple[str, ...]
    index: int = 0
    iteration: int = 0
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopTurned:
    """A turn of a loop is over. `turn` counts from 1; with `will_continue` another one follows."""

    name: str
    path: tuple[str, ...]
    index: int = 0
    iteration: int = 0
    turn: int
    will_continue: bool = False
