"""Rows of the task table and the tasks that they stand for."""

from collections.abc import Sequence
from datetime import datetime

from musterd.domain.errors import task_not_found
from musterd.domain.principal import Viewer
from musterd.domain.task import ComponentKind, ComponentRef, Priority, Question, Task, TaskState, Usage
from musterd.store.encoding import APPROVAL, ERROR, LABELS, OUTPUT, TEXT, USAGE, from_micros
from musterd.store.postgres.connection import Connection, Row
from musterd.store.postgres.statements import load_statement

_READ = load_statement("read_task")
_READ_VISIBLE = load_statement("read_visible_tasks")
_READ_SHOWN = load_statement("read_shown_tasks")
_READ_NUMBER = load_statement("read_number")
_READ_DESCENDANTS = load_statement("read_descendants")
_FIND_LIVE_DESCENDANTS = load_statement("find_live_descendants")

NO_USAGE = Usage()


def to_usage(data: bytes | None) -> Usage:
    """Return what a task has spent."""
    return NO_USAGE if data is None else USAGE.decode(data)


def to_spent(row: Row) -> Usage:
    """Return what a tree has spent."""
    return Usage(
        requests=row["spent_requests"],
        tool_calls=row["spent_tool_calls"],
        input_tokens=row["spent_input_tokens"],
        output_tokens=row["spent_output_tokens"],
        cache_read_tokens=row["spent_cache_read_tokens"],
        cache_write_tokens=row["spent_cache_write_tokens"],
    )


def spent_values(spent: Usage) -> tuple[int, ...]:
    """Return what a tree has spent in the order of the statement that stores it."""
    return (
        spent.requests,
        spent.tool_calls,
        spent.input_tokens,
        spent.output_tokens,
        spent.cache_read_tokens,
        spent.cache_write_tokens,
    )


def to_task(row: Row) -> Task:
    """Return the task of a row of the view shown_task."""
    return Task(
        task_id=row["task_id"],
        root_task_id=row["root_task_id"],
        parent_task_id=row["parent_task_id"] or "",
        component=ComponentRef(kind=ComponentKind(row["component_kind"]), id=row["component_id"]),
        state=TaskState(row["state"]),
        tenant_id=row["tenant_id"],
        user_id=row["user_id"],
        session_id=row["session_id"] or "",
        priority=Priority(row["priority"]),
        attempt=row["attempt"],
        create_time=from_micros(row["create_time"]),
        start_time=_optional_time(row["start_time"]),
        update_time=from_micros(row["update_time"]),
        end_time=_optional_time(row["end_time"]),
        usage=to_usage(row["usage"]),
        output=None if row["output"] is None else OUTPUT.decode(row["output"]),
        error=None if row["error"] is None else ERROR.decode(row["error"]),
        last_sequence=row["last_sequence"],
        request_id=row["request_id"] or "",
        labels={} if row["labels"] is None else LABELS.decode(row["labels"]),
        description="" if row["description"] is None else TEXT.decode(row["description"]),
        outlives_parent=row["outlives_parent"],
        tree_usage=to_spent(row) if row["parent_task_id"] is None else None,
        questions=tuple(_to_question(row["task_id"], question) for question in row["open_questions"] or ()),
        approvals=tuple(APPROVAL.decode(body) for body in row["open_approvals"] or ()),
        parked_seconds=row["parked_micros"] / 1_000_000,
        parked_count=row["parked_count"],
    )


def _to_question(task_id: str, values: Sequence[str]) -> Question:
    question_id, body, create_time, expire_time = values
    return Question(
        question_id=question_id,
        task_id=task_id,
        text=TEXT.decode(body.encode()),
        create_time=from_micros(int(create_time)),
        expire_time=from_micros(int(expire_time)),
    )


def _optional_time(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


async def read_task(connection: Connection, task_id: str) -> Task:
    """Return a task, whoever it belongs to. Raises TASK_NOT_FOUND."""
    row = await connection.fetchrow(_READ, task_id)
    if row is None:
        raise task_not_found(task_id)
    return to_task(row)


async def read_visible(connection: Connection, viewer: Viewer, task_id: str) -> Task:
    """Return a task that is the viewer's to change. Raises TASK_NOT_FOUND."""
    row = await connection.fetchrow(_READ_VISIBLE, [task_id], viewer.tenant_id, viewer.user_id)
    if row is None:
        raise task_not_found(task_id)
    return to_task(row)


async def read_shown(connection: Connection, viewer: Viewer, task_id: str) -> Task:
    """Return a task that the viewer may look at, as one who approves too. Raises TASK_NOT_FOUND."""
    return (await read_many_shown(connection, viewer, (task_id,)))[0]


async def read_many_shown(connection: Connection, viewer: Viewer, task_ids: Sequence[str]) -> Sequence[Task]:
    """Return the tasks in the order of the ids. Raises TASK_NOT_FOUND for the first that is not to be looked at."""
    seen_by = (viewer.tenant_id, viewer.user_id, viewer.approver_id or None)
    found = {row["task_id"]: to_task(row) for row in await connection.fetch(_READ_SHOWN, list(task_ids), *seen_by)}
    for task_id in task_ids:
        if task_id not in found:
            raise task_not_found(task_id)
    return [found[task_id] for task_id in task_ids]


async def read_number(connection: Connection, viewer: Viewer | None, task_id: str) -> int:
    """Return the number of a task, which the viewer, if there is one, may see. Raises TASK_NOT_FOUND."""
    seen_by = (None, None) if viewer is None else (viewer.tenant_id, viewer.user_id)
    number = await connection.fetchval(_READ_NUMBER, task_id, *seen_by)
    if number is None:
        raise task_not_found(task_id)
    return number


async def read_descendants(connection: Connection, task_id: str) -> Sequence[Task]:
    """Return all tasks below a task."""
    return [to_task(row) for row in await connection.fetch(_READ_DESCENDANTS, task_id)]


async def find_live_descendants(connection: Connection, task_id: str) -> Sequence[str]:
    """Return the ids of the tasks below a task that have not ended."""
    return [row["task_id"] for row in await connection.fetch(_FIND_LIVE_DESCENDANTS, task_id)]
