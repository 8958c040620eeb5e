"""What every adapter says of runs of hooks."""

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import HookCompleted, HookFailed, HookStarted
from musterd.domain.hook_run import HookRunState
from musterd.domain.hook_store import HookRun

UNREADABLE = "this version of the server cannot read the task of the hook"


def started(run: HookRun) -> HookStarted:
    """Return the event of an attempt that begins."""
    return HookStarted(
        hook_run_id=run.hook_run_id, phase=run.phase.value, name=run.name, in_background=True, attempt=run.attempts
    )


def ended(run: HookRun, error: str | None, *, will_retry: bool) -> HookCompleted | HookFailed:
    """Return the event of an attempt that ended: well when there is no error."""
    if error is None:
        return HookCompleted(
            hook_run_id=run.hook_run_id, phase=run.phase.value, name=run.name, in_background=True, attempt=run.attempts
        )
    return HookFailed(
        hook_run_id=run.hook_run_id,
        phase=run.phase.value,
        name=run.name,
        in_background=True,
        attempt=run.attempts,
        message=error,
        will_retry=will_retry,
    )


def state_after(error: str | None, retry_seconds: float | None) -> HookRunState:
    """Return where an attempt that ended so leaves its hook."""
    if error is None:
        return HookRunState.COMPLETED
    return HookRunState.DEAD if retry_seconds is None else HookRunState.PENDING


def not_found(hook_run_id: str) -> MusterdError:
    """Return the error for a run that is not there, or not for this caller: the two must look alike."""
    return MusterdError(
        reason=Reason.HOOK_RUN_NOT_FOUND,
        message=f"no hook run {hook_run_id!r} is visible to you",
        metadata={"hook_run_id": hook_run_id},
    )


def check_retryable(run: HookRun) -> None:
    """Raise HOOK_RUN_NOT_RETRYABLE unless a run is dead."""
    if run.state is not HookRunState.DEAD:
        raise MusterdError(
            reason=Reason.HOOK_RUN_NOT_RETRYABLE,
            message=f"the hook run is {run.state.value}: only one that is dead can be retried",
            metadata={"hook_run_id": run.hook_run_id, "state": run.state.value},
        )
