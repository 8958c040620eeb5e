"""Renders the rows of a tree of tasks: as plain lines, and as a table for terminals."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from musterd.cli.rendering import one_line, usage_line
from musterd.cli.tree import Row
from musterd_client import TaskState, Usage

_STYLES = {
    TaskState.WORKING: "cyan",
    TaskState.RETRYING: "yellow",
    TaskState.INPUT_REQUIRED: "bold yellow",
    TaskState.AUTH_REQUIRED: "bold yellow",
    TaskState.CANCELING: "yellow",
    TaskState.COMPLETED: "green",
    TaskState.FAILED: "bold red",
    TaskState.REJECTED: "bold red",
    TaskState.CANCELED: "yellow",
}


TABLE_MIN_WIDTH = 100
"""In a terminal with fewer columns than these, a table of tasks has no room for what they are to do."""


def print_tasks(rows: Iterable[tuple[int, Row]], console: Console) -> None:
    """Prints the rows as a table where a terminal has room for one, else as lines."""
    if console.is_terminal and console.width >= TABLE_MIN_WIDTH:
        console.print(table_of_tasks(rows, console))
        return
    for line in plain_lines(rows, console):
        console.out(line)


def plain_lines(rows: Iterable[tuple[int, Row]], console: Console) -> Iterator[str]:
    """Yields a line for each row, indented by its depth: name, state, usage, id and description."""
    for depth, row in rows:
        fields = (row.name, row.state, usage_line(row.usage), row.task_id, row.description)
        line = "  ".join(field for field in fields if field)
        yield "  " * depth + _one_line(line, console)


def table_of_tasks(rows: Iterable[tuple[int, Row]], console: Console) -> Table:
    """Returns a table of the rows as they stand: name, state, usage, id and description."""
    table = _grid()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for depth, row in rows:
        # As Text: what a model wrote is no markup.
        table.add_row(*_head(depth, row, console), Text(row.task_id), Text(_one_line(row.description, console)))
    return table


def table_at_work(rows: Iterable[tuple[int, Row]], console: Console) -> Table:
    """Returns a table of the rows as they change: name, state, usage so far, and the last line of each but the root.

    A task that said nothing yet shows what it was asked to do. Each row takes one line.
    """
    table = _grid()
    table.expand = True
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for depth, row in rows:
        doing = row.last_line or row.description if depth else ""
        table.add_row(*_head(depth, row, console), Text(_one_line(doing, console), style="dim"))
    return table


def tokens(usage: Usage) -> str:
    """Returns the tokens in and out, in few characters."""
    return f"{usage.input_tokens} in, {usage.output_tokens} out"


def _grid() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column(no_wrap=True)
    return table


def _head(depth: int, row: Row, console: Console) -> tuple[Text, Text, Text]:
    guide = "   " * (depth - 1) + "└─ " if depth else ""
    name = Text.assemble((guide, "dim"), (_one_line(row.name, console), "bold"))
    return name, Text(row.state, style=_STYLES.get(row.state, "dim")), Text(tokens(row.usage), style="dim")


def _one_line(text: str, console: Console) -> str:
    return one_line(text, console).replace("\t", " ")
