"""People who look at a step before it is done, or at what it gave."""

from dataclasses import dataclass
from typing import Literal

MAX_REVIEW_RETRIES = 3
"""How often a denied step is tried again, when its review does not say otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Has somebody outside decide about a step, with ResolveTask.

    Args:
        when: `before` asks whether the step may be done, `after` whether what it gave may be used.
        text: What those who decide read. What the step is to do, or what it gave, is shown with it.
        on_deny: What a denial does: `fail` ends the workflow, `skip` leaves the step out, `retry` has it done again
            with the reason as `StepInput.feedback`; that is for a review after the step.
        max_retries: How many denials with `retry` are followed by another try; the next one ends the workflow.

    Raises:
        ValueError: One of them is unknown, `retry` is asked for before the step, or `max_retries` is negative.
    """

    when: Literal["before", "after"] = "after"
    text: str = ""
    on_deny: Literal["fail", "skip", "retry"] = "fail"
    max_retries: int = MAX_REVIEW_RETRIES

    def __post_init__(self) -> None:
        """Check what was given."""
        if self.when not in ("before", "after"):
            raise ValueError(f"a review is before or after its step, not {self.when!r}")
        if self.on_deny not in ("fail", "skip", "retry"):
            raise ValueError(f"on_deny is 'fail', 'skip' or 'retry', not {self.on_deny!r}")
        if self.when == "before" and self.on_deny == "retry":
            raise ValueError(
                "a step that was not done yet cannot be tried again: use on_deny='retry' with when='after'"
            )
        if self.max_retries < 0:
            raise ValueError(f"max_retries must not be negative, not {self.max_retries}")
