"""The store port on SQLite."""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from musterd.domain.approval_store import NewApproval, Renewal, Resolution, Resolved
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Payload
from musterd.domain.hook_store import ClaimedHookRun, HookQuery, HookRun
from musterd.domain.orders import CancelOrder, CancelRecord, Inbox, Steer
from musterd.domain.ports import (
    AskedQuestion,
    BoardRecord,
    ClaimedTask,
    CommitListener,
    Created,
    EventPage,
    Lost,
    NewTask,
    RequestKey,
    Stored,
    TaskQuery,
    TaskWrite,
)
from musterd.domain.principal import Identity, Viewer
from musterd.domain.queueing import Caps, Group
from musterd.domain.session import Session, SessionEntry, SessionKey, SessionQuery
from musterd.domain.session_store import LiveRun
from musterd.domain.step import Journal
from musterd.domain.task import Approval, Task
from musterd.domain.team_board import Board, BoardCommand
from musterd.store.encoding import from_micros, to_micros
from musterd.store.retention import Retention
from musterd.store.sqlite import (
    approval_rows,
    approvals,
    boards,
    canceling,
    claiming,
    creation,
    events,
    hook_runs,
    inbox,
    journal,
    listing,
    question_rows,
    questions,
    requests,
    retention,
    rows,
    session_deletion,
    sessions,
    writing,
)
from musterd.store.sqlite.database import Database, open_database
from musterd.store.sqlite.engine import Reader, Writer
from musterd.store.sqlite.transaction import Transaction
from musterd.store.sqlite.worker import Worker

T = TypeVar("T")


def utc_now() -> datetime:
    """Return the machine's time in UTC."""
    return datetime.now(UTC)


class SqliteStore:
    """A store in one SQLite file on a local disk, for one process at a time.

    One thread writes, in groups that share a commit, and one reads; the event loop waits for neither. `clock` is where
    stored times come from; `retention` says what `maintain` removes: without it, nothing. `open` raises StoreOpenError
    when the file cannot be used or another process has it.
    """

    def __init__(
        self, path: Path, clock: Callable[[], datetime] = utc_now, *, retention: Retention | None = None
    ) -> None:
        self._path = path
        self._retention = retention or Retention()
        self._clock = clock
        self._database: Database | None = None
        self._writer: Worker[Transaction] | None = None
        self._reader: Worker[sqlite3.Connection] | None = None

    async def open(self, on_commit: CommitListener) -> None:
        """Take the file, bring its schema up to date and start the threads. Raises StoreOpenError."""
        database = await asyncio.to_thread(open_database, self._path, to_micros(self._clock()))
        self._database = database
        self._writer = Worker("sqlite-writer", Writer(database.writer, self._clock).process, on_commit)
        self._reader = Worker("sqlite-reader", Reader(database.reader).process, on_commit)

    async def close(self) -> None:
        """Finish what was handed in, and let go of the file. Closing twice does nothing."""
        writer, reader, database = self._writer, self._reader, self._database
        self._writer = self._reader = self._database = None
        if writer is None or reader is None or database is None:
            return
        await writer.close()
        await reader.close()
        await asyncio.to_thread(database.close)

    async def now(self) -> datetime:
        """Return the clock's time."""
        return self._clock()

    async def find_request(self, key: RequestKey) -> Task | None:
        """Return the task that an earlier call with this key made or changed. Raises REQUEST_ID_REUSED."""
        return await self._read(partial(requests.find_task, key=key))

    async def create_task(self, new: NewTask) -> Created:
        """Store a task with its first events, or return the one that an earlier call with the same key made."""
        return await self._write(partial(creation.create_task, new=new))

    async def write(self, writes: Sequence[TaskWrite]) -> Sequence[Stored | Lost]:
        """Apply fenced writes in one transaction."""
        return await self._write(partial(writing.write, writes=writes))

    async def claim(self, owner: str, limit: int, caps: Caps, running: Mapping[Group, int]) -> Sequence[ClaimedTask]:
        """Take over tasks that have not ended and are not `owner`'s: no other owner lives."""
        return await self._write(partial(claiming.claim, owner=owner, limit=limit, caps=caps, running=running))

    async def has_claimable(self, owner: str) -> bool:
        """Return whether anything could be claimed if there were no caps."""
        return await self._read(partial(claiming.has_claimable, owner=owner, now_micros=to_micros(self._clock())))

    async def add_lease(self, owner: str, seconds: float) -> None:
        """Do nothing: the file has one process, which lives as long as it has it."""

    async def renew_lease(self, owner: str, seconds: float) -> bool:  # noqa: ARG002 - of the port
        """Return True: the file has one process."""
        return True

    async def end_lease(self, owner: str) -> None:
        """Do nothing: the next process that has the file knows that all others are dead."""

    async def find_held(self, owner: str) -> Mapping[str, int]:
        """Return the attempts of the tasks that an owner holds, by task id."""
        return await self._read(partial(claiming.find_held, owner=owner))

    async def maintain(self) -> None:
        """Remove what is old."""
        await retention.sweep(self._read, self._write, self._retention, self._clock())

    async def find_orders(self, owner: str) -> Sequence[str]:
        """Return the ids of the owner's tasks for which a message or an order to cancel waits."""
        return await self._read(partial(inbox.find_orders, owner=owner))

    async def get_last_sequences(self, root_task_ids: Sequence[str]) -> Mapping[str, int]:
        """Return where the logs of trees end."""
        return await self._read(partial(events.read_last_sequences, root_task_ids=root_task_ids))

    async def count_queued(self) -> int:
        """Return how many tasks are SUBMITTED."""
        return await self._read(claiming.count_queued)

    async def release_task(self, task_id: str, attempt: int, *, may_park: bool = True) -> None:
        """Give up a task."""
        await self._write(partial(claiming.release_task, task_id=task_id, attempt=attempt, may_park=may_park))

    async def park_for_identity(self, task_id: str, attempt: int, payload: Payload) -> Stored | Lost:
        """Set a claimed task to AUTH_REQUIRED."""
        return await self._write(partial(writing.park_for_identity, task_id=task_id, attempt=attempt, payload=payload))

    async def renew_identity(
        self, viewer: Viewer, task_id: str, identity: Identity, payload: Payload, request: RequestKey | None
    ) -> Task:
        """Give a task in AUTH_REQUIRED a new identity. Raises TASK_NOT_WAITING."""
        return await self._write(
            partial(
                claiming.renew_identity,
                viewer=viewer,
                task_id=task_id,
                identity=identity,
                payload=payload,
                request=request,
            )
        )

    async def get_task(self, viewer: Viewer, task_id: str) -> Task:
        """Return a task. Raises TASK_NOT_FOUND."""
        return await self._read(partial(rows.read_shown, viewer=viewer, task_id=task_id))

    async def get_tasks(self, viewer: Viewer, task_ids: Sequence[str]) -> Sequence[Task]:
        """Return tasks in the order of the ids. Raises TASK_NOT_FOUND."""
        return await self._read(partial(rows.read_many_shown, viewer=viewer, task_ids=task_ids))

    async def list_tasks(self, query: TaskQuery) -> Sequence[Task]:
        """Return a page of tasks, newest first."""
        return await self._read(partial(listing.list_tasks, query=query))

    async def get_descendants(self, task_id: str) -> Sequence[Task]:
        """Return all tasks below a task."""
        return await self._read(partial(rows.read_descendants, task_id=task_id))

    async def load_journal(self, task_id: str) -> Journal:
        """Return the stored steps of a task."""
        return await self._read(partial(journal.load_journal, task_id=task_id))

    async def read_events(self, root_task_id: str, after_sequence: int, limit: int) -> EventPage:
        """Return a page of a tree's log."""
        return await self._read(
            partial(events.read_events, root_task_id=root_task_id, after_sequence=after_sequence, limit=limit)
        )

    async def request_cancel(
        self, viewer: Viewer, task_id: str, order: CancelOrder, request: RequestKey | None
    ) -> CancelRecord:
        """Store a cancel order. Raises TASK_NOT_CANCELABLE."""
        return await self._write(
            partial(canceling.request_cancel, viewer=viewer, task_id=task_id, order=order, request=request)
        )

    async def add_steer(self, viewer: Viewer, steer: Steer, request: RequestKey | None) -> tuple[Steer, Task]:
        """Store a message for a running task. Raises TASK_NOT_STEERABLE."""
        return await self._write(partial(inbox.add_steer, viewer=viewer, steer=steer, request=request))

    async def get_steer(self, steer_id: str) -> Steer:
        """Return a steering message. Raises LookupError when there is none."""
        return await self._read(partial(inbox.read_steer, steer_id=steer_id))

    async def read_inbox(self, task_id: str) -> Inbox:
        """Return what waits for the runner of a task."""
        return await self._read(partial(inbox.read_inbox, task_id=task_id))

    async def ask(
        self, task_id: str, attempt: int, *, question_id: str, text: str, seconds: float
    ) -> AskedQuestion | Lost:
        """Store a question of a running task, or return it as it stands."""
        return await self._write(
            partial(
                questions.ask, task_id=task_id, attempt=attempt, question_id=question_id, text=text, seconds=seconds
            )
        )

    async def answer(
        self, viewer: Viewer, task_id: str, question_id: str, *, answer: str, user_id: str, request: RequestKey | None
    ) -> Task:
        """Answer an open question. Raises TASK_NOT_WAITING."""
        return await self._write(
            partial(
                questions.answer,
                viewer=viewer,
                task_id=task_id,
                question_id=question_id,
                answer=answer,
                user_id=user_id,
                request=request,
            )
        )

    async def expire_question(self, task_id: str, attempt: int, question_id: str) -> AskedQuestion | Lost:
        """Close a question that nobody answered. Raises LookupError when there is none."""
        return await self._write(
            partial(questions.expire_question, task_id=task_id, attempt=attempt, question_id=question_id)
        )

    async def get_question(self, question_id: str) -> AskedQuestion:
        """Return a question. Raises LookupError when there is none."""
        return await self._read(partial(question_rows.read_question, question_id=question_id))

    async def request_approvals(
        self, task_id: str, attempt: int, new: Sequence[NewApproval], *, seconds: float
    ) -> Sequence[Approval] | Lost:
        """Store approvals of a running task, or return them as they stand."""
        call = partial(approvals.request_approvals, task_id=task_id, attempt=attempt, new=new, seconds=seconds)
        return await self._write(call)

    async def get_approvals(self, approval_ids: Sequence[str]) -> Sequence[Approval]:
        """Return approvals. Raises LookupError for one that is not there."""
        return await self._read(partial(approval_rows.read_approvals, approval_ids=approval_ids))

    async def expire_approvals(self, task_id: str, attempt: int) -> Sequence[Approval] | Lost:
        """Close the approvals of a running task that nobody decided in time."""
        return await self._write(partial(approvals.expire_approvals, task_id=task_id, attempt=attempt))

    async def resolve(
        self,
        viewer: Viewer,
        task_id: str,
        resolutions: Sequence[Resolution],
        *,
        user_id: str,
        renewal: Renewal | None = None,
        request: RequestKey | None,
    ) -> Resolved:
        """Decide about open approvals. Raises what the port says."""
        return await self._write(
            partial(
                approvals.resolve,
                viewer=viewer,
                task_id=task_id,
                resolutions=resolutions,
                user_id=user_id,
                renewal=renewal,
                request=request,
            )
        )

    async def park(
        self, task_id: str, attempt: int, *, awaited: Collection[str] = (), number: int | None = None
    ) -> bool | Lost:
        """Give up a task that waits for approvals alone."""
        call = partial(approvals.park, task_id=task_id, attempt=attempt, awaited=awaited, number=number)
        return await self._write(call)

    async def change_board(
        self,
        team_task_id: str,
        command: BoardCommand,
        *,
        viewer: Viewer | None = None,
        request: RequestKey | None = None,
    ) -> BoardRecord:
        """Apply a command to a team's board. The record's board has only what the command is about."""
        return await self._write(
            partial(boards.change_board, team_task_id=team_task_id, command=command, viewer=viewer, request=request)
        )

    async def get_board(self, viewer: Viewer | None, team_task_id: str) -> Board:
        """Return a team's whole board. Raises TASK_NOT_FOUND or BOARD_NOT_FOUND."""
        return await self._read(partial(boards.get_board, viewer=viewer, team_task_id=team_task_id))

    async def claim_hook_runs(self, owner: str, limit: int, running: Collection[str]) -> Sequence[ClaimedHookRun]:
        """Take hooks whose time has come, and those of other owners: none of them lives."""
        return await self._write(partial(hook_runs.claim_hook_runs, owner=owner, limit=limit, running=running))

    async def finish_hook_run(
        self, hook_run_id: str, attempts: int, *, error: str | None, retry_seconds: float | None
    ) -> bool:
        """Store how an attempt at a hook ended. Returns False when it is not the current one."""
        end = partial(hook_runs.finish_hook_run, error=error, retry_seconds=retry_seconds)
        return await self._write(partial(end, hook_run_id=hook_run_id, attempts=attempts))

    async def next_hook_time(self) -> datetime | None:
        """Return when the next hook that waits may begin."""
        micros = await self._read(hook_runs.read_next_time)
        return None if micros is None else from_micros(micros)

    async def list_hook_runs(self, query: HookQuery) -> Sequence[HookRun]:
        """Return a page of hook runs, newest first."""
        return await self._read(partial(hook_runs.list_hook_runs, query=query))

    async def get_hook_run(self, viewer: Viewer, hook_run_id: str) -> HookRun:
        """Return a hook run. Raises HOOK_RUN_NOT_FOUND."""
        return await self._read(partial(hook_runs.get_hook_run, viewer=viewer, hook_run_id=hook_run_id))

    async def retry_hook_run(self, viewer: Viewer, hook_run_id: str, request: RequestKey | None) -> HookRun:
        """Let a dead hook run begin again. Raises HOOK_RUN_NOT_FOUND or HOOK_RUN_NOT_RETRYABLE."""
        call = partial(hook_runs.retry_hook_run, viewer=viewer, hook_run_id=hook_run_id, request=request)
        return await self._write(call)

    async def load_history(self, key: SessionKey) -> Sequence[SessionEntry]:
        """Return all that runs have added to a session."""
        return await self._read(partial(sessions.load_history, key=key))

    async def list_sessions(self, query: SessionQuery) -> Sequence[Session]:
        """Return a page of a user's sessions, latest first."""
        return await self._read(partial(sessions.list_sessions, query=query))

    async def get_session(self, key: SessionKey) -> Session:
        """Return a session. Raises SESSION_NOT_FOUND."""
        return await self._read(partial(sessions.get_session, key=key))

    async def read_session(self, key: SessionKey, *, after_position: int, limit: int) -> Sequence[SessionEntry]:
        """Return a page of what runs have added to a session. Raises SESSION_NOT_FOUND."""
        return await self._read(partial(sessions.read_session, key=key, after_position=after_position, limit=limit))

    async def find_live_runs(self, key: SessionKey) -> Sequence[LiveRun]:
        """Return the tasks of a session that have not ended."""
        return await self._read(partial(sessions.find_live_runs, key=key))

    async def delete_session(self, key: SessionKey) -> None:
        """Delete a session with all that its runs left. Raises SESSION_NOT_FOUND or SESSION_BUSY."""
        await self._write(partial(session_deletion.delete_session, key=key))

    def _write(self, call: Callable[[Transaction], T]) -> asyncio.Future[T]:
        if self._writer is None:
            raise _not_open()
        return self._writer.submit(call)

    def _read(self, call: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        if self._reader is None:
            raise _not_open()
        return self._reader.submit(call)


def _not_open() -> MusterdError:
    return MusterdError(
        reason=Reason.STORE_UNAVAILABLE, message="the store is closed", retry_after_seconds=1.0, cause="CLOSED"
    )
