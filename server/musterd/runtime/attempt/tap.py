"""Streams at the model while the agent runs unstreamed: each delta goes to the log, the whole response to the agent."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)
from pydantic_ai.models import CompletedStreamedResponse, Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_core import to_json

from musterd.domain.event import DeltaEvent, TextDelta, ThinkingDelta, ToolCallArgumentsDelta
from musterd.runtime.attempt.recorder import StepRecorder


class TapModel(WrapperModel):
    """A model whose responses are journaled, and told to the log piece by piece as they come."""

    def __init__(self, wrapped: Model, recorder: StepRecorder) -> None:
        super().__init__(wrapped)
        self._recorder = recorder

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the stored response of this step if there is one, else the model's, streamed into the log."""
        return await self._respond(messages, model_settings, model_request_parameters, None)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Serve an agent that handles stream events itself: it gets them once the response is complete."""
        seen: list[ModelResponseStreamEvent] = []
        response = await self._respond(messages, model_settings, model_request_parameters, seen)
        yield CompletedStreamedResponse(
            response, model_request_parameters=model_request_parameters, replay_events=seen or True
        )

    async def _respond(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        parameters: ModelRequestParameters,
        seen: list[ModelResponseStreamEvent] | None,
    ) -> ModelResponse:
        recorder = self._recorder
        tool_names = {tool.name for tool in parameters.function_tools}
        if (stored := recorder.begin_request(self.wrapped.model_name, tool_names)) is not None:
            return stored
        attempt = 1
        while True:
            try:
                response = await self._stream(messages, settings, parameters, seen)
            except Exception as error:
                delay_seconds = recorder.fail_try(error, attempt)
                if delay_seconds is None:
                    raise
                await recorder.wait_for_retry(delay_seconds)
                attempt += 1
                if seen is not None:
                    seen.clear()
            else:
                recorder.complete_request(response, tool_names)
                return response

    async def _stream(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        parameters: ModelRequestParameters,
        seen: list[ModelResponseStreamEvent] | None,
    ) -> ModelResponse:
        if not _can_stream(self.wrapped):
            return await self._request_whole(messages, settings, parameters)
        recorder = self._recorder
        step = recorder.step
        try:
            async with self.wrapped.request_stream(messages, settings, parameters) as stream:
                try:
                    async for event in stream:
                        if seen is not None:
                            seen.append(event)
                        if (delta := delta_of(event, step)) is not None and recorder.delta(delta):
                            await recorder.relieve()
                except (Exception, asyncio.CancelledError):
                    recorder.keep_partial(stream.get(), stream.usage)
                    raise
                return stream.get()
        except NotImplementedError:
            return await self._request_whole(messages, settings, parameters)

    async def _request_whole(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> ModelResponse:
        response = await self.wrapped.request(messages, settings, parameters)
        for index, part in enumerate(response.parts):
            if (delta := delta_of(PartStartEvent(index=index, part=part), self._recorder.step)) is not None:
                self._recorder.delta(delta)
        return response


_ABSENT = object()


def _can_stream(model: Model) -> bool:
    """Tell a FunctionModel without a stream function, which asserts instead of raising NotImplementedError."""
    return getattr(model, "stream_function", _ABSENT) is not None


def delta_of(event: ModelResponseStreamEvent, step: int) -> DeltaEvent | None:
    """Return what a stream event adds to the response, as an event of the log; None when it adds nothing."""
    match event:
        case PartDeltaEvent(index=index, delta=TextPartDelta(content_delta=text)):
            return TextDelta(step=step, part_index=index, text=storable(text)) if text else None
        case PartDeltaEvent(index=index, delta=ThinkingPartDelta(content_delta=text)):
            return ThinkingDelta(step=step, part_index=index, text=storable(text)) if text else None
        case PartDeltaEvent(index=index, delta=ToolCallPartDelta() as delta):
            return _arguments_delta(step, index, delta.tool_call_id, delta.tool_name_delta, delta.args_delta)
        case PartStartEvent(index=index, part=part):
            return _delta_of_start(step, index, part)
        case _:
            return None


def _delta_of_start(step: int, index: int, part: ModelResponsePart) -> DeltaEvent | None:
    match part:
        case TextPart(content=text):
            return TextDelta(step=step, part_index=index, text=storable(text)) if text else None
        case ThinkingPart(content=text):
            return ThinkingDelta(step=step, part_index=index, text=storable(text)) if text else None
        case ToolCallPart():
            return _arguments_delta(step, index, part.tool_call_id, part.tool_name, part.args)
        case _:
            return None


def storable(text: str) -> str:
    """Return a text without halves of surrogate pairs, which some models send and no encoding of the log can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _arguments_delta(
    step: int, index: int, tool_call_id: str | None, tool_name: str | None, args: object
) -> ToolCallArgumentsDelta:
    return ToolCallArgumentsDelta(
        step=step,
        part_index=index,
        tool_call_id=tool_call_id or "",
        tool_name=tool_name or "",
        arguments_json=storable(args) if isinstance(args, str) else to_json(args).decode() if args else "",
    )
