"""Questions that tasks ask somebody outside."""

from collections.abc import Sequence
from datetime import timedelta

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Payload, QuestionAnswered, QuestionAsked, QuestionExpired
from musterd.domain.ports import AskedQuestion, Lost, QuestionState, RequestKey
from musterd.domain.principal import Viewer
from musterd.domain.task import Question, Task, TaskState, can_change
from musterd.store.encoding import TEXT, to_micros
from musterd.store.postgres.approval_rows import find_open_requests
from musterd.store.postgres.live import LiveTask
from musterd.store.postgres.question_rows import find_question, read_open_questions, read_question
from musterd.store.postgres.requests import Outcome, find_outcome, save_outcome
from musterd.store.postgres.rows import read_visible
from musterd.store.postgres.statements import load_statement
from musterd.store.postgres.transaction import Transaction

_INSERT = load_statement("insert_question")
_CLOSE = load_statement("close_question")


async def ask(
    transaction: Transaction, task_id: str, attempt: int, *, question_id: str, text: str, seconds: float
) -> AskedQuestion | Lost:
    """Store a question, unless it is there, and let the task wait while it is open."""
    task = await transaction.find(task_id)
    if task is None or not task.is_held(attempt):
        return Lost()
    connection = transaction.connection
    asked = await find_question(connection, question_id)
    if asked is None:
        now, expire_time = transaction.now_micros, transaction.now + timedelta(seconds=seconds)
        values = (task.tree.tenant_id, question_id, task_id, TEXT.encode(text), now, to_micros(expire_time))
        await connection.execute(_INSERT, *values)
        transaction.append(task, (QuestionAsked(question_id=question_id, text=text, expire_time=expire_time),))
        asked = await read_question(connection, question_id)
    # A task that was taken over works until it asks again.
    if asked.state is QuestionState.OPEN and task.state is not TaskState.INPUT_REQUIRED:
        _change_state(transaction, task, TaskState.INPUT_REQUIRED)
    return asked


async def answer(
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
    seen = await read_visible(transaction.connection, viewer, task_id)
    if await find_outcome(transaction.connection, request) is not None:
        return await transaction.read_task(task_id)
    question = _choose(await read_open_questions(transaction.connection, task_id), seen, question_id)
    task = await transaction.find(task_id)
    if task is None:
        raise LookupError(task_id)
    answered = QuestionAnswered(question_id=question.question_id, answer=answer, user_id=user_id)
    values = (question.question_id, QuestionState.ANSWERED.value, TEXT.encode(answer), user_id or None)
    await _close(transaction, task, values, answered)
    await save_outcome(transaction, request, Outcome(task_id=task_id))
    return await transaction.read_task(task_id)


async def expire_question(
    transaction: Transaction, task_id: str, attempt: int, question_id: str
) -> AskedQuestion | Lost:
    """Close a question that nobody answered."""
    task = await transaction.find(task_id)
    if task is None or not task.is_held(attempt):
        return Lost()
    asked = await read_question(transaction.connection, question_id)
    if asked.state is not QuestionState.OPEN or asked.question.task_id != task_id:
        return asked
    values = (question_id, QuestionState.EXPIRED.value, None, None)
    await _close(transaction, task, values, QuestionExpired(question_id=question_id))
    return await read_question(transaction.connection, question_id)


async def _close(transaction: Transaction, task: LiveTask, values: tuple[object, ...], payload: Payload) -> None:
    await transaction.connection.execute(_CLOSE, *values)
    transaction.append(task, (payload,))
    # One that waits for something else by now goes on waiting.
    open_ones = await find_open_requests(transaction.connection, task.task_id)
    if task.state is TaskState.INPUT_REQUIRED and not any(open_ones):
        _change_state(transaction, task, TaskState.WORKING)


def _change_state(transaction: Transaction, task: LiveTask, state: TaskState) -> None:
    if can_change(task.state, state):
        transaction.change_state(task, state)


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
