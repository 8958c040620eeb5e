"""Which failures are tried again, and after how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai.exceptions import FallbackExceptionGroup, ModelConnectionError, ModelHTTPError, UserError

from musterd.runtime.attempt.retry import TRANSIENT_STATUS_CODES, is_transient, retry_delay_seconds
from musterd.runtime.limits import Limits

LIMITS = Limits(model_max_retries=3, model_retry_initial_delay_seconds=1, model_retry_max_delay_seconds=5)


def http_error(status: int, retry_after: float | None = None) -> ModelHTTPError:
    return ModelHTTPError(status, "fake", retry_after=retry_after)


@pytest.mark.parametrize("status", range(400, 600))
def test_only_the_transient_statuses_are_tried_again(status: int) -> None:
    """R11."""
    assert is_transient(http_error(status)) == (status in TRANSIENT_STATUS_CODES)


def test_broken_connections_are_tried_again_and_bugs_are_not() -> None:
    """R11."""
    assert is_transient(ModelConnectionError("fake", "reset"))
    assert is_transient(ConnectionResetError())
    assert not is_transient(UserError("wrong"))
    assert not is_transient(ValueError("wrong"))


def test_a_fallback_is_tried_again_when_all_its_models_failed_in_passing() -> None:
    """R11."""
    assert is_transient(FallbackExceptionGroup("all", [http_error(503), http_error(429)]))
    assert not is_transient(FallbackExceptionGroup("all", [http_error(503), http_error(400)]))


def test_the_delay_doubles_up_to_its_maximum() -> None:
    """R11."""
    longest = [retry_delay_seconds(http_error(503), attempt, LIMITS, lambda _, high: high) for attempt in (1, 2, 3)]
    assert longest == [1, 2, 4]
    more = Limits(model_max_retries=9, model_retry_initial_delay_seconds=1, model_retry_max_delay_seconds=5)
    assert retry_delay_seconds(http_error(503), 8, more, lambda _, high: high) == 5


def test_there_are_as_many_retries_as_the_limit_says() -> None:
    """R11: the limit itself is allowed, one more is not."""
    assert retry_delay_seconds(http_error(503), 3, LIMITS) is not None
    assert retry_delay_seconds(http_error(503), 4, LIMITS) is None


@given(attempt=st.integers(1, 3), asked=st.floats(0, 1_000))
def test_what_the_provider_asks_for_is_honored_up_to_the_maximum(attempt: int, asked: float) -> None:
    """R11."""
    delay = retry_delay_seconds(http_error(429, asked), attempt, LIMITS)
    assert delay is not None
    assert min(asked, 5) <= delay <= 5
