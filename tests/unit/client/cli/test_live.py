from io import StringIO

import pytest
from rich.console import Console
from tests.unit.client.cli.happenings import ROOT_ID, USAGE, began, happened, some_task

from musterd.cli.live import LiveTree
from musterd.cli.tree import in_order, tree_of
from musterd.cli.tree_rendering import TABLE_MIN_WIDTH, print_tasks, table_of_tasks
from musterd_client import Event, Output, QuestionAsked, Steered, Task, TaskCompleted, TaskState, TextDelta

TASK = some_task()
DONE: Task = some_task(state=TaskState.COMPLETED, output=Output(text="Take an umbrella."), usage=USAGE)


class Terminal:
    """A display on a terminal of a size, and what is written on it."""

    def __init__(self, *, width: int = 100, height: int = 20) -> None:
        self.out = StringIO()
        self.err = Console(file=StringIO(), force_terminal=True, width=width, height=height, color_system=None)
        self.display = LiveTree(" --target here", out=Console(file=self.out), err=self.err)

    def show(self, *events: Event) -> None:
        for event in events:
            self.display.show(event, TASK)

    def frame(self) -> list[str]:
        """The lines of the display as it stands."""
        paper = Console(file=StringIO(), width=self.err.width, height=self.err.height)
        with paper.capture() as captured:
            paper.print(self.display.render())
        return [line.rstrip() for line in captured.get().splitlines()]

    def written(self) -> str:
        file = self.err.file
        assert isinstance(file, StringIO)
        return file.getvalue()


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def said(text: str, task_id: str = ROOT_ID) -> TextDelta:
    return happened(TextDelta, task_id, step=1, part_index=0, text=text)


def test_each_task_has_a_line_and_the_answer_is_below(terminal: Terminal) -> None:
    """T1."""
    terminal.show(began("scout", description="look"), began("writer"), said("So far.\nI see", "scout"), said("Take an"))

    frame = terminal.frame()
    terminal.display.close()

    assert frame[0].split() == ["advisers", "WORKING", "0", "in,", "0", "out"]
    assert frame[1].split() == ["└─", "scout", "WORKING", "0", "in,", "0", "out", "I", "see"]
    assert frame[2].split() == ["└─", "writer", "SUBMITTED", "0", "in,", "0", "out", "dig"]
    assert frame[3:] == ["Take an"]


def test_before_the_first_event_nothing_is_there(terminal: Terminal) -> None:
    assert terminal.frame() == [""]


def test_a_tree_that_is_too_tall_is_cut_and_leaves_room_for_the_answer() -> None:
    """T1."""
    terminal = Terminal(height=10)
    terminal.show(*(began(f"m{number}") for number in range(30)), said("\n".join(f"line {n}" for n in range(50))))

    frame = terminal.frame()
    terminal.display.close()

    assert len(frame) <= 10
    assert "… and 26 more" in frame
    assert frame[-3:] == ["line 47", "line 48", "line 49"]


def test_a_long_line_of_a_member_takes_one_line() -> None:
    terminal = Terminal(width=60)
    terminal.show(began("scout"), said("word " * 100, "scout"))

    frame = terminal.frame()
    terminal.display.close()

    assert len(frame) == 2
    assert frame[1].endswith("…")


def test_a_question_stays_with_the_command_that_answers_it(terminal: Terminal) -> None:
    """S7, R7."""
    terminal.show(began("scout"), happened(QuestionAsked, "scout", question_id="q-1", text="Which\x1b[2J way?"))
    terminal.display.close()

    lines = [line.strip() for line in terminal.written().splitlines()]
    assert any(line.endswith("scout: ? Which[2J way?") for line in lines)
    assert 'musterd tasks answer scout "…" --question q-1 --target here' in terminal.written()


def test_what_came_from_outside_stays(terminal: Terminal) -> None:
    """R6."""
    terminal.show(happened(Steered, steer_id="s", step=1, message="go left"))
    terminal.display.close()

    assert "advisers: » go left" in terminal.written()


def test_the_answer_is_printed_once_at_the_end(terminal: Terminal) -> None:
    """T1."""
    terminal.show(said("Take an"), happened(TaskCompleted, output=Output(text="Take an umbrella."), usage=USAGE))
    terminal.display.end(DONE, "Take an umbrella.")

    assert terminal.out.getvalue() == "Take an umbrella.\n"
    assert "COMPLETED" in terminal.written().splitlines()[-1]


@pytest.mark.parametrize(("text", "shown"), [("so far", "so far\n"), ("", "")], ids=["some text", "nothing"])
def test_without_a_result_the_text_is_printed_as_far_as_it_came(terminal: Terminal, text: str, shown: str) -> None:
    terminal.display.end(some_task(state=TaskState.FAILED), text)
    assert terminal.out.getvalue() == shown


def test_closing_gives_the_cursor_back_however_often(terminal: Terminal) -> None:
    terminal.show(said("Hm."))
    terminal.display.close()
    terminal.display.close()

    assert terminal.written().count("\x1b[?25l") == terminal.written().count("\x1b[?25h") == 1


@pytest.mark.parametrize("width", [TABLE_MIN_WIDTH - 1, TABLE_MIN_WIDTH])
def test_a_terminal_of_any_width_shows_what_stored_tasks_are_to_do(width: int) -> None:
    """R4: with the whole id; where there is no room for a table, in lines."""
    task_id = "1bba2871-42b6-8259-8513-28fcfdf188a6"
    console = Console(file=StringIO(), force_terminal=True, width=width, color_system=None)
    child = some_task(task_id, ROOT_ID, description="look around", usage=USAGE)
    with console.capture() as captured:
        print_tasks(in_order(tree_of(TASK, [child])), console)
    assert all(part in captured.get() for part in (task_id, "look around"))
    assert ("└─" in captured.get()) == (width >= TABLE_MIN_WIDTH)


@pytest.mark.parametrize("written", ["see [/tmp/x] now", "[bold]list[int][/bold]", ":smile:"])
def test_what_a_model_wrote_is_no_markup(written: str) -> None:
    """R4."""
    console = Console(file=StringIO(), force_terminal=True, width=TABLE_MIN_WIDTH, color_system=None)
    with console.capture() as captured:
        print_tasks(in_order(tree_of(some_task(description=written), [])), console)
    assert written in captured.get()


def test_a_table_of_stored_tasks_shows_ids_and_descriptions() -> None:
    """R4."""
    console = Console(file=StringIO(), width=100)
    child = some_task("scout", ROOT_ID, state=TaskState.COMPLETED, description="look around", usage=USAGE)
    with console.capture() as captured:
        console.print(table_of_tasks(in_order(tree_of(TASK, [child])), console))

    assert [line.split() for line in captured.get().splitlines()] == [
        ["advisers", "WORKING", "0", "in,", "0", "out", "root"],
        ["└─", "scout", "COMPLETED", "30", "in,", "12", "out", "scout", "look", "around"],
    ]
