"""The store port on PostgreSQL."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial

from musterd.domain.approval_store import NewApproval, Renewal, Resolution, Resolved
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
from musterd.store.postgres import (
    appending,
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
    leases,
    listing,
    partitions,
    question_rows,
    questions,
    requests,
    retention,
    rows,
    session_deletion,
    sessions,
    writing,
)
from musterd.store.postgres.connection import Database
from musterd.store.postgres.engine import Engine
from musterd.store.postgres.failures import closed
from musterd.store.postgres.schema import check_schema, migrate
from musterd.store.postgres.statements import load_statement
from musterd.store.retention import Retention

FORGET_DEAD_SECONDS = 86_400.0
"""How long a name stays known whose lease has run out."""

_READ_NOW = load_statement("read_now")


class PostgresStore:
    """A store in one PostgreSQL database, which any number of processes share.

    Stored times are the database's own; `clock` is for tests, and replaces them. `retention` says what `maintain`
    removes: without it, nothing. `open` raises StoreOpenError when the database cannot be used, or with `migrates`
    False when its schema lacks something.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime] | None = None,
        *,
        migrates: bool = True,
        retention: Retention | None = None,
    ) -> None:
        self._database = database
        self._retention = retention or Retention()
        self._migrates = migrates
        self._clock = clock
        self._opened: Engine | None = None

    @property
    def _engine(self) -> Engine:
        if self._opened is None:
            raise closed()
        return self._opened

    async def open(self, on_commit: CommitListener) -> None:
        """Connect, once the schema is up to date: bring it there, or refuse. Raises StoreOpenError."""
        if self._migrates:
            await migrate(self._database, self._clock() if self._clock is not None else None)
        else:
            await check_schema(self._database)
        self._opened = Engine(await self._database.open_pool(), self._clock, on_commit)

    async def close(self) -> None:
        """Finish what was handed in, and disconnect. Closing twice does nothing."""
        engine, self._opened = self._opened, None
        if engine is not None:
            await engine.close()

    async def now(self) -> datetime:
        """Return the database's time."""
        if self._clock is not None:
            return self._clock()
        return from_micros(await self._engine.read(lambda connection: connection.fetchval(_READ_NOW)))

    async def find_request(self, key: RequestKey) -> Task | None:
        """Return the task that an earlier call with this key made or changed. Raises REQUEST_ID_REUSED."""
        return await self._engine.read(partial(requests.find_task, key=key), tenant_id=key.tenant_id)

    async def create_task(self, new: NewTask) -> Created:
        """Store a task with its first events, or return the one that an earlier call with the same key made."""
        call = partial(creation.create_task, new=new)
        tenant_id = new.spec.identity.tenant_id
        return await self._engine.write(call, root_task_ids=(new.root_task_id,), tenant_id=tenant_id)

    async def write(self, writes: Sequence[TaskWrite]) -> Sequence[Stored | Lost]:
        """Apply fenced writes in one transaction."""
        task_ids = [one.task_id for one in writes]
        if appending.only_append(writes):
            append = partial(appending.append, writes=writes, clock=self._clock)
            return await self._engine.write_at_once(append, task_ids=task_ids)
        return await self._engine.write(partial(writing.write, writes=writes), task_ids=task_ids)

    async def claim(self, owner: str, limit: int, caps: Caps, running: Mapping[Group, int]) -> Sequence[ClaimedTask]:
        """Take tasks that have not ended and that no living owner holds: one with a lease lives, and `owner` does."""
        call = partial(claiming.claim, owner=owner, limit=limit, caps=caps, running=running)
        claim = await self._engine.write(call)
        if claim.unreadable:
            end = partial(claiming.end_unreadable, task_ids=claim.unreadable)
            await self._engine.write(end, task_ids=claim.unreadable)
        return claim.claimed

    async def has_claimable(self, owner: str) -> bool:
        """Return whether anything could be claimed if there were no caps."""
        now_micros = None if self._clock is None else to_micros(self._clock())
        return await self._engine.read(partial(claiming.has_claimable, owner=owner, now_micros=now_micros))

    async def count_queued(self) -> int:
        """Return how many tasks are SUBMITTED."""
        return await self._engine.read(claiming.count_queued)

    async def release_task(self, task_id: str, attempt: int, *, may_park: bool = True) -> None:
        """Give up a task."""
        call = partial(claiming.release_task, task_id=task_id, attempt=attempt, may_park=may_park)
        await self._engine.write(call, task_ids=(task_id,))

    async def park_for_identity(self, task_id: str, attempt: int, payload: Payload) -> Stored | Lost:
        """Set a claimed task to AUTH_REQUIRED."""
        call = partial(writing.park_for_identity, task_id=task_id, attempt=attempt, payload=payload)
        return await self._engine.write(call, task_ids=(task_id,))

    async def renew_identity(
        self, viewer: Viewer, task_id: str, identity: Identity, payload: Payload, request: RequestKey | None
    ) -> Task:
        """Give a task in AUTH_REQUIRED a new identity. Raises TASK_NOT_WAITING."""
        call = partial(
            claiming.renew_identity,
            viewer=viewer,
            task_id=task_id,
            identity=identity,
            payload=payload,
            request=request,
        )
        return await self._engine.write(call, task_ids=(task_id,), tenant_id=viewer.tenant_id)

    async def get_task(self, viewer: Viewer, task_id: str) -> Task:
        """Return a task. Raises TASK_NOT_FOUND."""
        call = partial(rows.read_shown, viewer=viewer, task_id=task_id)
        return await self._engine.read(call, tenant_id=viewer.tenant_id)

    async def get_tasks(self, viewer: Viewer, task_ids: Sequence[str]) -> Sequence[Task]:
        """Return tasks in the order of the ids. Raises TASK_NOT_FOUND."""
        call = partial(rows.read_many_shown, viewer=viewer, task_ids=task_ids)
        return await self._engine.read(call, tenant_id=viewer.tenant_id)

    async def list_tasks(self, query: TaskQuery) -> Sequence[Task]:
        """Return a page of tasks, newest first."""
        return await self._engine.read(partial(listing.list_tasks, query=query), tenant_id=query.viewer.tenant_id)

    async def get_descendants(self, task_id: str) -> Sequence[Task]:
        """Return all tasks below a task."""
        return await self._engine.read(partial(rows.read_descendants, task_id=task_id))

    async def load_journal(self, task_id: str) -> Journal:
        """Return the stored steps of a task."""
        return await self._engine.read_snapshot(partial(journal.load_journal, task_id=task_id))

    async def read_events(self, root_task_id: str, after_sequence: int, limit: int) -> EventPage:
        """Return a page of a tree's log."""
        return await self._engine.read(
            partial(events.read_events, root_task_id=root_task_id, after_sequence=after_sequence, limit=limit)
        )

    async def request_cancel(
        self, viewer: Viewer, task_id: str, order: CancelOrder, request: RequestKey | None
    ) -> CancelRecord:
        """Store a cancel order. Raises TASK_NOT_CANCELABLE."""
        call = partial(canceling.request_cancel, viewer=viewer, task_id=task_id, order=order, request=request)
        return await self._engine.write(call, task_ids=(task_id,), tenant_id=viewer.tenant_id)

    async def add_steer(self, viewer: Viewer, steer: Steer, request: RequestKey | None) -> tuple[Steer, Task]:
        """Store a message for a running task. Raises TASK_NOT_STEERABLE."""
        call = partial(inbox.add_steer, viewer=viewer, steer=steer, request=request)
        return await self._engine.write(call, task_ids=(steer.task_id,), tenant_id=viewer.tenant_id)

    async def get_steer(self, steer_id: str) -> Steer:
        """Return a steering message. Raises LookupError when there is none."""
        return await self._engine.read(partial(inbox.read_steer, steer_id=steer_id))

    async def read_inbox(self, task_id: str) -> Inbox:
        """Return what waits for the runner of a task."""
        return await self._engine.read(partial(inbox.read_inbox, task_id=task_id))

    async def ask(
        self, task_id: str, attempt: int, *, question_id: str, text: str, seconds: float
    ) -> AskedQuestion | Lost:
        """Store a question of a running task, or return it as it stands."""
        call = partial(
            questions.ask, task_id=task_id, attempt=attempt, question_id=question_id, text=text, seconds=seconds
        )
        return await self._engine.write(call, task_ids=(task_id,))

    async def answer(
        self, viewer: Viewer, task_id: str, question_id: str, *, answer: str, user_id: str, request: RequestKey | None
    ) -> Task:
        """Answer an open question. Raises TASK_NOT_WAITING."""
        call = partial(
            questions.answer,
            viewer=viewer,
            task_id=task_id,
            question_id=question_id,
            answer=answer,
            user_id=user_id,
            request=request,
        )
        return await self._engine.write(call, task_ids=(task_id,), tenant_id=viewer.tenant_id)

    async def expire_question(self, task_id: str, attempt: int, question_id: str) -> AskedQuestion | Lost:
        """Close a question that nobody answered. Raises LookupError when there is none."""
        call = partial(questions.expire_question, task_id=task_id, attempt=attempt, question_id=question_id)
        return await self._engine.write(call, task_ids=(task_id,))

    async def get_question(self, question_id: str) -> AskedQuestion:
        """Return a question. Raises LookupError when there is none."""
        return await self._engine.read(partial(question_rows.read_question, question_id=question_id))

    async def request_approvals(
        self, task_id: str, attempt: int, new: Sequence[NewApproval], *, seconds: float
    ) -> Sequence[Approval] | Lost:
        """Store approvals of a running task, or return them as they stand."""
        call = partial(approvals.request_approvals, task_id=task_id, attempt=attempt, new=new, seconds=seconds)
        return await self._engine.write(call, task_ids=(task_id,))

    async def get_approvals(self, approval_ids: Sequence[str]) -> Sequence[Approval]:
        """Return approvals. Raises LookupError for one that is not there."""
        return await self._engine.read(partial(approval_rows.read_approvals, approval_ids=approval_ids))

    async def expire_approvals(self, task_id: str, attempt: int) -> Sequence[Approval] | Lost:
        """Close the approvals of a running task that nobody decided in time."""
        call = partial(approvals.expire_approvals, task_id=task_id, attempt=attempt)
        return await self._engine.write(call, task_ids=(task_id,))

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
        call = partial(
            approvals.resolve,
            viewer=viewer,
            task_id=task_id,
            resolutions=resolutions,
            user_id=user_id,
            renewal=renewal,
            request=request,
        )
        return await self._engine.write(call, task_ids=(task_id,), tenant_id=viewer.tenant_id)

    async def park(
        self, task_id: str, attempt: int, *, awaited: Collection[str] = (), number: int | None = None
    ) -> bool | Lost:
        """Give up a task that waits for approvals alone."""
        call = partial(approvals.park, task_id=task_id, attempt=attempt, awaited=awaited, number=number)
        return await self._engine.write(call, task_ids=(task_id,))

    async def change_board(
        self,
        team_task_id: str,
        command: BoardCommand,
        *,
        viewer: Viewer | None = None,
        request: RequestKey | None = None,
    ) -> BoardRecord:
        """Apply a command to a team's board. The record's board has only what the command is about."""
        call = partial(boards.change_board, team_task_id=team_task_id, command=command, viewer=viewer, request=request)
        return await self._engine.write(call, task_ids=(team_task_id,), tenant_id=_tenant_of(viewer))

    async def get_board(self, viewer: Viewer | None, team_task_id: str) -> Board:
        """Return a team's whole board. Raises TASK_NOT_FOUND or BOARD_NOT_FOUND."""
        call = partial(boards.get_board, viewer=viewer, team_task_id=team_task_id)
        return await self._engine.read_snapshot(call, tenant_id=_tenant_of(viewer))

    async def claim_hook_runs(self, owner: str, limit: int, running: Collection[str]) -> Sequence[ClaimedHookRun]:
        """Take hooks whose time has come and that no living owner runs: one with a lease lives, and `owner` does."""
        now_micros = None if self._clock is None else to_micros(self._clock())
        find = partial(hook_runs.find_due, owner=owner, limit=limit, running=running, now_micros=now_micros)
        # Looked for before their trees are locked, which come before all else.
        if not (found := await self._engine.read(find)):
            return ()
        take = partial(hook_runs.take, owner=owner, found=found, running=running)
        return await self._engine.write(take, task_ids=set(found.values()))

    async def finish_hook_run(
        self, hook_run_id: str, attempts: int, *, error: str | None, retry_seconds: float | None
    ) -> bool:
        """Store how an attempt at a hook ended. Returns False when it is not the current one."""
        task_id = await self._engine.read(partial(hook_runs.find_task, hook_run_id=hook_run_id))
        if task_id is None:
            return False
        end = partial(hook_runs.finish_hook_run, error=error, retry_seconds=retry_seconds)
        call = partial(end, hook_run_id=hook_run_id, attempts=attempts)
        return await self._engine.write(call, task_ids=(task_id,))

    async def next_hook_time(self) -> datetime | None:
        """Return when the next hook that waits may begin."""
        micros = await self._engine.read(hook_runs.read_next_time)
        return None if micros is None else from_micros(micros)

    async def list_hook_runs(self, query: HookQuery) -> Sequence[HookRun]:
        """Return a page of hook runs, newest first."""
        call = partial(hook_runs.list_hook_runs, query=query)
        return await self._engine.read(call, tenant_id=query.viewer.tenant_id)

    async def get_hook_run(self, viewer: Viewer, hook_run_id: str) -> HookRun:
        """Return a hook run. Raises HOOK_RUN_NOT_FOUND."""
        call = partial(hook_runs.get_hook_run, viewer=viewer, hook_run_id=hook_run_id)
        return await self._engine.read(call, tenant_id=viewer.tenant_id)

    async def retry_hook_run(self, viewer: Viewer, hook_run_id: str, request: RequestKey | None) -> HookRun:
        """Let a dead hook run begin again. Raises HOOK_RUN_NOT_FOUND or HOOK_RUN_NOT_RETRYABLE."""
        run = await self.get_hook_run(viewer, hook_run_id)
        call = partial(hook_runs.retry_hook_run, viewer=viewer, hook_run_id=hook_run_id, request=request)
        return await self._engine.write(call, task_ids=(run.task_id,), tenant_id=viewer.tenant_id)

    async def load_history(self, key: SessionKey) -> Sequence[SessionEntry]:
        """Return all that runs have added to a session."""
        return await self._engine.read(partial(sessions.load_history, key=key))

    async def list_sessions(self, query: SessionQuery) -> Sequence[Session]:
        """Return a page of a user's sessions, latest first."""
        return await self._engine.read(partial(sessions.list_sessions, query=query), tenant_id=query.tenant_id)

    async def get_session(self, key: SessionKey) -> Session:
        """Return a session. Raises SESSION_NOT_FOUND."""
        return await self._engine.read(partial(sessions.get_session, key=key), tenant_id=key.tenant_id)

    async def read_session(self, key: SessionKey, *, after_position: int, limit: int) -> Sequence[SessionEntry]:
        """Return a page of what runs have added to a session. Raises SESSION_NOT_FOUND."""
        call = partial(sessions.read_session, key=key, after_position=after_position, limit=limit)
        return await self._engine.read(call, tenant_id=key.tenant_id)

    async def find_live_runs(self, key: SessionKey) -> Sequence[LiveRun]:
        """Return the tasks of a session that have not ended."""
        return await self._engine.read(partial(sessions.find_live_runs, key=key), tenant_id=key.tenant_id)

    async def delete_session(self, key: SessionKey) -> None:
        """Delete a session with all that its runs left. Raises SESSION_NOT_FOUND or SESSION_BUSY."""
        is_deleted = False
        while not is_deleted:
            # Looked for before their trees are locked, which come before the session.
            roots = await self._engine.read(partial(session_deletion.find_roots, key=key), tenant_id=key.tenant_id)
            delete = partial(session_deletion.delete_session, key=key, locked=roots)
            is_deleted = await self._engine.write(delete, root_task_ids=roots, tenant_id=key.tenant_id)

    async def add_lease(self, owner: str, seconds: float) -> None:
        """Let a new owner live so long. Raises ValueError for one that was there before."""
        await self._engine.tell_life(partial(leases.add_lease, owner=owner, seconds=seconds))

    async def renew_lease(self, owner: str, seconds: float) -> bool:
        """Let an owner live so long from now. Returns False when it is dead already."""
        return await self._engine.tell_life(partial(leases.renew_lease, owner=owner, seconds=seconds)) is not None

    async def end_lease(self, owner: str) -> None:
        """Let an owner be dead, so that others may take what it still holds."""
        await self._engine.tell_life(partial(leases.end_lease, owner=owner))

    async def find_orders(self, owner: str) -> Sequence[str]:
        """Return the ids of the owner's tasks for which a message or an order to cancel waits."""
        return await self._engine.read(partial(inbox.find_orders, owner=owner))

    async def get_last_sequences(self, root_task_ids: Sequence[str]) -> Mapping[str, int]:
        """Return where the logs of trees end."""
        return await self._engine.read(partial(events.read_last_sequences, root_task_ids=root_task_ids))

    async def find_held(self, owner: str) -> Mapping[str, int]:
        """Return the attempts of the tasks that an owner holds, by task id."""
        return await self._engine.read(partial(claiming.find_held, owner=owner))

    async def maintain(self) -> None:
        """Make the partitions of the days ahead, forget owners that have been dead for long, and remove what is old."""
        now, engine = await self.now(), self._engine
        await self._engine.read(partial(partitions.ensure_partitions, now=now))
        await self._engine.read(partial(leases.forget_dead, seconds=FORGET_DEAD_SECONDS))
        sweep = partial(retention.sweep, retention=self._retention, now=now, is_stopped=lambda: engine.is_closed)
        await self._engine.read(sweep)


def _tenant_of(viewer: Viewer | None) -> str | None:
    return None if viewer is None else viewer.tenant_id
