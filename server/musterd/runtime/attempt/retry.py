"""Which failures of a model request pass by themselves, and how long to wait for that."""

import random
from collections.abc import Callable

from pydantic_ai.exceptions import FallbackExceptionGroup, ModelConnectionError, ModelHTTPError

from musterd.runtime.limits import Limits

TRANSIENT_STATUS_CODES = frozenset((408, 429, 500, 502, 503, 504, 529))
BACKOFF_MULTIPLIER = 2.0


def is_transient(error: BaseException) -> bool:
    """Whether sending the same model request again may succeed."""
    match error:
        case ModelHTTPError():
            return error.status_code in TRANSIENT_STATUS_CODES
        case FallbackExceptionGroup():
            return all(is_transient(cause) for cause in error.exceptions)
        case _:
            return isinstance(error, (ModelConnectionError, ConnectionError))


def retry_delay_seconds(
    error: BaseException, attempt: int, limits: Limits, uniform: Callable[[float, float], float] = random.uniform
) -> float | None:
    """Return how long to wait after try number `attempt` failed, or None when it is not to be tried again.

    Exponential with full jitter; a longer wait that the provider asks for is honored up to the maximum delay.
    """
    if attempt > limits.model_max_retries or not is_transient(error):
        return None
    ceiling = min(
        limits.model_retry_initial_delay_seconds * BACKOFF_MULTIPLIER ** (attempt - 1),
        limits.model_retry_max_delay_seconds,
    )
    asked = getattr(error, "retry_after", None) or 0.0
    return max(uniform(0.0, ceiling), min(asked, limits.model_retry_max_delay_seconds))
