"""One attempt of an agent's run, from a built component to the way in which it ended."""

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
from pydantic_ai.usage import UsageLimits as AgentUsageLimits
from pydantic_core import PydanticSerializationError, to_json

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import TaskCanceled, TaskCompleted, TaskFailed, TerminalEvent
from musterd.domain.task import Output, Task, TaskError, TaskSpec, TaskState, Usage, UsageLimits
from musterd.runtime.attempt.capability import RunCapability
from musterd.runtime.attempt.control import RunControl
from musterd.runtime.attempt.prompt import prompt_of
from musterd.runtime.attempt.recorder import StepRecorder, public_message_of
from musterd.runtime.components.building import Ready
from musterd.runtime.failures import task_error_of, unforeseen
from musterd.runtime.feed.log import AttemptLost


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended: its terminal event, and what of it goes into the task's row."""

    payload: TerminalEvent
    state: TaskState
    usage: Usage
    output: Output | None = None
    error: TaskError | None = None


async def run_agent(
    ready: Ready, spec: TaskSpec, recorder: StepRecorder, control: RunControl, timeout_seconds: float
) -> Ending:
    """Run an agent to its end, whatever that is.

    Raises AttemptLost when others have the task, and lets a CancelledError pass: then the task is left resumable.
    """
    capability = RunCapability(recorder, control)
    try:
        result = await ready.agent.run(
            prompt_of(spec),
            deps=ready.deps,
            usage=recorder.usage,
            usage_limits=_limits_of(spec.usage_limits),
            cancellation_token=control.token,
            timeout=timeout_seconds,
            capabilities=[capability],
            infer_name=False,
        )
        output = output_of(result.output)
    except RunTimedOut:
        error = MusterdError(
            reason=Reason.RUN_TIMEOUT, message=f"the run took longer than its {spec.run_timeout_seconds:g} s"
        )
        return failed(error, recorder)
    except RunCancelled as error:
        if control.is_lost:
            raise AttemptLost from error
        return canceled(recorder, control.order.reason if control.order is not None else "canceled by the agent")
    except AttemptLost:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a run raises ends that run and no other
        return failed(_classify(error, capability), recorder)
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


def _limits_of(limits: UsageLimits) -> AgentUsageLimits:
    return AgentUsageLimits(
        request_limit=limits.requests,
        tool_calls_limit=limits.tool_calls,
        input_tokens_limit=limits.input_tokens,
        output_tokens_limit=limits.output_tokens,
        total_tokens_limit=limits.total_tokens,
    )


def _classify(error: Exception, capability: RunCapability) -> MusterdError:
    if error is capability.crash:
        return unforeseen(Reason.TOOL_FAILED, "a tool of the agent raised an unexpected error", error)
    match error:
        case MusterdError():
            return error
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
