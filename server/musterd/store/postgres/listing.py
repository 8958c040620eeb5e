"""Pages of tasks, read along the index that fits the query."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from musterd.domain.ports import TaskQuery
from musterd.domain.task import Task, TaskState
from musterd.store.encoding import to_micros
from musterd.store.postgres.connection import Connection
from musterd.store.postgres.rows import to_task

_ORDER = "ORDER BY create_time DESC, task_id DESC LIMIT"
_AFTER_ALL = (2**63 - 1, "")


async def list_tasks(connection: Connection, query: TaskQuery) -> Sequence[Task]:
    """Return at most `query.limit` tasks, newest first."""
    statement, arguments = build_statement(query)
    return [to_task(row) for row in await connection.fetch(statement, *arguments)]


def build_statement(query: TaskQuery) -> tuple[str, Sequence[object]]:
    """Return one SELECT of the page, around one SELECT of task numbers for each state.

    The state comes before the time in an index, so that several states are several ordered ranges.
    """
    if query.has_open_approvals:
        return _build_waiting(query)
    arguments: list[object] = [query.limit]
    conditions = _conditions(query, arguments)
    ranges: list[str] = []
    for state in sorted(query.states) or [None]:
        of_state = conditions if state is None else [*conditions, _equals("state", state, arguments)]
        ranges.append(f"(SELECT number FROM task WHERE {' AND '.join(of_state)} {_ORDER} $1)")  # noqa: S608 - of constants
    numbers = " UNION ALL ".join(ranges)
    statement = f"SELECT * FROM shown_task WHERE number = ANY (ARRAY({numbers})) {_ORDER} $1"  # noqa: S608 - of constants
    return statement, arguments


def _build_waiting(query: TaskQuery) -> tuple[str, Sequence[object]]:
    """Return the SELECT of a page of roots whose trees have open approvals, along the index of those."""
    arguments: list[object] = [query.limit]
    conditions = _conditions(replace(query, before=None), arguments)
    if query.states:
        arguments.append([state.value for state in sorted(query.states)])
        conditions.append(f"state = ANY (${len(arguments)}::text[])")
    arguments += (query.viewer.tenant_id, *(_AFTER_ALL if query.before is None else _position(query.before)))
    tenant_id, create_time, task_id = (f"${len(arguments) - back}" for back in (2, 1, 0))
    numbers = (
        "SELECT found.number FROM ("  # noqa: S608 - of constants
        "SELECT DISTINCT root_create_time, root_task_id FROM approval"
        f" WHERE tenant_id = {tenant_id} AND state = 'open' AND root_create_time >= 0"
        f" AND (root_create_time, root_task_id) < ({create_time}::bigint, {task_id})"
        ") AS waiting CROSS JOIN LATERAL ("
        # The offset keeps the planner from looking at other tasks first.
        f"SELECT number FROM task WHERE task_id = waiting.root_task_id AND {' AND '.join(conditions)} OFFSET 0"
        ") AS found ORDER BY waiting.root_create_time DESC, waiting.root_task_id DESC LIMIT $1"
    )
    statement = f"SELECT * FROM shown_task WHERE number = ANY (ARRAY({numbers})) {_ORDER} $1"  # noqa: S608 - of constants
    return statement, arguments


def _position(before: tuple[datetime, str]) -> tuple[int, str]:
    return to_micros(before[0]), before[1]


def _conditions(query: TaskQuery, arguments: list[object]) -> list[str]:
    kind = query.component.kind.value if query.component is not None else query.component_kind
    wanted = {
        "component_kind": kind,
        "component_id": query.component.id if query.component is not None else "",
        "session_id": query.session_id,
        "parent_task_id": query.parent_task_id,
        "root_task_id": query.root_task_id,
    }
    conditions = [_equals("tenant_id", query.viewer.tenant_id, arguments)]
    shows_all = query.has_open_approvals and query.viewer.approver_id
    if query.viewer.user_id is not None and not shows_all:
        conditions.append(_equals("user_id", query.viewer.user_id, arguments))
    conditions += [_equals(column, value, arguments) for column, value in wanted.items() if value]
    if query.before is not None:
        arguments += _position(query.before)
        conditions.append(f"(create_time, task_id) < (${len(arguments) - 1}, ${len(arguments)})")
    return conditions


def _equals(column: str, value: str | TaskState, arguments: list[object]) -> str:
    arguments.append(str(value))
    return f"{column} = ${len(arguments)}"
