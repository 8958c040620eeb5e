"""The section `runtime`: how runs are run, and within which limits."""

from typing import Self

from pydantic import Field, model_validator

from musterd.settings.section import Section


class RuntimeSettings(Section):
    """How runs are run, and within which limits."""

    max_running_tasks: int = Field(default=2000, ge=1, le=100_000, description="Most tasks that run at once.")
    max_running_tasks_per_tenant: int | None = Field(
        default=None, ge=1, le=100_000, description="Most tasks of one tenant that run at once; no cap when unset."
    )
    max_running_tasks_per_user: int | None = Field(
        default=None, ge=1, le=100_000, description="Most tasks of one user that run at once; no cap when unset."
    )
    max_running_tasks_per_tree: int | None = Field(
        default=100, ge=1, le=100_000, description="Most tasks that one run and all that it started run at once."
    )
    max_queued_tasks: int = Field(
        default=10_000, ge=0, le=1_000_000, description="Most tasks that wait for their turn; more are refused."
    )
    queue_look_seconds: float = Field(
        default=60, ge=0.01, le=3600, description="How often the queue is looked through when nothing asks for it."
    )
    max_attempts: int = Field(
        default=20, ge=1, le=1_000_000, description="How often a task is begun or taken over before it is given up."
    )
    run_timeout_seconds: float = Field(
        default=3600, ge=1, le=2_592_000, description="Longest time of a run whose request sets none."
    )
    max_run_timeout_seconds: float = Field(
        default=86_400, ge=1, le=2_592_000, description="Longest time that a request may ask for."
    )
    factory_timeout_seconds: float = Field(
        default=30, ge=0.1, le=3600, description="Longest time that a factory may take, unless it sets its own."
    )
    factory_threads: int = Field(default=16, ge=1, le=256, description="Threads that sync factories run in.")
    max_requests_per_run: int = Field(
        default=1000, ge=1, le=1_000_000, description="Most model requests of one run, whatever its request asks for."
    )
    model_max_retries: int = Field(
        default=3, ge=0, le=100, description="How often a model request that failed in passing is sent again."
    )
    model_retry_initial_delay_seconds: float = Field(
        default=1, ge=0, le=3600, description="Longest wait before the first retry; it doubles with each further one."
    )
    model_retry_max_delay_seconds: float = Field(
        default=30, ge=0, le=3600, description="Longest wait before any retry."
    )
    cancel_grace_seconds: float = Field(
        default=30, ge=0, le=3600, description="Time that a soft cancel leaves the current step, unless it says."
    )
    cancel_abandon_seconds: float = Field(
        default=10, ge=0.1, le=3600, description="Time that an interrupted step has to stop before it is given up."
    )
    approval_park_seconds: float = Field(
        default=60, ge=0, le=86_400, description="Time that a run waits in memory for an approval before it is parked."
    )
    approval_timeout_seconds: float = Field(
        default=604_800, ge=1, le=31_536_000, description="Time after which an approval that nobody gave is denied."
    )
    session_max_messages: int = Field(
        default=1000, ge=1, le=1_000_000, description="Messages of a session with which a run may still begin."
    )
    session_max_bytes: int = Field(
        default=4_194_304, ge=1, le=1_073_741_824, description="Size of a session with which a run may still begin."
    )
    hook_concurrency: int = Field(
        default=16, ge=1, le=1000, description="Most hooks that run in the background at once."
    )
    hook_timeout_seconds: float = Field(
        default=300, ge=0.1, le=86_400, description="Longest time that a hook in the background may take."
    )
    hook_max_attempts: int = Field(
        default=3, ge=1, le=100, description="How often a hook in the background is tried before it is given up."
    )
    hook_retry_initial_delay_seconds: float = Field(
        default=5, ge=0, le=86_400, description="Wait before its first retry; it doubles with each further one."
    )
    hook_retry_max_delay_seconds: float = Field(
        default=300, ge=0, le=86_400, description="Longest wait before any retry of a hook."
    )
    flush_window_ms: float = Field(
        default=20, ge=0, le=1000, description="Time in which deltas are gathered before they are stored and sent."
    )
    flush_window_max_ms: float = Field(
        default=500, ge=0, le=5000, description="Longest that this time may become when many tasks stream at once."
    )
    flush_max_events: int = Field(default=128, ge=1, le=1000, description="Most events that a task may gather.")
    reader_max_lag_events: int = Field(
        default=10_000, ge=100, le=1_000_000, description="Events that a stream may lag behind before it is closed."
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.run_timeout_seconds > self.max_run_timeout_seconds:
            raise ValueError("run_timeout_seconds must not be more than max_run_timeout_seconds")
        if self.model_retry_initial_delay_seconds > self.model_retry_max_delay_seconds:
            raise ValueError("model_retry_initial_delay_seconds must not be more than model_retry_max_delay_seconds")
        if self.hook_retry_initial_delay_seconds > self.hook_retry_max_delay_seconds:
            raise ValueError("hook_retry_initial_delay_seconds must not be more than hook_retry_max_delay_seconds")
        return self
