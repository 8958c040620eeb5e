"""Which failures are tried again, and after how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai.exceptions import FallbackExceptionGroup, ModelConnectionError, ModelHTTPError, UserError

from musterd.runtime.attempt.retry import retry_config_of, retry_delay_seconds
from musterd.runtime.limits import Limits
from musterd.subagents.retry import TRANSIENT_STATUS_CODES, RetryConfig, is_transient_error

CONFIG = retry_config_of(
    Limits(model_max_retries=3, model_retry_initial_delay_seconds=1, model_retry_max_delay_seconds=5)
)


def http_error(status: int, retry_after: float | None = None) -> ModelHTTPError:
    return ModelHTTPError(status, "fake", retry_after=retry_after)


@pytest.mark.parametrize("status", range(400, 600))
def test_only_the_transient_statuses_are_tried_again(status: int) -> None:
    """R11."""
    assert is_transient_error(http_error(status)) == (status in TRANSIENT_STATUS_CODES)


def test_broken_connections_are_tried_again_and_bugs_are_not() -> None:
    """R11."""
    assert is_transient_error(ModelConnectionError("fake", "reset"))
    assert is_transient_error(ConnectionResetError())
    assert not is_transient_error(UserError("wrong"))
    assert not is_transient_error(ValueError("wrong"))


def test_a_fallback_is_tried_again_when_all_its_models_failed_in_passing() -> None:
    """R11."""
    assert is_transient_error(FallbackExceptionGroup("all", [http_error(503), http_error(429)]))
    assert not is_transient_error(FallbackExceptionGroup("all", [http_error(503), http_error(400)]))


def test_the_delay_doubles_up_to_its_maximum() -> None:
    """R11."""
    longest = [retry_delay_seconds(http_error(503), attempt, CONFIG, lambda _, high: high) for attempt in (1, 2, 3)]
    assert longest == [1, 2, 4]
    more = RetryConfig(max_retries=9, initial_delay=1, max_delay=5)
    assert retry_delay_seconds(http_error(503), 8, more, lambda _, high: high) == 5


def test_there_are_as_many_retries_as_the_limit_says() -> None:
    """R11: the limit itself is allowed, one more is not."""
    assert retry_delay_seconds(http_error(503), 3, CONFIG) is not None
    assert retry_delay_seconds(http_error(503), 4, CONFIG) is None


@given(attempt=st.integers(1, 3), asked=st.floats(0, 1_000))
def test_what_the_provider_asks_for_is_honored_up_to_the_maximum(attempt: int, asked: float) -> None:
    """R11."""
    delay = retry_delay_seconds(http_error(429, asked), attempt, CONFIG)
    assert delay is not None
    assert min(asked, 5) <= delay <= 5


def test_a_subagent_may_have_a_policy_of_its_own() -> None:
    """S12."""
    config = RetryConfig(
        max_retries=1,
        initial_delay=4,
        max_delay=9,
        backoff_multiplier=3,
        jitter=False,
        retry_on=lambda error: isinstance(error, KeyError),
    )
    assert retry_delay_seconds(KeyError(), 1, config) == 4
    assert retry_delay_seconds(KeyError(), 2, config) is None
    assert retry_delay_seconds(http_error(503), 1, config) is None
