"""Pages of tasks, read along the index that fits the query."""

import sqlite3
from collections.abc import Sequence

from musterd.domain.ports import TaskQuery
from musterd.domain.task import Task, TaskState
from musterd.store.encoding import to_micros
from musterd.store.sqlite.rows import TASK_COLUMNS, to_tasks

_AFTER_ALL = (2**63 - 1, "")


def list_tasks(connection: sqlite3.Connection, query: TaskQuery) -> Sequence[Task]:
    """Return at most `query.limit` tasks, newest first."""
    statement, parameters = _build(query)
    return to_tasks(connection, connection.execute(statement, parameters).fetchall())


def _build(query: TaskQuery) -> tuple[str, Sequence[object]]:
    """Return one SELECT of the page's rows, around one SELECT of their numbers for each state.

    The state comes before the time in an index, so that several states are several ordered ranges.
    """
    if query.has_open_approvals:
        return _build_waiting(query)
    index = _pick_index(query)
    by_state = index.endswith("_state")
    numbers: list[str] = []
    parameters: list[object] = []
    for states in [[state] for state in sorted(query.states)] if by_state else [sorted(query.states)]:
        number, values = _build_numbers(query, index, states)
        numbers.append(number)
        parameters += values
    return _build_page(" UNION ALL ".join(numbers)), (*parameters, query.limit)


def _build_page(numbers: str) -> str:
    return (
        f"SELECT {TASK_COLUMNS} FROM task JOIN tree ON tree.root_task_id = task.root_task_id"  # noqa: S608 - of constants
        f" WHERE task.number IN ({numbers}) ORDER BY create_time DESC, task_id DESC LIMIT ?"
    )


def _build_waiting(query: TaskQuery) -> tuple[str, Sequence[object]]:
    """Return the SELECT of a page of roots whose trees have open approvals, along the index of those."""
    conditions, parameters = _conditions(query)
    if query.states:
        conditions.append(f"state IN ({', '.join('?' * len(query.states))})")
        parameters += [state.value for state in sorted(query.states)]
    of_task = " AND ".join(f"+task.{condition}" for condition in conditions)
    numbers = (
        "SELECT number FROM (SELECT DISTINCT root_create_time, approval.root_task_id, number"  # noqa: S608 - of constants
        " FROM approval INDEXED BY approval_open_in_tenant CROSS JOIN task ON task.task_id = approval.root_task_id"
        " WHERE approval.tenant_id = ? AND approval.state = 'open'"
        f" AND (root_create_time, approval.root_task_id) < (?, ?) AND {of_task}"
        " ORDER BY root_create_time DESC, approval.root_task_id DESC LIMIT ?)"
    )
    return _build_page(numbers), (query.viewer.tenant_id, *_before(query), *parameters, query.limit, query.limit)


def _before(query: TaskQuery) -> tuple[int, str]:
    return (to_micros(query.before[0]), query.before[1]) if query.before is not None else _AFTER_ALL


def _build_numbers(query: TaskQuery, index: str, states: Sequence[TaskState]) -> tuple[str, Sequence[object]]:
    conditions, parameters = _conditions(query)
    if states:
        conditions.append(f"state IN ({', '.join('?' * len(states))})")
        parameters += [state.value for state in states]
    conditions.append("(create_time, task_id) < (?, ?)")
    parameters += _before(query)
    # It is made of constants: what comes from outside is a parameter.
    statement = (
        f"SELECT number FROM (SELECT number FROM task INDEXED BY {index} WHERE {' AND '.join(conditions)}"  # noqa: S608
        " ORDER BY create_time DESC, task_id DESC LIMIT ?)"
    )
    return statement, (*parameters, query.limit)


def _conditions(query: TaskQuery) -> tuple[list[str], list[object]]:
    kind = query.component.kind if query.component is not None else query.component_kind
    wanted: list[tuple[str, object]] = [
        ("tenant_id", query.viewer.tenant_id),
        ("user_id", None if query.has_open_approvals and query.viewer.approver_id else query.viewer.user_id),
        ("component_kind", str(kind)),
        ("component_id", query.component.id if query.component is not None else ""),
        ("session_id", query.session_id),
        ("parent_task_id", query.parent_task_id),
        ("root_task_id", query.root_task_id),
    ]
    given = [(column, value) for column, value in wanted if value is not None and (value or column == "user_id")]
    return [f"{column} = ?" for column, _ in given], [value for _, value in given]


def _pick_index(query: TaskQuery) -> str:
    is_for_user = query.viewer.user_id is not None
    if query.parent_task_id:
        return "task_by_parent"
    if query.root_task_id:
        return "task_by_root"
    if query.session_id:
        return "task_by_session"
    if query.component is not None:
        return "task_by_user_component" if is_for_user else "task_by_component"
    if query.states:
        return "task_by_user_state" if is_for_user else "task_by_state"
    return "task_by_user" if is_for_user else "task_by_tenant"
