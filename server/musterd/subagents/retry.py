"""Which failures of a subagent's run are tried again, and when."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """How often a failed model request is tried again, and how long to wait before; times are in seconds."""

    max_retries: int = 3
    initial_delay: float = 1.0
    max_delay: float = 30.0
    backoff_multiplier: float = 2.0
    jitter: bool = True
    retry_on: Callable[[BaseException], bool] | None = None
