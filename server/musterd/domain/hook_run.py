"""What a task leaves to be done after its end: runs of hooks."""

from dataclasses import dataclass
from enum import StrEnum


class HookPhase(StrEnum):
    """When a hook belongs: before the component runs, or after it."""

    PRE = "pre"
    POST = "post"


class HookRunState(StrEnum):
    """Where a background hook's run is. DEAD means that all attempts failed; it may be retried by hand."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHookRun:
    """A hook that is to run once its task has ended. `position` and `name` say which of the phase's hooks it is.

    `payload_json` is what it is called with: the input or output of the run, the same for all of a task and phase.
    """

    hook_run_id: str
    phase: HookPhase
    position: int
    name: str
    payload_json: bytes = b""
