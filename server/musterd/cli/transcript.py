"""Shows a run line by line, for files, pipes and terminals that cannot do more."""

from rich.console import Console
from rich.text import Text

from musterd.cli.display import how_to_answer
from musterd.cli.event_lines import line_for
from musterd.cli.rendering import harmless, one_line, stderr, stdout, usage_line
from musterd.cli.tree import TaskTree, new_tree
from musterd.cli.tree_events import with_event
from musterd_client import (
    ApprovalRequested,
    Event,
    QuestionAsked,
    SubtaskStarted,
    Task,
    TextDelta,
    ThinkingDelta,
)


class Transcript:
    """Prints a run for people: its text to stdout, and its thinking, its tool calls and its usage to stderr.

    The lines of the tasks below it begin with their names.
    """

    def __init__(self, options: str = "") -> None:
        self._options = options
        self._out = stdout()
        self._err = stderr()
        self._open_line: Console | None = None
        self._tree: TaskTree | None = None
        self._kept: list[tuple[Event, Task]] | None = None

    def show(self, event: Event, task: Task) -> None:
        """Prints the event; of other tasks than the stream's own neither text nor thinking."""
        if self._kept is not None:
            self._kept.append((event, task))
            return
        own = event.task_id == task.task_id
        tree = self._tree = with_event(self._tree or new_tree(task), event)
        name = "" if own else f"{tree.rows[event.task_id].name}: "
        match event:
            case TextDelta() if own:
                self._inline(self._out, event.text)
            case ThinkingDelta() if own:
                self._inline(self._err, event.text, style="dim")
            case QuestionAsked() | ApprovalRequested():
                self._break_line()
                self._err.out(harmless(name + how_to_answer(event, self._options), self._err))
            case SubtaskStarted():
                child = tree.rows[event.subtask_id]
                self._line(f"{name}⇢ {child.name}: {event.description}")
            case _:
                if line := line_for(event, own=own):
                    self._line(name + line)

    def end(self, task: Task, text: str) -> None:
        """Prints the result when it was not streamed as text, and the usage."""
        self._break_line()
        output = task.output.text if task.output else ""
        if output and not text.rstrip().endswith(output.rstrip()):
            self._out.out(harmless(output, self._out))
        self._line(usage_line(task.usage))

    def pause(self) -> None:
        """Ends the line that is open; events are kept."""
        self._break_line()
        self._kept = []

    def resume(self) -> None:
        """Prints the events that were kept."""
        kept, self._kept = self._kept or [], None
        for event, task in kept:
            self.show(event, task)

    def close(self) -> None:
        """Ends the line that is open."""
        self._break_line()

    def _inline(self, console: Console, text: str, style: str | None = None) -> None:
        if self._open_line is not None and self._open_line is not console:
            self._break_line()
        console.out(harmless(text, console), end="", style=style)
        if text:
            self._open_line = None if text.endswith("\n") else console

    def _line(self, text: str) -> None:
        self._break_line()
        clear = one_line(text, self._err)
        short = self._err.is_terminal
        overflow = "ellipsis" if short else "ignore"
        self._err.print(Text(clear, style="dim"), no_wrap=True, soft_wrap=not short, overflow=overflow)

    def _break_line(self) -> None:
        if self._open_line is not None:
            self._open_line.out("")
            self._open_line = None
