"""How a run ended, and what of it goes into the log and the task's row."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from pydantic_ai.exceptions import (
    FallbackExceptionGroup,
    ModelAPIError,
    RunCancelled,
    RunTimedOut,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
)
from pydantic_core import PydanticSerializationError, to_json

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import TaskCanceled, TaskCompleted, TaskFailed, TerminalEvent
from musterd.domain.session import HistoryWrite
from musterd.domain.task import Output, Task, TaskError, TaskState, Usage
from musterd.runtime.attempt.capability import RunCapability
from musterd.runtime.attempt.control import Interrupted
from musterd.runtime.attempt.recorder import StepRecorder, public_message_of
from musterd.runtime.attempt.scope import RunScope
from musterd.runtime.failures import task_error_of, unforeseen
from musterd.runtime.feed.log import AttemptLost


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended: its terminal event, what of it goes into the task's row, and what it adds to its session."""

    payload: TerminalEvent
    state: TaskState
    usage: Usage
    output: Output | None = None
    error: TaskError | None = None
    history: HistoryWrite | None = None


async def ending_of(work: Awaitable[Output], scope: RunScope) -> Ending:
    """Return how a run ended, whatever that is.

    Raises AttemptLost when others have the task, and lets a CancelledError pass: then the task is left resumable.
    """
    recorder, control = scope.recorder, scope.control
    try:
        output = await work
    except RunTimedOut:
        return failed(scope.timed_out(), recorder)
    except (RunCancelled, Interrupted) as error:
        if control.is_lost:
            raise AttemptLost from error
        return canceled(recorder, control.order.reason if control.order is not None else "canceled by the agent")
    except AttemptLost:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a run raises ends that run and no other
        return failed(_classify(error, scope.capability), recorder)
    usage = recorder.total_usage()
    return Ending(
        payload=TaskCompleted(output=output, usage=usage), state=TaskState.COMPLETED, usage=usage, output=output
    )


def output_of(value: Any) -> Output:
    """Return an agent's result as it is stored. Raises MusterdError INTERNAL when it cannot be written as JSON."""
    if isinstance(value, str):
        return Output(text=value)
    try:
        text = to_json(value).decode()
    except (PydanticSerializationError, UnicodeDecodeError) as error:
        raise unforeseen(Reason.INTERNAL, "the agent's output cannot be written as JSON", error) from error
    return Output(text=text, json=text)


def failed(error: MusterdError, recorder: StepRecorder, state: TaskState = TaskState.FAILED) -> Ending:
    """Return the ending of a run that failed, with what there is of its output."""
    task_error, usage, output = task_error_of(error), recorder.total_usage(), _partial_output(recorder)
    payload = TaskFailed(error=task_error, usage=usage, output=output, state=state)
    return Ending(payload=payload, state=state, usage=usage, output=output, error=task_error)


def unresumed(task: Task, error: MusterdError, state: TaskState = TaskState.FAILED) -> Ending:
    """Return the ending of a task that cannot go on, with what its earlier attempts spent and left."""
    task_error = task_error_of(error)
    payload = TaskFailed(error=task_error, usage=task.usage, output=task.output, state=state)
    return Ending(payload=payload, state=state, usage=task.usage, output=task.output, error=task_error)


def canceled(recorder: StepRecorder, reason: str) -> Ending:
    """Return the ending of a run that was canceled, with what there is of its output."""
    usage, output = recorder.total_usage(), _partial_output(recorder)
    payload = TaskCanceled(reason=reason, usage=usage, output=output)
    return Ending(payload=payload, state=TaskState.CANCELED, usage=usage, output=output)


def _partial_output(recorder: StepRecorder) -> Output | None:
    text = recorder.partial_text()
    return Output(text=text, partial=True) if text else None


def _classify(error: Exception, capability: RunCapability) -> MusterdError:
    if isinstance(error, MusterdError):
        return error
    if error is capability.crash:
        return unforeseen(Reason.TOOL_FAILED, "a tool of the agent raised an unexpected error", error)
    match error:
        case UsageLimitExceeded():
            return MusterdError(reason=Reason.USAGE_LIMIT_EXCEEDED, message=str(error))
        case UnexpectedModelBehavior():
            return unforeseen(Reason.MODEL_BEHAVIOR, "the model answered in a way that the agent cannot use", error)
        case ModelAPIError() | FallbackExceptionGroup():
            return unforeseen(
                Reason.MODEL_FAILED, f"the request to the model failed ({public_message_of(error)})", error
            )
        case _:
            return unforeseen(Reason.INTERNAL, "the run failed unexpectedly", error)
