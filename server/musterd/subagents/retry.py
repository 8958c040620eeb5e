"""Which failures of a subagent's model requests are tried again, and when."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from pydantic_ai.exceptions import FallbackExceptionGroup, ModelConnectionError, ModelHTTPError

from musterd.subagents.types import SubAgentConfig

TRANSIENT_STATUS_CODES = frozenset((408, 429, 500, 502, 503, 504, 529))


def is_transient_error(error: BaseException) -> bool:
    """Whether the same model request may succeed a little later."""
    match error:
        case ModelHTTPError():
            return error.status_code in TRANSIENT_STATUS_CODES
        case FallbackExceptionGroup():
            return all(is_transient_error(cause) for cause in error.exceptions)
        case _:
            return isinstance(error, (ModelConnectionError, ConnectionError))


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """How often a failed model request is tried again, and how long to wait before; times are in seconds.

    `retry_on` replaces `is_transient_error`. Raises ValueError for numbers that make no sense.
    """

    max_retries: int = 3
    initial_delay: float = 1.0
    max_delay: float = 30.0
    backoff_multiplier: float = 2.0
    jitter: bool = True
    retry_on: Callable[[BaseException], bool] | None = None

    def __post_init__(self) -> None:
        if self.max_retries < 0:
            raise ValueError(f"max_retries must be 0 or more, it is {self.max_retries}")
        if self.initial_delay < 0 or self.max_delay < self.initial_delay:
            raise ValueError(
                "retry delays must be 0 <= initial <= max, they are "
                f"{self.initial_delay} and {self.max_delay} seconds; give retry_initial_delay and retry_max_delay"
            )
        if self.backoff_multiplier < 1:
            raise ValueError(f"retry_backoff_multiplier must be 1 or more, it is {self.backoff_multiplier}")

    @classmethod
    def from_config(cls, config: SubAgentConfig) -> "RetryConfig":
        """Return what a subagent's config says, with the defaults for what it does not."""
        default = cls()
        return cls(
            max_retries=config.get("max_retries", default.max_retries),
            initial_delay=config.get("retry_initial_delay", default.initial_delay),
            max_delay=config.get("retry_max_delay", default.max_delay),
            backoff_multiplier=config.get("retry_backoff_multiplier", default.backoff_multiplier),
            jitter=config.get("retry_jitter", default.jitter),
            retry_on=config.get("retry_on"),
        )

    def should_retry(self, error: BaseException) -> bool:
        """Whether a failure is one that is tried again."""
        return (self.retry_on or is_transient_error)(error)


def compute_backoff_delay(
    attempt: int, config: RetryConfig, rng: Callable[[float, float], float] = random.uniform
) -> float:
    """Return how many seconds to wait before retry number `attempt`, from 1: a random part of it with jitter."""
    try:
        longest = min(config.initial_delay * config.backoff_multiplier ** (attempt - 1), config.max_delay)
    except OverflowError:
        longest = config.max_delay
    return rng(0.0, longest) if config.jitter else longest


def delay_before_retry(
    attempt: int, error: BaseException, config: RetryConfig, rng: Callable[[float, float], float] = random.uniform
) -> float:
    """Return the back-off, or what the provider asks for when that is longer, but never more than the maximum."""
    asked: float = getattr(error, "retry_after", None) or 0.0
    return max(compute_backoff_delay(attempt, config, rng), min(asked, config.max_delay))
