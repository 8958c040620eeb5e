"""Rows of the task table and the tasks that they stand for."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from musterd.domain.errors import task_not_found
from musterd.domain.principal import Viewer
from musterd.domain.task import ComponentKind, ComponentRef, Priority, Task, TaskState, Usage
from musterd.store.encoding import ERROR, LABELS, OUTPUT, TEXT, TEXTS, USAGE, from_micros
from musterd.store.sqlite.approval_rows import read_open_in_trees
from musterd.store.sqlite.question_rows import read_open_questions

NO_USAGE = Usage()
NO_LABELS: Mapping[str, str] = {}

SPENT_COLUMNS = (
    "spent_requests, spent_tool_calls, spent_input_tokens, spent_output_tokens,"
    " spent_cache_read_tokens, spent_cache_write_tokens"
)
TASK_COLUMNS = f"""
task_id, task.root_task_id, parent_task_id, component_kind, component_id, state, task.tenant_id, user_id, session_id,
priority, attempt, create_time, start_time, update_time, task.end_time, usage, output, error, last_sequence, request_id,
labels, description, outlives_parent, parked_micros, parked_count,
EXISTS (SELECT 1 FROM approval WHERE approval.root_task_id = task.root_task_id AND approval.state = 'open'),
{SPENT_COLUMNS}
"""  # noqa: S608 - of constants
_SELECT = f"SELECT {TASK_COLUMNS} FROM task JOIN tree ON tree.root_task_id = task.root_task_id"  # noqa: S608 - of constants
_READ = f"{_SELECT} WHERE task_id = ?"
# The plus keeps SQLite from finding rows by their tenant, which may have any number of them.
_VISIBLE = "+task.tenant_id = ? AND +user_id = coalesce(?, user_id)"
_READ_VISIBLE = f"{_READ} AND {_VISIBLE}"
_READ_NUMBER = "SELECT number FROM task WHERE task_id = ?"
_READ_VISIBLE_NUMBER = f"{_READ_NUMBER} AND {_VISIBLE}"
_READ_SHOWN = f"""
{_SELECT}
WHERE task_id IN (SELECT value FROM json_each(:task_ids)) AND +task.tenant_id = :tenant_id
  AND (
      :user_id IS NULL OR +user_id = :user_id
      OR :approver_id <> '' AND (
          EXISTS (SELECT 1 FROM approval WHERE approval.root_task_id = task.root_task_id AND approval.state = 'open')
          OR EXISTS (SELECT 1 FROM approval WHERE root_task_id = task.root_task_id AND decided_by = :approver_id)
      )
  )
"""  # noqa: S608 - of constants

_BELOW = """
WITH RECURSIVE below (task_id) AS (
    SELECT task_id FROM task WHERE parent_task_id = ?
    UNION ALL
    SELECT child.task_id FROM below JOIN task AS child ON child.parent_task_id = below.task_id
)
"""
_READ_DESCENDANTS = f"{_BELOW} {_SELECT} WHERE task_id IN (SELECT task_id FROM below)"  # noqa: S608 - of constants
_LIVE_DESCENDANTS = f"{_BELOW} SELECT task_id FROM below JOIN task USING (task_id) WHERE end_time IS NULL"  # noqa: S608 - of constants

_STATES = {state.value: state for state in TaskState}
_PRIORITIES = {priority.value: priority for priority in Priority}


def to_spent(values: Sequence[int]) -> Usage:
    """Return what SPENT_COLUMNS say."""
    requests, tool_calls, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens = values
    return Usage(
        requests=requests,
        tool_calls=tool_calls,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cache_read_tokens,
        cache_write_tokens=cache_write_tokens,
    )


def spent_values(spent: Usage) -> tuple[int, ...]:
    """Return the values of SPENT_COLUMNS."""
    return (
        spent.requests,
        spent.tool_calls,
        spent.input_tokens,
        spent.output_tokens,
        spent.cache_read_tokens,
        spent.cache_write_tokens,
    )


def to_tasks(connection: sqlite3.Connection, found: Iterable[Sequence[Any]]) -> list[Task]:
    """Return the tasks of rows of TASK_COLUMNS, with what they wait for: open questions and approvals."""
    tasks: list[Task] = []
    roots: set[str] = set()
    for row in found:
        task, has_open_approvals = _to_task(row)
        tasks.append(task)
        if has_open_approvals:
            roots.add(task.root_task_id)
    waiting = [task.task_id for task in tasks if task.state is TaskState.INPUT_REQUIRED]
    if not waiting and not roots:
        return tasks
    questions = read_open_questions(connection, waiting)
    approvals = read_open_in_trees(connection, list(roots))
    return [
        replace(
            task,
            questions=tuple(questions.get(task.task_id, ())),
            approvals=tuple(
                approval
                for approval in approvals.get(task.root_task_id, ())
                if not task.parent_task_id or approval.task_id == task.task_id
            ),
        )
        for task in tasks
    ]


def _to_task(row: Sequence[Any]) -> tuple[Task, bool]:
    """Return a task, and whether its tree has open approvals."""
    (
        task_id,
        root_task_id,
        parent_task_id,
        component_kind,
        component_id,
        state,
        tenant_id,
        user_id,
        session_id,
        priority,
        attempt,
        create_time,
        start_time,
        update_time,
        end_time,
        usage,
        output,
        error,
        last_sequence,
        request_id,
        labels,
        description,
        outlives_parent,
        parked_micros,
        parked_count,
        has_open_approvals,
        *spent,
    ) = row
    task = Task(
        task_id=task_id,
        root_task_id=root_task_id,
        parent_task_id=parent_task_id or "",
        component=ComponentRef(kind=ComponentKind(component_kind), id=component_id),
        state=_STATES[state],
        tenant_id=tenant_id,
        user_id=user_id,
        session_id=session_id or "",
        priority=_PRIORITIES[priority],
        attempt=attempt,
        create_time=from_micros(create_time),
        start_time=_optional_time(start_time),
        update_time=from_micros(update_time),
        end_time=_optional_time(end_time),
        usage=NO_USAGE if usage is None else USAGE.decode(usage),
        output=None if output is None else OUTPUT.decode(output),
        error=None if error is None else ERROR.decode(error),
        last_sequence=last_sequence,
        request_id=request_id or "",
        labels=NO_LABELS if labels is None else LABELS.decode(labels),
        description="" if description is None else TEXT.decode(description),
        outlives_parent=bool(outlives_parent),
        tree_usage=to_spent(spent) if parent_task_id is None else None,
        parked_seconds=parked_micros / 1_000_000,
        parked_count=parked_count,
    )
    return task, bool(has_open_approvals)


def read_task(connection: sqlite3.Connection, task_id: str) -> Task:
    """Return a task, whoever it belongs to. Raises TASK_NOT_FOUND."""
    row = connection.execute(_READ, (task_id,)).fetchone()
    if row is None:
        raise task_not_found(task_id)
    return to_tasks(connection, (row,))[0]


def read_visible(connection: sqlite3.Connection, viewer: Viewer, task_id: str) -> Task:
    """Return a task that is the viewer's to change. Raises TASK_NOT_FOUND."""
    row = connection.execute(_READ_VISIBLE, (task_id, viewer.tenant_id, viewer.user_id)).fetchone()
    if row is None:
        raise task_not_found(task_id)
    return to_tasks(connection, (row,))[0]


def read_number(connection: sqlite3.Connection, viewer: Viewer | None, task_id: str) -> int:
    """Return the number of a task, which the viewer, if there is one, may see. Raises TASK_NOT_FOUND."""
    if viewer is None:
        row = connection.execute(_READ_NUMBER, (task_id,)).fetchone()
    else:
        row = connection.execute(_READ_VISIBLE_NUMBER, (task_id, viewer.tenant_id, viewer.user_id)).fetchone()
    if row is None:
        raise task_not_found(task_id)
    return row[0]


def read_shown(connection: sqlite3.Connection, viewer: Viewer, task_id: str) -> Task:
    """Return a task that the viewer may look at, as one who approves too. Raises TASK_NOT_FOUND."""
    return read_many_shown(connection, viewer, (task_id,))[0]


def read_many_shown(connection: sqlite3.Connection, viewer: Viewer, task_ids: Sequence[str]) -> Sequence[Task]:
    """Return the tasks in the order of the ids. Raises TASK_NOT_FOUND for the first that is not to be looked at."""
    parameters = {
        "task_ids": TEXTS.encode(tuple(task_ids)).decode(),
        "tenant_id": viewer.tenant_id,
        "user_id": viewer.user_id,
        "approver_id": viewer.approver_id,
    }
    rows = connection.execute(_READ_SHOWN, parameters).fetchall()
    found = {task.task_id: task for task in to_tasks(connection, rows)}
    for task_id in task_ids:
        if task_id not in found:
            raise task_not_found(task_id)
    return [found[task_id] for task_id in task_ids]


def read_descendants(connection: sqlite3.Connection, task_id: str) -> Sequence[Task]:
    """Return all tasks below a task."""
    return to_tasks(connection, connection.execute(_READ_DESCENDANTS, (task_id,)).fetchall())


def find_live_descendants(connection: sqlite3.Connection, task_id: str) -> Sequence[str]:
    """Return the ids of the tasks below a task that have not ended."""
    return [found for (found,) in connection.execute(_LIVE_DESCENDANTS, (task_id,)).fetchall()]


def _optional_time(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
