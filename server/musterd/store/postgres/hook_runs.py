"""Hooks that run in the background."""

from collections.abc import Collection, Mapping, Sequence

import structlog

from musterd.domain.event import Payload
from musterd.domain.hook_run import HookPhase, HookRunState, NewHookRun
from musterd.domain.hook_store import ClaimedHookRun, HookQuery, HookRun
from musterd.domain.ports import RequestKey
from musterd.domain.principal import Viewer
from musterd.domain.task import TaskSpec
from musterd.store.encoding import TEXT, from_micros, to_micros
from musterd.store.errors import UnreadableRowError
from musterd.store.hook_runs import UNREADABLE, check_retryable, ended, not_found, started, state_after
from musterd.store.postgres.connection import Connection, Row
from musterd.store.postgres.live import LiveTask
from musterd.store.postgres.requests import Outcome, find_outcome, save_outcome
from musterd.store.postgres.specs import load_specs
from musterd.store.postgres.statements import load_statement
from musterd.store.postgres.transaction import Transaction

logger = structlog.get_logger(__name__)

_INSERT = load_statement("insert_hook_runs")
_FIND_DUE = load_statement("find_due_hook_runs")
_TAKE = load_statement("take_hook_runs")
_FINISH = load_statement("finish_hook_run")
_RETRY = load_statement("retry_hook_run")
_READ = load_statement("read_hook_run")
_READ_PAYLOADS = load_statement("read_hook_payloads")
_NEXT_TIME = load_statement("read_next_hook_time")
_HAS_LOG = load_statement("has_log")
_COLUMNS = (
    "hook_run_id, task_id, phase, position, name, state, attempts, error, create_time, update_time, next_attempt_time"
)
_ORDER = "ORDER BY create_time DESC, hook_run_id DESC LIMIT $1"


async def save_hook_runs(transaction: Transaction, task: LiveTask, runs: Sequence[NewHookRun]) -> None:
    """Store hooks that are to run now that their task has ended."""
    if not runs:
        return
    payloads = {run.phase.value: run.payload_json for run in runs}
    await transaction.connection.execute(
        _INSERT,
        task.number,
        [run.hook_run_id for run in runs],
        [run.phase.value for run in runs],
        [run.position for run in runs],
        [TEXT.encode(run.name) for run in runs],
        transaction.now_micros,
        list(payloads),
        list(payloads.values()),
    )


async def find_due(
    connection: Connection, owner: str, limit: int, *, running: Collection[str], now_micros: int | None
) -> Mapping[str, str]:
    """Return hooks whose time has come, the oldest first, with the ids of their tasks."""
    rows = await connection.fetch(_FIND_DUE, owner, list(running), limit, now_micros)
    return {row["hook_run_id"]: row["task_id"] for row in rows}


async def take(
    transaction: Transaction, owner: str, found: Mapping[str, str], *, running: Collection[str]
) -> Sequence[ClaimedHookRun]:
    """Take those of the hooks, whose trees are locked, that nobody has taken since they were found."""
    connection = transaction.connection
    rows = await connection.fetch(_TAKE, list(found), owner, list(running), transaction.now_micros)
    await transaction.find_all({row["task_id"] for row in rows})
    runs = [(to_run(row), await _task_of(transaction, row["task_id"])) for row in sorted(rows, key=_number)]
    numbers = [task.number for _, task in runs]
    specs = await load_specs(connection, numbers)
    payloads = {(row["task"], row["phase"]): row["payload"] for row in await connection.fetch(_READ_PAYLOADS, numbers)}
    claimed: list[ClaimedHookRun] = []
    for run, live in runs:
        try:
            if not isinstance(spec := specs[live.number], TaskSpec):
                raise spec
            await _tell(transaction, live, started(run))
            task = await transaction.read_task(run.task_id)
        except (UnreadableRowError, ValueError) as error:
            logger.error("task_unreadable", task=run.task_id, error=str(error))  # noqa: TRY400 - the text says it all
            await _finish(transaction, run, live, error=UNREADABLE, retry_seconds=None)
            continue
        payload = payloads[live.number, run.phase.value]
        claimed.append(ClaimedHookRun(run=run, payload_json=payload, task=task, spec=spec))
    return claimed


def _number(row: Row) -> int:
    return row["number"]


async def finish_hook_run(
    transaction: Transaction, hook_run_id: str, attempts: int, *, error: str | None, retry_seconds: float | None
) -> bool:
    """Store how an attempt ended, unless it is not the current one."""
    row = await transaction.connection.fetchrow(_READ, hook_run_id, None, None)
    run = None if row is None else to_run(row)
    if run is None or run.state is not HookRunState.RUNNING or run.attempts != attempts:
        return False
    task = await _task_of(transaction, run.task_id)
    await _finish(transaction, run, task, error=error, retry_seconds=retry_seconds)
    return True


async def _finish(
    transaction: Transaction, run: HookRun, task: LiveTask, *, error: str | None, retry_seconds: float | None
) -> None:
    state = state_after(error, retry_seconds)
    is_again = state is HookRunState.PENDING
    next_time = transaction.now_micros + round((retry_seconds or 0.0) * 1_000_000) if is_again else None
    text = None if error is None else TEXT.encode(error)
    values = (run.hook_run_id, run.attempts, state.value, text, next_time, transaction.now_micros)
    await transaction.connection.execute(_FINISH, *values)
    await _tell(transaction, task, ended(run, error, will_retry=is_again))


async def _task_of(transaction: Transaction, task_id: str) -> LiveTask:
    task = await transaction.find(task_id)
    if task is None:
        raise LookupError(task_id)
    return task


async def _tell(transaction: Transaction, task: LiveTask, payload: Payload) -> None:
    """Put an event at the end of the log of an ended task, unless the log was removed."""
    if await transaction.connection.fetchval(_HAS_LOG, task.tree.number, task.tree.create_day):
        transaction.append(task, (payload,))


async def read_next_time(connection: Connection) -> int | None:
    """Return when the next hook that waits may begin."""
    return await connection.fetchval(_NEXT_TIME)


async def find_task(connection: Connection, hook_run_id: str) -> str | None:
    """Return the id of the task of a hook's run; None when there is no such run."""
    row = await connection.fetchrow(_READ, hook_run_id, None, None)
    return None if row is None else row["task_id"]


async def get_hook_run(connection: Connection, viewer: Viewer, hook_run_id: str) -> HookRun:
    """Return a hook run. Raises HOOK_RUN_NOT_FOUND."""
    row = await connection.fetchrow(_READ, hook_run_id, viewer.tenant_id, viewer.user_id)
    if row is None:
        raise not_found(hook_run_id)
    return to_run(row)


async def retry_hook_run(
    transaction: Transaction, viewer: Viewer, hook_run_id: str, *, request: RequestKey | None
) -> HookRun:
    """Let a dead hook run begin again, unless the request was made before."""
    run = await get_hook_run(transaction.connection, viewer, hook_run_id)
    if await find_outcome(transaction.connection, request) is not None:
        return run
    check_retryable(run)
    row = await transaction.connection.fetchrow(_RETRY, hook_run_id, transaction.now_micros)
    await save_outcome(transaction, request, Outcome(task_id=run.task_id))
    return to_run(row)


async def list_hook_runs(connection: Connection, query: HookQuery) -> Sequence[HookRun]:
    """Return a page of hook runs, newest first."""
    arguments: list[object] = [query.limit]
    conditions = _conditions(query, arguments)
    ranges: list[str] = []
    for state in sorted(query.states) or [None]:
        # As a constant, which tells the planner which index has all of them.
        of_state = conditions if state is None else [*conditions, f"state = '{state.value}'"]
        ranges.append(f"(SELECT {_COLUMNS} FROM hook_run WHERE {' AND '.join(of_state)} {_ORDER})")  # noqa: S608 - of constants
    statement = f"SELECT * FROM ({' UNION ALL '.join(ranges)}) AS found {_ORDER}"  # noqa: S608 - of constants
    return [to_run(row) for row in await connection.fetch(statement, *arguments)]


def _conditions(query: HookQuery, arguments: list[object]) -> list[str]:
    """Return conditions in the words of the one index that is wanted: the others must not look as good."""
    viewer = query.viewer
    arguments.append(viewer.tenant_id)
    if query.task_id:
        arguments.append(query.task_id)
        conditions = ["tenant_id || '' = $2", "task_id = $3"]
    else:
        conditions = ["tenant_id || '/' = $2 || '/'" if viewer.user_id is None else "tenant_id = $2"]
    if viewer.user_id is not None:
        arguments.append(viewer.user_id)
        column = "user_id || ''" if query.task_id else "user_id"
        conditions.append(f"{column} = ${len(arguments)}")
    if query.before is not None:
        arguments += (to_micros(query.before[0]), query.before[1])
        conditions.append(f"(create_time, hook_run_id) < (${len(arguments) - 1}, ${len(arguments)})")
    return conditions


def to_run(row: Row) -> HookRun:
    """Return the hook run of a row."""
    next_attempt_time = row["next_attempt_time"]
    return HookRun(
        hook_run_id=row["hook_run_id"],
        task_id=row["task_id"],
        phase=HookPhase(row["phase"]),
        position=row["position"],
        name=TEXT.decode(row["name"]),
        state=HookRunState(row["state"]),
        attempts=row["attempts"],
        error="" if row["error"] is None else TEXT.decode(row["error"]),
        create_time=from_micros(row["create_time"]),
        update_time=from_micros(row["update_time"]),
        next_attempt_time=None if next_attempt_time is None else from_micros(next_attempt_time),
    )
