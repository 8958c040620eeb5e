"""Rows of the question table and the questions that they stand for."""

from collections.abc import Sequence

from musterd.domain.ports import AskedQuestion, QuestionState
from musterd.domain.task import Question
from musterd.store.encoding import TEXT, from_micros
from musterd.store.postgres.connection import Connection, Row
from musterd.store.postgres.statements import load_statement

_READ = load_statement("read_question")
_READ_OPEN = load_statement("read_open_questions")


async def find_question(connection: Connection, question_id: str) -> AskedQuestion | None:
    """Return a question as it stands; None when there is none with this id."""
    row = await connection.fetchrow(_READ, question_id)
    return None if row is None else _to_asked(row)


async def read_question(connection: Connection, question_id: str) -> AskedQuestion:
    """Return a question as it stands. Raises LookupError when there is none."""
    asked = await find_question(connection, question_id)
    if asked is None:
        raise LookupError(f"there is no question {question_id!r}")
    return asked


async def read_open_questions(connection: Connection, task_id: str) -> Sequence[Question]:
    """Return the open questions of a task, oldest first."""
    return [_to_asked(row).question for row in await connection.fetch(_READ_OPEN, task_id)]


def _to_asked(row: Row) -> AskedQuestion:
    return AskedQuestion(
        question=Question(
            question_id=row["question_id"],
            task_id=row["task_id"],
            text=TEXT.decode(row["body"]),
            create_time=from_micros(row["create_time"]),
            expire_time=from_micros(row["expire_time"]),
        ),
        state=QuestionState(row["state"]),
        answer="" if row["answer"] is None else TEXT.decode(row["answer"]),
    )
