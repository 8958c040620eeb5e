"""Shows a stream of events as it comes: for people, or as a line of JSON for each event."""

from typing import Protocol

from rich.console import Console
from rich.text import Text

from musterd.cli.rendering import harmless, print_json, stderr, stdout, usage_line
from musterd_client import (
    AuthRequired,
    CancelRequested,
    Custom,
    Event,
    RetryScheduled,
    Steered,
    StepRestarted,
    Task,
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
    TaskStarted,
    TextDelta,
    ThinkingDelta,
    ToolCallCompleted,
    ToolCallFailed,
    ToolCallStarted,
)


class Display(Protocol):
    """Shows the events of one stream."""

    def show(self, event: Event, task: Task) -> None:
        """Shows an event of the stream of the task."""
        ...

    def end(self, task: Task, text: str) -> None:
        """Shows how the stream came out, after the task's own text was shown as it came."""
        ...


class JsonLines:
    """Prints each event as one line of JSON."""

    def show(self, event: Event, task: Task) -> None:
        """Prints the event, whosever it is."""
        del task
        print_json(event)

    def end(self, task: Task, text: str) -> None:
        """Prints nothing: the last event said it all."""


class Transcript:
    """Prints a run for people: its text to stdout, and its thinking, its tool calls and its usage to stderr."""

    def __init__(self) -> None:
        self._out = stdout()
        self._err = stderr()
        self._open_line: Console | None = None

    def show(self, event: Event, task: Task) -> None:
        """Prints the event; of other tasks than the stream's own the tool calls and the end."""
        own = event.task_id == task.task_id
        match event:
            case TextDelta() if own:
                self._inline(self._out, event.text)
            case ThinkingDelta() if own:
                self._inline(self._err, event.text, style="dim")
            case _:
                if line := _line_for(event, own=own):
                    self._line(line if own else f"{event.component.id}: {line}")

    def end(self, task: Task, text: str) -> None:
        """Prints the result when it was not streamed as text, and the usage."""
        self._break_line()
        output = task.output.text if task.output else ""
        if output and not text.rstrip().endswith(output.rstrip()):
            self._out.out(harmless(output, self._out))
        self._line(usage_line(task.usage))

    def _inline(self, console: Console, text: str, style: str | None = None) -> None:
        if self._open_line is not None and self._open_line is not console:
            self._break_line()
        console.out(harmless(text, console), end="", style=style)
        if text:
            self._open_line = None if text.endswith("\n") else console

    def _line(self, text: str) -> None:
        self._break_line()
        clear = harmless(text, self._err).replace("\n", " ")
        short = self._err.is_terminal
        self._err.print(Text(clear, style="dim"), no_wrap=short, soft_wrap=not short, overflow="ellipsis")

    def _break_line(self) -> None:
        if self._open_line is not None:
            self._open_line.out("")
            self._open_line = None


def _line_for(event: Event, *, own: bool) -> str:
    """Returns the line that tells of the event; nothing for one that people need not see."""
    return _tool_line(event) or _outside_line(event) or (_step_line(event) if own else _other_task_line(event))


def _tool_line(event: Event) -> str:
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


def _outside_line(event: Event) -> str:
    match event:
        case Steered():
            return f"» {event.message}"
        case CancelRequested():
            return f"■ cancel requested {event.reason}".rstrip()
        case AuthRequired():
            return f"? waits for its owner: musterd tasks answer {event.task_id}"
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
        case TaskStarted() | TaskCompleted() | TaskFailed() | TaskCanceled():
            return event.kind.replace("_", " ")
        case _:
            return ""
