"""Hooks that run in the background."""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

import structlog

from musterd.domain.event import Payload
from musterd.domain.hook_run import HookPhase, HookRunState, NewHookRun
from musterd.domain.hook_store import ClaimedHookRun, HookQuery, HookRun
from musterd.domain.ports import RequestKey
from musterd.domain.principal import Viewer
from musterd.store.encoding import TEXT, TEXTS, from_micros, to_micros
from musterd.store.errors import UnreadableRowError
from musterd.store.hook_runs import UNREADABLE, check_retryable, ended, not_found, started, state_after
from musterd.store.sqlite.live import LiveTask
from musterd.store.sqlite.requests import Outcome, find_outcome, save_outcome
from musterd.store.sqlite.specs import load_spec
from musterd.store.sqlite.transaction import Transaction

logger = structlog.get_logger(__name__)

_COLUMNS = (
    "hook_run_id, task_id, phase, position, name, state, attempts, error, create_time, update_time, next_attempt_time"
)
_INSERT = """
INSERT INTO hook_run
    (tenant_id, user_id, hook_run_id, task_id, phase, position, name, state, attempts, create_time, update_time,
     next_attempt_time)
SELECT tenant_id, user_id, ?2, task_id, ?3, ?4, ?5, 'pending', 0, ?6, ?6, ?6 FROM task WHERE number = ?1
"""
_INSERT_PAYLOAD = "INSERT OR IGNORE INTO hook_payload (task, phase, payload) VALUES (?, ?, ?)"
_READ_PAYLOAD = "SELECT payload FROM hook_payload WHERE task = ? AND phase = ?"
# No other owner lives: this process has the file.
_FIND_DUE = f"""
SELECT {_COLUMNS} FROM (
    SELECT * FROM (
        SELECT number, {_COLUMNS} FROM hook_run INDEXED BY hook_run_running
        WHERE state = 'running' AND (owner <> :owner OR hook_run_id NOT IN (SELECT value FROM json_each(:running)))
        ORDER BY number LIMIT :limit
    )
    UNION ALL
    SELECT * FROM (
        SELECT number, {_COLUMNS} FROM hook_run INDEXED BY hook_run_pending
        WHERE state = 'pending' AND next_attempt_time <= :now
        ORDER BY next_attempt_time, number LIMIT :limit
    )
) ORDER BY number LIMIT :limit
"""  # noqa: S608 - of constants
_TAKE = """
UPDATE hook_run
SET state = 'running', attempts = attempts + 1, owner = ?, next_attempt_time = NULL, update_time = ?
WHERE hook_run_id = ?
"""
_FINISH = """
UPDATE hook_run SET state = ?, owner = NULL, error = ?, next_attempt_time = ?, update_time = ? WHERE hook_run_id = ?
"""
_RETRY = """
UPDATE hook_run SET state = 'pending', attempts = 0, next_attempt_time = ?1, update_time = ?1 WHERE hook_run_id = ?2
"""
_READ = f"SELECT {_COLUMNS} FROM hook_run WHERE hook_run_id = ?"  # noqa: S608 - of constants
# The plus keeps SQLite from finding rows by their tenant, which may have any number of them.
_READ_VISIBLE = f"{_READ} AND +tenant_id = ? AND +user_id = coalesce(?, user_id)"
_NEXT_TIME = "SELECT min(next_attempt_time) FROM hook_run WHERE state = 'pending'"
_HAS_LOG = "SELECT EXISTS (SELECT 1 FROM event WHERE tree = ?)"


def save_hook_runs(transaction: Transaction, task: LiveTask, runs: Sequence[NewHookRun]) -> None:
    """Store hooks that are to run now that their task has ended."""
    for run in runs:
        values = (run.hook_run_id, run.phase.value, run.position, TEXT.encode(run.name), transaction.now_micros)
        transaction.connection.execute(_INSERT, (task.number, *values))
        transaction.connection.execute(_INSERT_PAYLOAD, (task.number, run.phase.value, run.payload_json))


def claim_hook_runs(
    transaction: Transaction, owner: str, limit: int, running: Collection[str]
) -> Sequence[ClaimedHookRun]:
    """Take hooks whose time has come."""
    values = {
        "owner": owner,
        "running": TEXTS.encode(tuple(running)).decode(),
        "now": transaction.now_micros,
        "limit": limit,
    }
    due = [_to_run(row) for row in transaction.connection.execute(_FIND_DUE, values).fetchall()]
    claimed = [_claim(transaction, run, owner) for run in due]
    return [one for one in claimed if one is not None]


def _claim(transaction: Transaction, found: HookRun, owner: str) -> ClaimedHookRun | None:
    connection = transaction.connection
    connection.execute(_TAKE, (owner, transaction.now_micros, found.hook_run_id))
    run = _read(connection, found.hook_run_id)
    live = _task_of(transaction, run)
    try:
        spec = load_spec(connection, live.number)
        _tell(transaction, live, started(run))
        task = transaction.read_task(run.task_id)
    except (UnreadableRowError, ValueError) as error:
        logger.error("task_unreadable", task=run.task_id, error=str(error))  # noqa: TRY400 - the text says it all
        _finish(transaction, run, live, error=UNREADABLE, retry_seconds=None)
        return None
    (payload,) = connection.execute(_READ_PAYLOAD, (live.number, run.phase.value)).fetchone()
    return ClaimedHookRun(run=run, payload_json=payload, task=task, spec=spec)


def finish_hook_run(
    transaction: Transaction, hook_run_id: str, attempts: int, *, error: str | None, retry_seconds: float | None
) -> bool:
    """Store how an attempt ended, unless it is not the current one."""
    row = transaction.connection.execute(_READ, (hook_run_id,)).fetchone()
    run = None if row is None else _to_run(row)
    if run is None or run.state is not HookRunState.RUNNING or run.attempts != attempts:
        return False
    _finish(transaction, run, _task_of(transaction, run), error=error, retry_seconds=retry_seconds)
    return True


def _finish(
    transaction: Transaction, run: HookRun, task: LiveTask, *, error: str | None, retry_seconds: float | None
) -> None:
    state = state_after(error, retry_seconds)
    is_again = state is HookRunState.PENDING
    next_time = transaction.now_micros + round((retry_seconds or 0.0) * 1_000_000) if is_again else None
    text = None if error is None else TEXT.encode(error)
    transaction.connection.execute(_FINISH, (state.value, text, next_time, transaction.now_micros, run.hook_run_id))
    _tell(transaction, task, ended(run, error, will_retry=is_again))


def _task_of(transaction: Transaction, run: HookRun) -> LiveTask:
    task = transaction.find(run.task_id)
    if task is None:
        raise LookupError(run.task_id)
    return task


def _tell(transaction: Transaction, task: LiveTask, payload: Payload) -> None:
    """Put an event at the end of the log of an ended task, unless the log was removed."""
    transaction.flush()
    (has_log,) = transaction.connection.execute(_HAS_LOG, (task.tree.number,)).fetchone()
    if has_log:
        transaction.append(task, (payload,))


def read_next_time(connection: sqlite3.Connection) -> int | None:
    """Return when the next hook that waits may begin."""
    return connection.execute(_NEXT_TIME).fetchone()[0]


def get_hook_run(connection: sqlite3.Connection, viewer: Viewer, hook_run_id: str) -> HookRun:
    """Return a hook run. Raises HOOK_RUN_NOT_FOUND."""
    row = connection.execute(_READ_VISIBLE, (hook_run_id, viewer.tenant_id, viewer.user_id)).fetchone()
    if row is None:
        raise not_found(hook_run_id)
    return _to_run(row)


def retry_hook_run(
    transaction: Transaction, viewer: Viewer, hook_run_id: str, *, request: RequestKey | None
) -> HookRun:
    """Let a dead hook run begin again, unless the request was made before."""
    run = get_hook_run(transaction.connection, viewer, hook_run_id)
    if find_outcome(transaction.connection, request) is not None:
        return run
    check_retryable(run)
    transaction.connection.execute(_RETRY, (transaction.now_micros, hook_run_id))
    save_outcome(transaction, request, Outcome(task_id=run.task_id))
    return _read(transaction.connection, hook_run_id)


def list_hook_runs(connection: sqlite3.Connection, query: HookQuery) -> Sequence[HookRun]:
    """Return a page of hook runs, newest first."""
    ranges: list[str] = []
    parameters: list[object] = []
    for state in sorted(query.states) or [None]:
        statement, values = _range_of(query, state)
        ranges.append(f"SELECT * FROM ({statement})")  # noqa: S608 - of constants
        parameters += values
    order = "ORDER BY create_time DESC, hook_run_id DESC LIMIT ?"
    rows = connection.execute(f"{' UNION ALL '.join(ranges)} {order}", (*parameters, query.limit)).fetchall()
    return [_to_run(row) for row in rows]


def _range_of(query: HookQuery, state: HookRunState | None) -> tuple[str, Sequence[object]]:
    """Return the statement of the page's rows in one state, along the index that fits."""
    conditions: list[str] = ["tenant_id = ?"]
    parameters: list[object] = [query.viewer.tenant_id]
    if query.viewer.user_id is not None:
        conditions.append("user_id = ?")
        parameters.append(query.viewer.user_id)
    if query.task_id:
        conditions.append("task_id = ?")
        parameters.append(query.task_id)
    if state is not None:
        conditions.append(f"state = '{state.value}'")
    if state not in (None, HookRunState.COMPLETED):
        # In the words of the index: SQLite does not find out by itself that it has all of them.
        conditions.append("state <> 'completed'")
    if query.before is not None:
        conditions.append("(create_time, hook_run_id) < (?, ?)")
        parameters += (to_micros(query.before[0]), query.before[1])
    statement = (
        f"SELECT {_COLUMNS} FROM hook_run INDEXED BY {_pick_index(query, state)} WHERE {' AND '.join(conditions)}"  # noqa: S608 - of constants
        " ORDER BY create_time DESC, hook_run_id DESC LIMIT ?"
    )
    return statement, (*parameters, query.limit)


def _pick_index(query: HookQuery, state: HookRunState | None) -> str:
    if query.task_id:
        return "hook_run_by_task"
    is_for_user = query.viewer.user_id is not None
    if state in (None, HookRunState.COMPLETED):
        return "hook_run_by_user" if is_for_user else "hook_run_by_tenant"
    return "hook_run_by_user_state" if is_for_user else "hook_run_by_state"


def _read(connection: sqlite3.Connection, hook_run_id: str) -> HookRun:
    return _to_run(connection.execute(_READ, (hook_run_id,)).fetchone())


def _to_run(row: Sequence[Any]) -> HookRun:
    (
        hook_run_id,
        task_id,
        phase,
        position,
        name,
        state,
        attempts,
        error,
        create_time,
        update_time,
        next_attempt_time,
    ) = row
    return HookRun(
        hook_run_id=hook_run_id,
        task_id=task_id,
        phase=HookPhase(phase),
        position=position,
        name=TEXT.decode(name),
        state=HookRunState(state),
        attempts=attempts,
        error="" if error is None else TEXT.decode(error),
        create_time=from_micros(create_time),
        update_time=from_micros(update_time),
        next_attempt_time=None if next_attempt_time is None else from_micros(next_attempt_time),
    )
