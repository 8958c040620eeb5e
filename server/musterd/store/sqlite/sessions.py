"""Sessions: which run has one, and what runs have added to them."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from musterd.domain.ports import NewTask
from musterd.domain.session import (
    HistoryWrite,
    Session,
    SessionEntry,
    SessionKey,
    SessionQuery,
    session_not_found,
    session_waits,
)
from musterd.domain.session_store import LiveRun
from musterd.domain.task import ComponentKind, ComponentRef
from musterd.store.encoding import from_micros, to_micros
from musterd.store.sessions import BLOCKED_UNTIL, WAITING_FOR_SOMEBODY, key_of, key_values
from musterd.store.sqlite.live import LiveTask
from musterd.store.sqlite.transaction import Transaction

_COLUMNS = """
tenant_id, user_id, session_id, component_kind, component_id, holder, create_time, update_time, run_count,
message_count, size_bytes
"""
_OF_KEY = "tenant_id = ? AND user_id = ? AND session_id = ? AND component_kind = ? AND component_id = ?"
_READ = f"SELECT {_COLUMNS} FROM session WHERE {_OF_KEY}"  # noqa: S608 - of constants
_FIND = f"SELECT number, holder FROM session WHERE {_OF_KEY}"  # noqa: S608 - of constants
_TAKE = """
INSERT INTO session (tenant_id, user_id, session_id, component_kind, component_id, holder, create_time, update_time)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
ON CONFLICT (tenant_id, user_id, session_id, component_kind, component_id)
DO UPDATE SET holder = coalesce(holder, excluded.holder), update_time = excluded.update_time
"""
_RELEASE = "UPDATE session SET holder = NULL WHERE holder = ? RETURNING number"
_FIND_NEXT = f"""
SELECT task.number, task_id FROM session CROSS JOIN task INDEXED BY task_blocked
  USING (tenant_id, user_id, session_id, component_kind, component_id)
WHERE session.number = ? AND wake_time = {BLOCKED_UNTIL} AND end_time IS NULL
ORDER BY task.create_time, task_id
LIMIT 1
"""  # noqa: S608 - of constants
_UNBLOCK = "UPDATE task SET wake_time = NULL WHERE number = ?"
_HAND_ON = "UPDATE session SET holder = ? WHERE number = ?"
_FORGET_ENTRIES = "DELETE FROM session_entry WHERE session = ?"
_INSERT_ENTRY = """
INSERT INTO session_entry (session, position, task_id, create_time, message_count, messages)
SELECT number, run_count + 1, ?, ?, ?, ? FROM session WHERE number = ?
"""
_COUNT_ENTRY = """
UPDATE session
SET run_count = run_count + 1, update_time = :now,
    message_count = :message_count + CASE WHEN :replaces THEN 0 ELSE message_count END,
    size_bytes = :size_bytes + CASE WHEN :replaces THEN 0 ELSE size_bytes END
WHERE number = :session
"""
_READ_ENTRIES = """
SELECT position, task_id, create_time, message_count, messages FROM session_entry
WHERE session = ? AND position > ?
ORDER BY position
LIMIT ?
"""
_FIND_LIVE = """
SELECT task.task_id, task.root_task_id
FROM task INDEXED BY task_by_session JOIN task AS root ON root.task_id = task.root_task_id
WHERE task.tenant_id = ? AND +task.user_id = ? AND task.session_id = ?
  AND root.component_kind = ? AND root.component_id = ? AND task.end_time IS NULL
ORDER BY task.create_time, task.task_id
"""


def is_taken(transaction: Transaction, new: NewTask) -> bool:
    """Return whether a new run has to wait for another one of its session. Raises SESSION_BUSY."""
    found = find_session(transaction.connection, key_of(new))
    if found is None or found[1] is None:
        return False
    holder = transaction.find(found[1])
    if holder is not None and holder.state in WAITING_FOR_SOMEBODY:
        raise session_waits(new.spec.session_id, holder.task_id)
    return True


def take_session(transaction: Transaction, new: NewTask) -> None:
    """Give a new run its session, unless another one has it; the first run begins it."""
    transaction.connection.execute(_TAKE, (*key_values(key_of(new)), new.task_id, transaction.now_micros))


def pass_session_on(transaction: Transaction, task: LiveTask, history: HistoryWrite | None) -> bool:
    """Let a run that ends give up its session, with what it adds. Returns whether another may run in its place."""
    connection = transaction.connection
    # RETURNING is only done with once all its rows are read.
    released = connection.execute(_RELEASE, (task.task_id,)).fetchall()
    if not released:
        return False
    ((number,),) = released
    if history is not None:
        _add(transaction, number, task.task_id, history)
    following = connection.execute(_FIND_NEXT, (number,)).fetchone()
    if following is None:
        return False
    task_number, task_id = following
    connection.execute(_UNBLOCK, (task_number,))
    connection.execute(_HAND_ON, (task_id, number))
    return True


def _add(transaction: Transaction, number: int, task_id: str, history: HistoryWrite) -> None:
    connection, messages = transaction.connection, history.messages_json
    if history.replaces:
        connection.execute(_FORGET_ENTRIES, (number,))
    connection.execute(_INSERT_ENTRY, (task_id, transaction.now_micros, history.message_count, messages, number))
    connection.execute(
        _COUNT_ENTRY,
        {
            "now": transaction.now_micros,
            "message_count": history.message_count,
            "size_bytes": len(messages),
            "replaces": history.replaces,
            "session": number,
        },
    )


def find_session(connection: sqlite3.Connection, key: SessionKey) -> tuple[int, str | None] | None:
    """Return the number of a session, and which task has it; None when there is no such session."""
    return connection.execute(_FIND, key_values(key)).fetchone()


def load_history(connection: sqlite3.Connection, key: SessionKey) -> Sequence[SessionEntry]:
    """Return all that runs have added to a session."""
    found = find_session(connection, key)
    return () if found is None else _read_entries(connection, found[0], 0, -1)


def read_session(
    connection: sqlite3.Connection, key: SessionKey, *, after_position: int, limit: int
) -> Sequence[SessionEntry]:
    """Return a page of what runs have added. Raises SESSION_NOT_FOUND."""
    found = find_session(connection, key)
    if found is None:
        raise session_not_found(key.session_id)
    return _read_entries(connection, found[0], after_position, limit)


def _read_entries(connection: sqlite3.Connection, number: int, after: int, limit: int) -> Sequence[SessionEntry]:
    return [
        SessionEntry(
            position=position,
            task_id=task_id,
            create_time=from_micros(create_time),
            messages_json=messages,
            message_count=message_count,
        )
        for position, task_id, create_time, message_count, messages in connection.execute(
            _READ_ENTRIES, (number, after, limit)
        ).fetchall()
    ]


def get_session(connection: sqlite3.Connection, key: SessionKey) -> Session:
    """Return a session as it stands. Raises SESSION_NOT_FOUND."""
    row = connection.execute(_READ, key_values(key)).fetchone()
    if row is None:
        raise session_not_found(key.session_id)
    return _to_session(row)


def list_sessions(connection: sqlite3.Connection, query: SessionQuery) -> Sequence[Session]:
    """Return a page of a user's sessions, latest first."""
    conditions: list[str] = ["tenant_id = ?", "user_id = ?"]
    parameters: list[object] = [query.tenant_id, query.user_id]
    index = "session_by_user"
    if query.component is not None:
        conditions.append("component_kind = ? AND component_id = ?")
        parameters += (query.component.kind.value, query.component.id)
        index = "session_by_component"
    if query.session_id:
        # One for each component at most.
        conditions.append("session_id = ?")
        parameters.append(query.session_id)
        index = "sqlite_autoindex_session_1"
    if query.before is not None:
        conditions.append("(update_time, session_id, component_kind, component_id) < (?, ?, ?, ?)")
        update_time, *names = query.before
        parameters += (to_micros(update_time), *names)
    statement = (
        f"SELECT {_COLUMNS} FROM session INDEXED BY {index} WHERE {' AND '.join(conditions)}"  # noqa: S608 - of constants
        " ORDER BY update_time DESC, session_id DESC, component_kind DESC, component_id DESC LIMIT ?"
    )
    return [_to_session(row) for row in connection.execute(statement, (*parameters, query.limit)).fetchall()]


def find_live_runs(connection: sqlite3.Connection, key: SessionKey) -> Sequence[LiveRun]:
    """Return the tasks of a session that have not ended."""
    rows = connection.execute(_FIND_LIVE, key_values(key)).fetchall()
    return [LiveRun(task_id=task_id, root_task_id=root_task_id) for task_id, root_task_id in rows]


def _to_session(row: Sequence[Any]) -> Session:
    (
        tenant_id,
        user_id,
        session_id,
        component_kind,
        component_id,
        holder,
        create_time,
        update_time,
        run_count,
        message_count,
        size_bytes,
    ) = row
    return Session(
        key=SessionKey(
            tenant_id=tenant_id,
            user_id=user_id,
            session_id=session_id,
            component=ComponentRef(kind=ComponentKind(component_kind), id=component_id),
        ),
        create_time=from_micros(create_time),
        update_time=from_micros(update_time),
        run_count=run_count,
        message_count=message_count,
        size_bytes=size_bytes,
        live_task_id=holder or "",
    )
