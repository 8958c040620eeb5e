"""Pages of tasks, read along the index that fits the query."""

from collections.abc import Sequence

from musterd.domain.ports import TaskQuery
from musterd.domain.task import Task, TaskState
from musterd.store.encoding import to_micros
from musterd.store.postgres.connection import Connection
from musterd.store.postgres.rows import to_task

_ORDER = "ORDER BY create_time DESC, task_id DESC LIMIT"


async def list_tasks(connection: Connection, query: TaskQuery) -> Sequence[Task]:
    """Return at most `query.limit` tasks, newest first."""
    statement, arguments = _build(query)
    return [to_task(row) for row in await connection.fetch(statement, *arguments)]


def _build(query: TaskQuery) -> tuple[str, Sequence[object]]:
    """Return one SELECT of the page, around one SELECT of task numbers for each state.

    The state comes before the time in an index, so that several states are several ordered ranges.
    """
    arguments: list[object] = [query.limit]
    conditions = _conditions(query, arguments)
    ranges: list[str] = []
    for state in sorted(query.states) or [None]:
        of_state = conditions if state is None else [*conditions, _equals("state", state, arguments)]
        ranges.append(f"(SELECT number FROM task WHERE {' AND '.join(of_state)} {_ORDER} $1)")  # noqa: S608 - of constants
    numbers = " UNION ALL ".join(ranges)
    statement = f"SELECT * FROM shown_task WHERE number = ANY (ARRAY({numbers})) {_ORDER} $1"  # noqa: S608 - of constants
    return statement, arguments


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
    if query.viewer.user_id is not None:
        conditions.append(_equals("user_id", query.viewer.user_id, arguments))
    conditions += [_equals(column, value, arguments) for column, value in wanted.items() if value]
    if query.before is not None:
        arguments += (to_micros(query.before[0]), query.before[1])
        conditions.append(f"(create_time, task_id) < (${len(arguments) - 1}, ${len(arguments)})")
    return conditions


def _equals(column: str, value: str | TaskState, arguments: list[object]) -> str:
    arguments.append(str(value))
    return f"{column} = ${len(arguments)}"
