"""Shows a run on a terminal: a tree of its tasks that changes as they work, and the answer below it."""

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from musterd.cli.display import how_to_answer
from musterd.cli.event_lines import outside_line
from musterd.cli.rendering import harmless, stdout
from musterd.cli.tree import TaskTree, fitting, in_order, new_tree
from musterd.cli.tree_events import with_event
from musterd.cli.tree_rendering import table_at_work
from musterd_client import ApprovalRequested, Event, QuestionAsked, Task

REFRESHES_PER_SECOND = 8

_MIN_ANSWER_LINES = 3
_OTHER_LINES = 2
"""One that says how many tasks are left out, and one for the cursor."""


class LiveTree:
    """Shows the tree on stderr while the run goes on; at the end, the tree as it came out, and the answer on stdout.

    Questions, and what came from outside, stay above the tree. The tree shown is always one frozen value: a thread of
    the terminal library draws it.
    """

    def __init__(self, options: str = "", *, out: Console | None = None, err: Console | None = None) -> None:
        self._options = options
        self._out = out or stdout()
        self._err = err or Console(stderr=True, highlight=False)
        self._tree: TaskTree | None = None
        self._live: Live | None = None
        self._kept: list[Text] | None = None

    def show(self, event: Event, task: Task) -> None:
        """Takes the event into the tree, and prints what is to stay."""
        self._tree = with_event(self._tree or new_tree(task), event)
        if self._kept is None:
            self._start()
        asks = isinstance(event, QuestionAsked | ApprovalRequested)
        if line := how_to_answer(event, self._options) if asks else outside_line(event):
            name = self._tree.rows[event.task_id].name
            self._print(Text(harmless(f"{name}: {line}", self._err), style="yellow"))

    def end(self, task: Task, text: str) -> None:
        """Prints the tree as it came out, and the result: the text that is there when there is no result."""
        self.close()
        tree = self._tree or new_tree(task)
        self._err.print(table_at_work(in_order(tree), self._err))
        if answer := (task.output.text if task.output else "") or text:
            self._out.out(harmless(answer, self._out))

    def pause(self) -> None:
        """Takes the tree off the screen; what is to stay is kept."""
        self.close()
        self._kept = []

    def resume(self) -> None:
        """Prints what was kept, and shows the tree again."""
        kept, self._kept = self._kept or [], None
        self._start()
        for text in kept:
            self._print(text)

    def close(self) -> None:
        """Takes the tree off the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def render(self) -> RenderableType:
        """Returns the tree as it stands and the end of the answer, within the height of the terminal."""
        if self._tree is None:
            return ""
        height = self._err.height
        rows, left_out = fitting(self._tree, height - _MIN_ANSWER_LINES - _OTHER_LINES)
        parts: list[RenderableType] = [table_at_work(rows, self._err)]
        if left_out:
            parts.append(Text(f"… and {left_out} more", style="dim"))
        room = height - len(rows) - _OTHER_LINES
        if tail := harmless(self._tree.root.tail, self._err).rstrip():
            parts += Text(tail).wrap(self._err, self._err.width)[-max(room, 1) :]
        return Group(*parts)

    def _start(self) -> None:
        if self._live is None:
            self._live = Live(
                console=self._err,
                get_renderable=self.render,
                refresh_per_second=REFRESHES_PER_SECOND,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def _print(self, text: Text) -> None:
        if self._kept is None:
            # The terminal breaks a command that is too long, so that it is still copied as one line.
            self._err.print(text, soft_wrap=True)
        else:
            self._kept.append(text)
