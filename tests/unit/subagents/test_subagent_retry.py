"""Which failures are tried again, and after how long."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import FallbackExceptionGroup, ModelConnectionError, ModelHTTPError, UserError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from musterd.subagents import RetryConfig, SubAgentConfig, compute_backoff_delay, is_transient_error, run_with_retry
from musterd.subagents.retry import TRANSIENT_STATUS_CODES, delay_before_retry


def longest(_: float, high: float) -> float:
    return high


def failing(*errors: Exception) -> FunctionModel:
    """Return a model that raises each of these once, and then answers."""
    left = list(errors)

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if left:
            raise left.pop(0)
        return ModelResponse(parts=[TextPart("done")])

    return FunctionModel(respond)


async def no_sleep(_: float) -> None:
    """Return at once."""


@pytest.mark.parametrize("status", range(400, 600))
def test_only_the_transient_statuses_are_tried_again(status: int) -> None:
    """S12."""
    assert is_transient_error(ModelHTTPError(status, "fake")) == (status in TRANSIENT_STATUS_CODES)


def test_broken_connections_are_tried_again_and_bugs_are_not() -> None:
    """S12."""
    assert is_transient_error(ModelConnectionError("fake", "reset"))
    assert is_transient_error(ConnectionResetError())
    assert not is_transient_error(UserError("wrong"))
    overloaded, wrong = ModelHTTPError(503, "a"), ModelHTTPError(400, "b")
    assert is_transient_error(FallbackExceptionGroup("all", [overloaded]))
    assert not is_transient_error(FallbackExceptionGroup("all", [overloaded, wrong]))


def test_the_delay_grows_up_to_its_maximum() -> None:
    """S12."""
    config = RetryConfig(initial_delay=1, max_delay=5, backoff_multiplier=2)
    assert [compute_backoff_delay(attempt, config, longest) for attempt in (1, 2, 3, 4)] == [1, 2, 4, 5]


def test_the_delay_of_the_thousandth_retry_can_be_computed() -> None:
    """S12: where the power is more than a float holds, the maximum counts."""
    assert compute_backoff_delay(2_000, RetryConfig(max_retries=2_000), longest) == RetryConfig().max_delay


def test_jitter_is_full_and_can_be_switched_off() -> None:
    """S12."""
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    assert compute_backoff_delay(2, RetryConfig(), draw) == 0
    assert drawn == [(0, 2)]
    assert compute_backoff_delay(2, RetryConfig(jitter=False), draw) == 2


def test_what_the_provider_asks_for_is_honored_up_to_the_maximum() -> None:
    """S12."""
    config = RetryConfig(max_delay=5)
    assert delay_before_retry(1, ModelHTTPError(429, "fake", retry_after=3), config, longest) == 3
    assert delay_before_retry(1, ModelHTTPError(429, "fake", retry_after=99), config, longest) == 5


def test_a_config_says_how_to_try_again() -> None:
    """S2: and what it does not say has its default."""
    config = SubAgentConfig(name="a", description="", instructions="", max_retries=1, retry_jitter=False)
    assert RetryConfig.from_config(config) == RetryConfig(max_retries=1, jitter=False)
    assert RetryConfig() == RetryConfig(3, 1.0, 30.0, 2.0, jitter=True)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"max_retries": -1}, "max_retries must be 0 or more"),
        ({"initial_delay": -1}, "0 <= initial <= max"),
        ({"initial_delay": 40}, "0 <= initial <= max"),
        ({"backoff_multiplier": 0.5}, "retry_backoff_multiplier must be 1 or more"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, Any], text: str) -> None:
    """S2 (refusal)."""
    with pytest.raises(ValueError, match=text):
        RetryConfig(**wrong)


async def test_a_run_goes_on_after_failures_in_passing() -> None:
    """S12: the caller is told before each wait, and when it is over."""
    told: list[Any] = []
    result = await run_with_retry(
        Agent(failing(ModelHTTPError(503, "a"), ModelHTTPError(429, "b"))),
        "go",
        run_kwargs={},
        retry=RetryConfig(max_retries=2, jitter=False),
        on_retry=lambda attempt, error, delay: told.append((attempt, type(error), delay)),
        on_resume=lambda: told.append("next"),
        sleep=no_sleep,
    )
    assert result.output == "done"
    assert told == [(1, ModelHTTPError, 1.0), "next", (2, ModelHTTPError, 2.0), "next"]


async def test_there_are_as_many_retries_as_the_config_says() -> None:
    """S12 (refusal): one more failure than that ends the run."""
    agent = Agent(failing(ModelHTTPError(503, "a"), ModelHTTPError(502, "b")))
    with pytest.raises(ModelHTTPError, match="502"):
        await run_with_retry(agent, "go", run_kwargs={}, retry=RetryConfig(max_retries=1), sleep=no_sleep)


async def test_an_own_predicate_replaces_ours() -> None:
    """S12, S2."""
    retry = RetryConfig(retry_on=lambda error: isinstance(error, ZeroDivisionError))
    agent = Agent(failing(ZeroDivisionError()))
    assert (await run_with_retry(agent, "go", run_kwargs={}, retry=retry, sleep=no_sleep)).output == "done"
    with pytest.raises(ModelHTTPError):
        await run_with_retry(Agent(failing(ModelHTTPError(503, "a"))), "go", run_kwargs={}, retry=retry, sleep=no_sleep)


async def test_a_stream_is_opened_again() -> None:
    """S12: for a caller that handles events; on_retry may be a coroutine function."""
    left = [ModelHTTPError(503, "a")]
    seen: list[str] = []

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        if left:
            raise left.pop()
        yield "done"

    async def handle(_: Any, events: Any) -> None:
        seen.extend([type(event).__name__ async for event in events])

    async def on_retry(attempt: int, error: BaseException, delay: float) -> None:
        seen.append(f"retry {attempt}")

    result = await run_with_retry(
        Agent(FunctionModel(stream_function=stream)),
        "go",
        run_kwargs={},
        retry=RetryConfig(),
        on_retry=on_retry,
        sleep=no_sleep,
        event_stream_handler=handle,
    )
    assert result.output == "done"
    assert seen[0] == "retry 1"
    assert "PartStartEvent" in seen
