"""The line that tells people of an event."""

from musterd.cli.rendering import usage_line
from musterd.cli.workflow_lines import workflow_line
from musterd_client import (
    ApprovalResolved,
    AuthRequired,
    CancelRequested,
    Custom,
    Event,
    HookCompleted,
    HookFailed,
    HookStarted,
    QuestionAnswered,
    QuestionExpired,
    RetryScheduled,
    Steered,
    StepRestarted,
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
    TaskStarted,
    TeamMessageSent,
    TodoChanged,
    ToolCallCompleted,
    ToolCallFailed,
    ToolCallStarted,
)


def line_for(event: Event, *, own: bool) -> str:
    """Returns the line that tells of the event; nothing for one that people need not see.

    `own` says that it is of the task that is followed, whose start and end need no line.
    """
    return (
        tool_line(event)
        or outside_line(event)
        or _board_line(event)
        or workflow_line(event)
        or hook_line(event)
        or (_step_line(event) if own else _other_task_line(event))
    )


def tool_line(event: Event) -> str:
    """Returns the line of a tool's event, or of one that a tool emitted."""
    match event:
        case ToolCallStarted():
            return f"→ {event.tool_name} {event.arguments_json}"
        case ToolCallCompleted():
            size = f"({event.omitted_bytes} bytes)"
            return f"← {event.tool_name} {size if event.omitted_bytes else event.result_json}"
        case ToolCallFailed():
            return f"✗ {event.tool_name} {event.message}"
        case Custom():
            return f"· {event.type} {event.payload}"
        case _:
            return ""


def outside_line(event: Event) -> str:
    """Returns the line of what came from outside the task, or is wanted from there."""
    match event:
        case Steered():
            return f"» {event.message}"
        case CancelRequested():
            return f"■ cancel requested {event.reason}".rstrip()
        case AuthRequired():
            return f"? waits for its owner: musterd tasks answer {event.task_id}"
        case _:
            return _decision_line(event)


def _decision_line(event: Event) -> str:
    match event:
        case QuestionAnswered():
            return f"! {event.answer}"
        case QuestionExpired():
            return f"! nobody answered question {event.question_id} in time"
        case ApprovalResolved():
            by = f" by {event.user_id}" if event.user_id else ""
            because = f": {event.reason}" if event.reason else ""
            return f"! approval {event.approval_id} {event.state.lower()}{by}{because}"
        case _:
            return ""


def hook_line(event: Event) -> str:
    """Returns the line of a hook's event."""
    match event:
        case HookStarted():
            return f"⚑ {_hook_name(event)} begins"
        case HookCompleted():
            return f"⚑ {_hook_name(event)} done"
        case HookFailed():
            found = f"{event.trigger}: " if event.trigger else ""
            again = ", it is tried again" if event.will_retry else ""
            return f"✗ {_hook_name(event)}: {found}{event.message}{again}"
        case _:
            return ""


def _hook_name(event: HookStarted | HookCompleted | HookFailed) -> str:
    attempt = f" (attempt {event.attempt})" if event.attempt > 1 else ""
    return f"{event.phase.lower()}-hook {event.name}{attempt}"


def _board_line(event: Event) -> str:
    match event:
        case TodoChanged():
            by = f" by {event.actor}" if event.actor else ""
            return f"☐ {event.todo.todo_id} {event.change.lower()}{by}: {event.todo.content}"
        case TeamMessageSent():
            sent = event.message
            return f"✉ {sent.sender} to {sent.receiver or 'all'}: {sent.content}"
        case _:
            return ""


def _step_line(event: Event) -> str:
    match event:
        case StepRestarted():
            return "↻ the response was cut off and begins again"
        case RetryScheduled():
            return f"↻ again in {event.delay_seconds:g} s: {event.message}"
        case _:
            return ""


def _other_task_line(event: Event) -> str:
    match event:
        case TaskStarted():
            return "task started"
        case TaskCompleted():
            return f"task completed: {usage_line(event.usage)}"
        case TaskFailed():
            return f"task failed: {event.error.reason}: {event.error.message}"
        case TaskCanceled():
            return f"task canceled: {event.reason}" if event.reason else "task canceled"
        case _:
            return ""
