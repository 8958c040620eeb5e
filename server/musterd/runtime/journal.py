"""Turns what pydantic-ai hands over into stored steps and back, through pydantic-ai's own type adapters."""

from typing import Any, SupportsIndex, cast

from pydantic import TypeAdapter
from pydantic_ai import RunContext

# RunContext.pending_messages is public, the type of its items is not: stored and restored whole, they go back into the
# conversation exactly where the tool had put them.
from pydantic_ai._enqueue import PendingMessage
from pydantic_ai.exceptions import ModelRetry, ToolFailed
from pydantic_ai.messages import ModelResponse, ToolReturn, ToolReturnContent
from pydantic_ai.usage import RequestUsage, RunUsage

from musterd.domain.step import ToolStatus, ToolStep
from musterd.domain.task import Usage

_response = TypeAdapter(ModelResponse)
_request_usage = TypeAdapter(RequestUsage)
_tool_return: TypeAdapter[ToolReturn[Any]] = TypeAdapter(ToolReturn[Any])
_content: TypeAdapter[Any] = TypeAdapter(ToolReturnContent)
_enqueued = TypeAdapter(list[PendingMessage])

_TOOL_RETURN_PREFIX = b"R"
_CONTENT_PREFIX = b"C"


def dump_response(response: ModelResponse) -> bytes:
    """Return a model's response as JSON."""
    return _response.dump_json(response)


def load_response(data: bytes) -> ModelResponse:
    """Return the model's response that was stored."""
    return _response.validate_json(data)


def dump_request_usage(usage: RequestUsage) -> bytes:
    """Return what tries of a request spent as JSON; empty when it is nothing."""
    return _request_usage.dump_json(usage) if usage.has_values() else b""


def load_request_usage(data: bytes) -> RequestUsage:
    """Return what was stored by `dump_request_usage`."""
    return _request_usage.validate_json(data) if data else RequestUsage()


def dump_value(value: Any) -> bytes:
    """Return what a tool returned, so that `load_value` gives the model the same. Raises ValueError if it cannot be."""
    if isinstance(value, ToolReturn):
        return _TOOL_RETURN_PREFIX + _tool_return.dump_json(cast("ToolReturn[Any]", value))
    return _CONTENT_PREFIX + _content.dump_json(value)


def load_value(data: bytes) -> Any:
    """Return what a tool returned."""
    if data[:1] == _TOOL_RETURN_PREFIX:
        return _tool_return.validate_json(data[1:])
    return _content.validate_json(data[1:])


def result_json(value: Any) -> str:
    """Return the part of a tool's result that the model reads, as JSON."""
    content = value.return_value if isinstance(value, ToolReturn) else value
    return _content.dump_json(content).decode()


def usage_of(run: RunUsage, extra: RequestUsage | None = None) -> Usage:
    """Return pydantic-ai's usage as the domain's, with what a cut-off response spent on top."""
    extra = extra or RequestUsage()
    details = dict(run.details)
    for name, value in extra.details.items():
        details[name] = details.get(name, 0) + value
    return Usage(
        requests=run.requests,
        tool_calls=run.tool_calls,
        input_tokens=run.input_tokens + extra.input_tokens,
        output_tokens=run.output_tokens + extra.output_tokens,
        cache_read_tokens=run.cache_read_tokens + extra.cache_read_tokens,
        cache_write_tokens=run.cache_write_tokens + extra.cache_write_tokens,
        details=details,
    )


def usage_of_request(usage: RequestUsage) -> Usage:
    """Return what one model request spent."""
    return Usage(
        requests=1,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        details=dict(usage.details),
    )


class _RecordingQueue(list[PendingMessage]):
    """Stands before a run's queue of messages, and remembers what one tool call puts in."""

    def __init__(self, queue: list[PendingMessage]) -> None:
        super().__init__()
        self._queue = queue

    def append(self, item: PendingMessage, /) -> None:
        """Put a message into the run's queue."""
        self._queue.append(item)
        super().append(item)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[type[list[PendingMessage]], tuple[list[PendingMessage]]]:
        return list, (list(self),)


class EnqueuedMessages:
    """What one tool call puts into the conversation while it runs."""

    def __init__(self, ctx: RunContext[Any]) -> None:
        self._recorder: _RecordingQueue | None = None
        if ctx.pending_messages is not None:
            self._recorder = _RecordingQueue(ctx.pending_messages)
            ctx.pending_messages = self._recorder

    def dump(self) -> bytes:
        """Return the messages as JSON; empty when there are none."""
        return _enqueued.dump_json(list(self._recorder)) if self._recorder else b""


def replay_tool(ctx: RunContext[Any], step: ToolStep) -> Any:
    """Do again to the run what a finished tool call did: its messages, its usage, its result or its failure."""
    if step.enqueued_json and ctx.pending_messages is not None:
        for message in _enqueued.validate_json(step.enqueued_json):
            ctx.pending_messages.append(message)
    match step.status:
        case ToolStatus.RETRY:
            raise ModelRetry(step.outcome_json.decode())
        case ToolStatus.FAILED:
            raise ToolFailed(step.outcome_json.decode())
        case _:
            ctx.usage.tool_calls += 1
            return load_value(step.outcome_json)
