"""The values of hooks: their runs in the background, as frozen dataclasses."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class HookPhase(StrEnum):
    """When a hook belongs: before the component runs, or after it."""

    UNKNOWN = "UNKNOWN"
    PRE = "PRE"
    POST = "POST"


class HookRunState(StrEnum):
    """Where the run of a background hook is. DEAD means that all attempts failed; `hooks.retry` lets it begin again."""

    UNKNOWN = "UNKNOWN"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    DEAD = "DEAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRun:
    """The run of a background hook, after the end of its task. `next_attempt_time` is set while it waits."""

    hook_run_id: str
    task_id: str
    name: str
    phase: HookPhase
    state: HookRunState
    attempts: int = 0
    error: str = ""
    create_time: datetime | None = None
    update_time: datetime | None = None
    next_attempt_time: datetime | None = None
