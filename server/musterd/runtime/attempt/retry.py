"""How the server tries failed model requests again: with its own limits, or with those of a subagent."""

import random
from collections.abc import Callable

from musterd.runtime.limits import Limits
from musterd.subagents.retry import RetryConfig, delay_before_retry


def retry_config_of(limits: Limits) -> RetryConfig:
    """Return what the server does for runs that do not say otherwise."""
    return RetryConfig(
        max_retries=limits.model_max_retries,
        initial_delay=limits.model_retry_initial_delay_seconds,
        max_delay=limits.model_retry_max_delay_seconds,
    )


def retry_delay_seconds(
    error: BaseException,
    attempt: int,
    config: RetryConfig,
    uniform: Callable[[float, float], float] = random.uniform,
) -> float | None:
    """Return how long to wait after try number `attempt` failed, or None when it is not to be tried again."""
    if attempt > config.max_retries or not config.should_retry(error):
        return None
    return delay_before_retry(attempt, error, config, uniform)
