"""Statements for many rows at once."""

import sqlite3

BATCH_SIZES = (256, 64, 16, 4, 1)


class BatchStatement:
    """A statement with a list of VALUES, run with as few steps as there can be.

    sqlite3 gives up the interpreter's lock at every step, and a busy event loop may be slow to give it back: a step a
    row, as executemany makes them, turns milliseconds into seconds.
    """

    def __init__(self, before: str, row: str, after: str = "") -> None:
        self._width = row.count("?")
        self._statements = {size: before + ", ".join([row] * size) + after for size in BATCH_SIZES}

    def run(self, connection: sqlite3.Connection, parameters: list[object]) -> None:
        """Run the statement for all rows; `parameters` are those of the first row, then of the next, and so on."""
        start, end = 0, len(parameters)
        for size, statement in self._statements.items():
            length = size * self._width
            while end - start >= length:
                connection.execute(statement, parameters[start : start + length])
                start += length
