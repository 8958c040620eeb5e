"""How often, and after how long, the client tries again."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential back-off with jitter, in seconds.

    `call_attempts` is how often a call, or a stream that has not begun, is tried while the server is unavailable.
    `resume_attempts` is how often in a row a stream that broke is followed again without a new event. A server that
    says when to try again is heeded, up to `max_asked_delay_seconds`.
    """

    call_attempts: int = 4
    resume_attempts: int = 10
    initial_delay_seconds: float = 0.1
    max_delay_seconds: float = 10.0
    max_asked_delay_seconds: float = 60.0
    multiplier: float = 2.0

    def delay_seconds(self, failures: int, asked_for_seconds: float | None) -> float:
        """Returns how long to wait after so many failures in a row, when the server asked for so much."""
        try:
            longest = min(self.initial_delay_seconds * self.multiplier ** (failures - 1), self.max_delay_seconds)
        except OverflowError:
            longest = self.max_delay_seconds
        delay = longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing
        return max(delay, min(asked_for_seconds or 0.0, self.max_asked_delay_seconds))
