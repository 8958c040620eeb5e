"""Shows a stream of events as it comes: live on a terminal, as lines elsewhere, or as JSON for machines."""

from typing import Protocol

from musterd.cli.rendering import print_json, stderr, stdout, what_waits
from musterd_client import Approval, ApprovalKind, ApprovalRequested, Event, QuestionAsked, Task


class Display(Protocol):
    """Shows the events of one stream."""

    def show(self, event: Event, task: Task) -> None:
        """Shows an event of the stream of the task."""
        ...

    def end(self, task: Task, text: str) -> None:
        """Shows how the stream came out; `text` is the task's own text, of which the events told."""
        ...

    def pause(self) -> None:
        """Leaves the terminal to somebody else, and keeps what is shown meanwhile."""
        ...

    def resume(self) -> None:
        """Takes the terminal again, and shows what was kept."""
        ...

    def close(self) -> None:
        """Lets go of the terminal; nothing is shown after that. Closing again does nothing."""
        ...


class JsonLines:
    """Prints each event as one line of JSON."""

    def show(self, event: Event, task: Task) -> None:
        """Prints the event, whosever it is."""
        del task
        print_json(event)

    def end(self, task: Task, text: str) -> None:
        """Prints nothing: the last event said it all."""

    def pause(self) -> None:
        """Does nothing: nobody else writes among lines for machines."""

    def resume(self) -> None:
        """Does nothing: nothing was kept."""

    def close(self) -> None:
        """Does nothing: each line stands for itself."""


def display_for(options: str, *, as_json: bool) -> Display:
    """Returns what shows a run. `options` go into the commands that it tells: they lead to the same server."""
    from musterd.cli.live import LiveTree
    from musterd.cli.transcript import Transcript

    if as_json:
        return JsonLines()
    is_live = stdout().file.isatty() and stderr().file.isatty() and not stderr().is_dumb_terminal
    return LiveTree(options) if is_live else Transcript(options)


def how_to_answer(event: QuestionAsked | ApprovalRequested, options: str) -> str:
    """Returns what is asked with its id, and the command that answers it."""
    if isinstance(event, ApprovalRequested):
        return _how_to_resolve(event.approval, options)
    command = f'musterd tasks answer {event.task_id} "…" --question {event.question_id}{options}'
    return f"? {event.text}\n  question {event.question_id}, answer with: {command}"


def _how_to_resolve(approval: Approval, options: str) -> str:
    decisions = "--result JSON or --deny" if approval.kind is ApprovalKind.EXTERNAL else "--approve or --deny"
    command = f"musterd tasks resolve {approval.task_id} --approval {approval.approval_id}{options}"
    return f"? {what_waits(approval)}\n  approval {approval.approval_id}, decide with {decisions}: {command}"
