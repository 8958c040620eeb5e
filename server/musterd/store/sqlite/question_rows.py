"""Rows of the question table and the questions that they stand for."""

import sqlite3
from collections.abc import Mapping, Sequence

from musterd.domain.ports import AskedQuestion, QuestionState
from musterd.domain.task import Question
from musterd.store.encoding import TEXT, TEXTS, from_micros

_COLUMNS = "question_id, task_id, body, create_time, expire_time, state, answer"
_READ = f"SELECT {_COLUMNS} FROM question WHERE question_id = ?"  # noqa: S608 - of constants
_READ_OPEN = f"""
SELECT {_COLUMNS} FROM question
WHERE task_id IN (SELECT value FROM json_each(?)) AND state = 'open'
ORDER BY position
"""  # noqa: S608 - of constants


def find_question(connection: sqlite3.Connection, question_id: str) -> AskedQuestion | None:
    """Return a question as it stands; None when there is none with this id."""
    row = connection.execute(_READ, (question_id,)).fetchone()
    return None if row is None else _to_asked(row)


def read_question(connection: sqlite3.Connection, question_id: str) -> AskedQuestion:
    """Return a question as it stands. Raises LookupError when there is none."""
    asked = find_question(connection, question_id)
    if asked is None:
        raise LookupError(f"there is no question {question_id!r}")
    return asked


def read_open_questions(connection: sqlite3.Connection, task_ids: Sequence[str]) -> Mapping[str, Sequence[Question]]:
    """Return the open questions of tasks by the task's id, oldest first."""
    found: dict[str, list[Question]] = {}
    for row in connection.execute(_READ_OPEN, (TEXTS.encode(tuple(task_ids)).decode(),)).fetchall():
        question = _to_asked(row).question
        found.setdefault(question.task_id, []).append(question)
    return found


def _to_asked(row: tuple[str, str, bytes, int, int, str, bytes | None]) -> AskedQuestion:
    question_id, task_id, body, create_time, expire_time, state, answer = row
    return AskedQuestion(
        question=Question(
            question_id=question_id,
            task_id=task_id,
            text=TEXT.decode(body),
            create_time=from_micros(create_time),
            expire_time=from_micros(expire_time),
        ),
        state=QuestionState(state),
        answer="" if answer is None else TEXT.decode(answer),
    )
