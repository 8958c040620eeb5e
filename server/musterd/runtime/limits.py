"""Every bound of the runtime, by name and with its default."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds in force on one server. Durations are in seconds; None is no bound."""

    max_running_tasks: int = 2_000
    max_running_tasks_per_tenant: int | None = None
    max_running_tasks_per_user: int | None = None
    max_running_tasks_per_tree: int | None = 100
    max_queued_tasks: int = 10_000
    queue_look_seconds: float = 60.0
    max_attempts: int = 20
    run_timeout_seconds: float = 3_600.0
    max_run_timeout_seconds: float = 86_400.0
    factory_timeout_seconds: float = 30.0
    factory_threads: int = 16
    max_requests_per_run: int = 1_000
    model_max_retries: int = 3
    model_retry_initial_delay_seconds: float = 1.0
    model_retry_max_delay_seconds: float = 30.0
    cancel_grace_seconds: float = 30.0
    cancel_abandon_seconds: float = 10.0
    flush_window_seconds: float = 0.02
    flush_window_max_seconds: float = 0.5
    flush_max_events: int = 128
    backlog_max_events: int = 1_000
    reader_max_lag_events: int = 10_000
    event_page_size: int = 500
    snapshot_max_age_seconds: float | None = 86_400.0
    approval_park_seconds: float = 60.0
    approval_timeout_seconds: float = 604_800.0
    session_max_messages: int = 1_000
    session_max_bytes: int = 4_194_304
    hook_concurrency: int = 16
    hook_timeout_seconds: float = 300.0
    hook_max_attempts: int = 3
    hook_retry_initial_delay_seconds: float = 5.0
    hook_retry_max_delay_seconds: float = 300.0
    store_retry_delay_seconds: float = 1.0
