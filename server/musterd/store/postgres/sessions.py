"""Sessions: which run has one, and what runs have added to them."""

from collections.abc import Sequence

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
from musterd.domain.task import ComponentKind, ComponentRef, TaskState
from musterd.store.encoding import from_micros, to_micros
from musterd.store.postgres.connection import Connection, Row
from musterd.store.postgres.live import LiveTask
from musterd.store.postgres.statements import load_statement
from musterd.store.postgres.transaction import Transaction
from musterd.store.sessions import WAITING_FOR_SOMEBODY, key_of, key_values

_TAKE = load_statement("take_session")
_READ_STATE = load_statement("read_state")
_PASS_ON = load_statement("pass_session_on")
_FIND = load_statement("find_session")
_READ = load_statement("read_session")
_READ_ENTRIES = load_statement("read_session_entries")
_LOAD_HISTORY = load_statement("load_history")
_FIND_LIVE = load_statement("find_live_session_tasks")

_NOTHING = HistoryWrite(messages_json=b"", message_count=0)


async def take_session(transaction: Transaction, new: NewTask) -> bool:
    """Give a new run its session, and lock that. Returns False when the run has to wait for another one.

    Raises SESSION_BUSY when that one waits for somebody.
    """
    connection = transaction.connection
    values = (*key_values(key_of(new)), new.task_id, transaction.now_micros)
    holder = await connection.fetchval(_TAKE, *values)
    if holder == new.task_id:
        return True
    state = await connection.fetchval(_READ_STATE, holder)
    if TaskState(state) in WAITING_FOR_SOMEBODY:
        raise session_waits(new.spec.session_id, holder)
    return False


async def pass_session_on(transaction: Transaction, task: LiveTask, session: int, history: HistoryWrite | None) -> bool:
    """Let a run that ends pass its session on, which is locked, with what it adds.

    Returns whether another run may be claimed now. A statement of its own: what came to wait for the session while that
    was locked by others is not there for the one that had to wait for the lock.
    """
    added = history or _NOTHING
    following = await transaction.connection.fetchval(
        _PASS_ON,
        session,
        task.task_id,
        transaction.now_micros,
        added.message_count,
        None if history is None else added.messages_json,
        added.replaces,
    )
    return following is not None


async def load_history(connection: Connection, key: SessionKey) -> Sequence[SessionEntry]:
    """Return all that runs have added to a session."""
    return [_to_entry(row) for row in await connection.fetch(_LOAD_HISTORY, *key_values(key))]


async def read_session(
    connection: Connection, key: SessionKey, *, after_position: int, limit: int
) -> Sequence[SessionEntry]:
    """Return a page of what runs have added. Raises SESSION_NOT_FOUND."""
    number = await connection.fetchval(_FIND, *key_values(key))
    if number is None:
        raise session_not_found(key.session_id)
    return [_to_entry(row) for row in await connection.fetch(_READ_ENTRIES, number, after_position, limit)]


async def get_session(connection: Connection, key: SessionKey) -> Session:
    """Return a session as it stands. Raises SESSION_NOT_FOUND."""
    row = await connection.fetchrow(_READ, *key_values(key))
    if row is None:
        raise session_not_found(key.session_id)
    return _to_session(row)


async def list_sessions(connection: Connection, query: SessionQuery) -> Sequence[Session]:
    """Return a page of a user's sessions, latest first."""
    statement, arguments = build_statement(query)
    return [_to_session(row) for row in await connection.fetch(statement, *arguments)]


def build_statement(query: SessionQuery) -> tuple[str, Sequence[object]]:
    """Return the SELECT of a page."""
    wanted = {"tenant_id": query.tenant_id, "user_id": query.user_id}
    order = ["update_time", "session_id", "component_kind", "component_id"]
    if query.session_id:
        # One for each component at most: they are found by the key, and not in the order of time.
        wanted["session_id"] = query.session_id
        order[0] = "update_time + 0"
    if query.component is not None:
        wanted |= {"component_kind": query.component.kind.value, "component_id": query.component.id}
    arguments: list[object] = [query.limit, *wanted.values()]
    conditions = [f"{name} = ${number}" for number, name in enumerate(wanted, 2)]
    if not query.session_id:
        # In the words of the indexes.
        conditions.append("update_time >= 0")
    if query.before is not None:
        update_time, *names = query.before
        arguments += (to_micros(update_time), *names)
        places = ", ".join(f"${len(arguments) - back}" for back in (3, 2, 1, 0))
        conditions.append(f"({', '.join(order)}) < ({places})")
    statement = (
        f"SELECT * FROM session WHERE {' AND '.join(conditions)}"  # noqa: S608 - of constants
        f" ORDER BY {', '.join(f'{each} DESC' for each in order)} LIMIT $1"
    )
    return statement, arguments


async def find_live_runs(connection: Connection, key: SessionKey) -> Sequence[LiveRun]:
    """Return the tasks of a session that have not ended."""
    rows = await connection.fetch(_FIND_LIVE, *key_values(key))
    return [LiveRun(task_id=row["task_id"], root_task_id=row["root_task_id"]) for row in rows]


def _to_entry(row: Row) -> SessionEntry:
    return SessionEntry(
        position=row["position"],
        task_id=row["task_id"],
        create_time=from_micros(row["create_time"]),
        messages_json=row["messages"],
        message_count=row["message_count"],
    )


def _to_session(row: Row) -> Session:
    return Session(
        key=SessionKey(
            tenant_id=row["tenant_id"],
            user_id=row["user_id"],
            session_id=row["session_id"],
            component=ComponentRef(kind=ComponentKind(row["component_kind"]), id=row["component_id"]),
        ),
        create_time=from_micros(row["create_time"]),
        update_time=from_micros(row["update_time"]),
        run_count=row["run_count"],
        message_count=row["message_count"],
        size_bytes=row["size_bytes"],
        live_task_id=row["holder"] or "",
    )
