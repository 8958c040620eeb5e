"""Runs an agent whose failed model requests are tried again within the same run."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.agent import AbstractAgent, EventStreamHandler
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.run import AgentRunResult
from pydantic_ai.settings import ModelSettings

from musterd.subagents.retry import RetryConfig, delay_before_retry

OnRetry = Callable[[int, BaseException, float], Awaitable[None] | None]
"""Called before a wait with the number of the retry, from 1, the failure, and the seconds to wait."""


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """How one run tries again. `on_resume` is called when a wait is over and the next try starts."""

    config: RetryConfig
    on_retry: OnRetry | None = None
    on_resume: Callable[[], None] = _nothing
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def pause(self, attempt: int, error: Exception) -> None:
        """Wait until retry number `attempt` is due. Raises the error when there is to be none."""
        if attempt > self.config.max_retries or not self.config.should_retry(error):
            raise error
        seconds = delay_before_retry(attempt, error, self.config)
        if self.on_retry is not None and inspect.isawaitable(waiting := self.on_retry(attempt, error, seconds)):
            await waiting
        await self.sleep(seconds)
        self.on_resume()


class RetryModel(WrapperModel):
    """A model that sends a request again when it failed in passing.

    A stream is tried again until it opens: what has been read of it cannot be taken back.
    """

    def __init__(self, wrapped: Model, retrying: Retrying) -> None:
        super().__init__(wrapped)
        self._retrying = retrying

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the model's response to the first request that does not fail."""
        attempt = 1
        while True:
            try:
                return await self.wrapped.request(messages, model_settings, model_request_parameters)
            except Exception as error:  # noqa: BLE001 - the config says which are tried again
                await self._retrying.pause(attempt, error)
            attempt += 1

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Open the stream of the first request that does not fail."""
        attempt = 1
        async with AsyncExitStack() as stack:
            while True:
                opening = self.wrapped.request_stream(messages, model_settings, model_request_parameters, run_context)
                try:
                    stream = await stack.enter_async_context(opening)
                    break
                except Exception as error:  # noqa: BLE001 - the config says which are tried again
                    await self._retrying.pause(attempt, error)
                attempt += 1
            yield stream


class RetryCapability(AbstractCapability[Any]):
    """Makes the model requests of one run be tried again."""

    def __init__(self, retrying: Retrying) -> None:
        self._retrying = retrying

    def get_wrapper_model(self, model: Model) -> Model:
        """Put the retries before the model that serves a request."""
        return RetryModel(model, self._retrying)


async def run_with_retry(
    agent: AbstractAgent[Any, Any],
    user_prompt: str | None,
    *,
    run_kwargs: Mapping[str, Any],
    retry: RetryConfig,
    on_retry: OnRetry | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    event_stream_handler: EventStreamHandler[Any] | None = None,
    on_resume: Callable[[], None] = _nothing,
) -> AgentRunResult[Any]:
    """Run an agent and return its result; `run_kwargs` are further arguments of `agent.run`.

    It is one run however often it tries: tools that have run do not run again, and its usage is that of all tries.
    Raises what the last try raised.
    """
    retrying = Retrying(config=retry, on_retry=on_retry, on_resume=on_resume, sleep=sleep)
    capabilities = [*run_kwargs.get("capabilities", ()), RetryCapability(retrying)]
    arguments: dict[str, Any] = {
        **run_kwargs,
        "capabilities": capabilities,
        "event_stream_handler": event_stream_handler,
    }
    return await agent.run(user_prompt, **arguments)
