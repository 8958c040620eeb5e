"""Hooks that run in the background: each run of one is a row of its own."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from musterd.domain.hook_run import HookPhase, HookRunState
from musterd.domain.ports import RequestKey
from musterd.domain.principal import Viewer
from musterd.domain.task import Task, TaskSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRun:
    """A background hook's run as it stands. `next_attempt_time` is set while it is PENDING."""

    hook_run_id: str
    task_id: str
    phase: HookPhase
    position: int
    name: str
    state: HookRunState
    attempts: int
    error: str = ""
    create_time: datetime
    update_time: datetime
    next_attempt_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedHookRun:
    """A hook that the caller is to run now, as its attempt number `run.attempts`."""

    run: HookRun
    payload_json: bytes
    task: Task
    spec: TaskSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class HookQuery:
    """Which hook runs to list, newest first by (create_time, hook_run_id). `before` is the last of the page before."""

    viewer: Viewer
    limit: int
    before: tuple[datetime, str] | None = None
    task_id: str = ""
    states: frozenset[HookRunState] = frozenset()


class HookStore(Protocol):
    """The durable truth about background hooks. They are visible to who may see their task."""

    async def claim_hook_runs(self, owner: str, limit: int, running: Collection[str]) -> Sequence[ClaimedHookRun]:
        """Take hooks whose time has come and that no living owner runs, each as a new attempt, oldest first.

        `running` are the ids of those that `owner` runs now: others in its name are such as it never learned of. Their
        beginning is told in the log, in the task's name: HookStarted. One whose task nobody can read is dead instead.
        """
        ...

    async def finish_hook_run(
        self, hook_run_id: str, attempts: int, *, error: str | None, retry_seconds: float | None
    ) -> bool:
        """Store how an attempt ended: well when `error` is None, else again in `retry_seconds`, or dead when None.

        It is told in the log, unless that was removed since. Returns False, and does nothing, when the attempt is not
        the current one any more.
        """
        ...

    async def next_hook_time(self) -> datetime | None:
        """Return when the next hook run that waits may begin; None when none waits."""
        ...

    async def list_hook_runs(self, query: HookQuery) -> Sequence[HookRun]:
        """Return at most `query.limit` hook runs."""
        ...

    async def get_hook_run(self, viewer: Viewer, hook_run_id: str) -> HookRun:
        """Return a hook run as it stands. Raises HOOK_RUN_NOT_FOUND."""
        ...

    async def retry_hook_run(self, viewer: Viewer, hook_run_id: str, request: RequestKey | None) -> HookRun:
        """Let a dead hook run begin again, with its attempts counted from 1.

        Raises HOOK_RUN_NOT_FOUND, and HOOK_RUN_NOT_RETRYABLE when it is not dead.
        """
        ...
