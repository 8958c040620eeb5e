"""The events of hooks. Those of a hook in the background come after the terminal event of its task."""

from dataclasses import dataclass, field

from musterd_client.hook_model import HookPhase
from musterd_client.logged_event import LoggedEvent
from musterd_client.model import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class HookStarted(LoggedEvent):
    """A hook begins. `hook_run_id` is empty for one that does not run in the background; `attempt` counts from 1."""

    kind = "hook_started"

    hook_run_id: str = ""
    phase: HookPhase
    name: str
    in_background: bool = False
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCompleted(LoggedEvent):
    """A hook returned."""

    kind = "hook_completed"

    hook_run_id: str = ""
    phase: HookPhase
    name: str
    in_background: bool = False
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFailed(LoggedEvent):
    """A hook raised an error. `trigger` and `details` are those of a check that stopped the run."""

    kind = "hook_failed"

    hook_run_id: str = ""
    phase: HookPhase
    name: str
    in_background: bool = False
    attempt: int = 1
    message: str = ""
    will_retry: bool = False
    trigger: str = ""
    details: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
