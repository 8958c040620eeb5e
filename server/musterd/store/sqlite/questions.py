"""Questions that tasks ask somebody outside."""

import sqlite3
from collections.abc import Sequence
from datetime import timedelta

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Payload, QuestionAnswered, QuestionAsked, QuestionExpired
from musterd.domain.ports import AskedQuestion, Lost, QuestionState, RequestKey
from musterd.domain.principal import Viewer
from musterd.domain.task import Question, Task, TaskState, can_change
from musterd.store.encoding import TEXT, to_micros
from musterd.store.sqlite.approval_rows import waits_for_somebody
from musterd.store.sqlite.live import LiveTask
from musterd.store.sqlite.question_rows import find_question, read_open_questions, read_question
from musterd.store.sqlite.requests import Outcome, find_outcome, save_outcome
from musterd.store.sqlite.rows import read_visible
from musterd.store.sqlite.transaction import Transaction

_INSERT = """
INSERT INTO question (question_id, task_id, state, body, create_time, expire_time) VALUES (?, ?, 'open', ?, ?, ?)
"""
_CLOSE = "UPDATE question SET state = ?, answer = ?, user_id = ? WHERE question_id = ?"
_EXPIRE_ALL = "UPDATE question SET state = 'expired' WHERE task_id = ? AND state = 'open'"


def ask(
    transaction: Transaction, task_id: str, attempt: int, *, question_id: str, text: str, seconds: float
) -> AskedQuestion | Lost:
    """Store a question, unless it is there, and let the task wait while it is open."""
    task = transaction.find(task_id)
    if task is None or not task.is_held(attempt):
        return Lost()
    asked = find_question(transaction.connection, question_id)
    if asked is None:
        expire_time = transaction.now + timedelta(seconds=seconds)
        transaction.connection.execute(
            _INSERT, (question_id, task_id, TEXT.encode(text), transaction.now_micros, to_micros(expire_time))
        )
        transaction.append(task, (QuestionAsked(question_id=question_id, text=text, expire_time=expire_time),))
        asked = read_question(transaction.connection, question_id)
    # A task that was taken over works until it asks again.
    if asked.state is QuestionState.OPEN and task.state is not TaskState.INPUT_REQUIRED:
        _change_state(transaction, task, TaskState.INPUT_REQUIRED)
    return asked


def answer(
    transaction: Transaction,
    viewer: Viewer,
    task_id: str,
    question_id: str,
    *,
    answer: str,
    user_id: str,
    request: RequestKey | None,
) -> Task:
    """Answer an open question, unless the request was made before."""
    seen = read_visible(transaction.connection, viewer, task_id)
    if find_outcome(transaction.connection, request) is not None:
        return transaction.read_task(task_id)
    question = _choose(_read_open(transaction.connection, task_id), seen, question_id)
    task = transaction.find(task_id)
    if task is None:
        raise LookupError(task_id)
    answered = QuestionAnswered(question_id=question.question_id, answer=answer, user_id=user_id)
    values = (QuestionState.ANSWERED.value, TEXT.encode(answer), user_id or None, question.question_id)
    _close(transaction, task, values, answered)
    save_outcome(transaction, request, Outcome(task_id=task_id))
    return transaction.read_task(task_id)


def expire_question(transaction: Transaction, task_id: str, attempt: int, question_id: str) -> AskedQuestion | Lost:
    """Close a question that nobody answered."""
    task = transaction.find(task_id)
    if task is None or not task.is_held(attempt):
        return Lost()
    asked = read_question(transaction.connection, question_id)
    if asked.state is not QuestionState.OPEN or asked.question.task_id != task_id:
        return asked
    values = (QuestionState.EXPIRED.value, None, None, question_id)
    _close(transaction, task, values, QuestionExpired(question_id=question_id))
    return read_question(transaction.connection, question_id)


def expire_open_questions(transaction: Transaction, task_id: str) -> None:
    """Close all questions of a task that ends."""
    transaction.connection.execute(_EXPIRE_ALL, (task_id,))


def _close(transaction: Transaction, task: LiveTask, values: tuple[object, ...], payload: Payload) -> None:
    transaction.connection.execute(_CLOSE, values)
    transaction.append(task, (payload,))
    # One that waits for something else by now goes on waiting.
    if task.state is TaskState.INPUT_REQUIRED and not waits_for_somebody(transaction.connection, task.task_id):
        _change_state(transaction, task, TaskState.WORKING)


def _change_state(transaction: Transaction, task: LiveTask, state: TaskState) -> None:
    if can_change(task.state, state):
        transaction.change_state(task, state)


def _read_open(connection: sqlite3.Connection, task_id: str) -> Sequence[Question]:
    return read_open_questions(connection, (task_id,)).get(task_id, ())


def _choose(open_questions: Sequence[Question], task: Task, question_id: str) -> Question:
    """Return the question that is meant. Raises TASK_NOT_WAITING."""
    ids = [question.question_id for question in open_questions]
    if question_id in ids:
        return open_questions[ids.index(question_id)]
    if len(ids) == 1 and not question_id:
        return open_questions[0]
    if question_id:
        problem = f"the question {question_id!r} is not open"
    elif ids:
        problem = f"the task has {len(ids)} open questions: name one of {', '.join(ids)} as question_id"
    else:
        problem = f"the task is {task.state.value} and has no open question"
    raise MusterdError(
        reason=Reason.TASK_NOT_WAITING,
        message=problem,
        metadata={"task_id": task.task_id, "state": task.state.value},
    )
