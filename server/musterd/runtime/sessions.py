"""Looks at conversations, and deletes them. They are their owner's alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from musterd.domain.errors import MusterdError, Reason, invalid_argument
from musterd.domain.orders import CancelOrder
from musterd.domain.principal import Viewer
from musterd.domain.session import Session, SessionEntry, SessionKey, SessionQuery, session_not_found
from musterd.domain.session_store import SessionStore
from musterd.runtime.tasks import HARD_CANCEL_WAIT_SECONDS, Tasks

NAMED_COMPONENTS_MAX = 10
"""How many components a refusal names at most."""

DELETED = "its session is deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """What callers may do with their own sessions. Any other is SESSION_NOT_FOUND."""

    store: SessionStore
    tasks: Tasks

    async def list(self, query: SessionQuery) -> Sequence[Session]:
        """Return a page of sessions, latest first."""
        return await self.store.list_sessions(query)

    async def get(self, query: SessionQuery) -> Session:
        """Return the one session that a query finds.

        Raises SESSION_NOT_FOUND, and INVALID_ARGUMENT when the id is used with several components.
        """
        found = await self.store.list_sessions(replace(query, limit=NAMED_COMPONENTS_MAX))
        if not found:
            raise session_not_found(query.session_id)
        if len(found) > 1:
            components = sorted((session.key.component.kind.value, session.key.component.id) for session in found)
            names = ", ".join(f"{kind} {component_id!r}" for kind, component_id in components)
            raise invalid_argument("component", "required", f"this session id is used with {names}: name one of them")
        return found[0]

    async def read(self, key: SessionKey, *, after_position: int, limit: int) -> Sequence[SessionEntry]:
        """Return a page of what runs have added to a session. Raises SESSION_NOT_FOUND."""
        return await self.store.read_session(key, after_position=after_position, limit=limit)

    async def delete(self, key: SessionKey, *, cancels: bool) -> None:
        """Delete a session with all that its runs left; with `cancels`, what has not ended is canceled first.

        Raises SESSION_NOT_FOUND, and SESSION_BUSY when a task of it has not ended, or not soon after it was told to.
        """
        if cancels:
            await self._cancel_all(key)
        await self.store.delete_session(key)

    async def _cancel_all(self, key: SessionKey) -> None:
        """Cancel what has not ended, and wait a moment for it."""
        owner = Viewer(tenant_id=key.tenant_id, user_id=key.user_id)
        live = await self.store.find_live_runs(key)
        roots = [run.task_id for run in live if run.task_id == run.root_task_id]
        # The last to wait first, so that none of them begins. What is below a run goes with it.
        canceled = {task_id for task_id in reversed(roots) if await self._cancel(owner, task_id)}
        left = await self.store.find_live_runs(key)
        for run in reversed(left):
            # A child whose run had ended by then.
            if run.root_task_id not in canceled:
                await self._cancel(owner, run.task_id)
        if left:
            await self._wait(owner, [run.task_id for run in left])

    async def _cancel(self, owner: Viewer, task_id: str) -> bool:
        """Cancel a task. Returns False when it ended by itself, or was deleted, meanwhile."""
        order = CancelOrder(hard=True, grace_seconds=0.0, reason=DELETED, cascade=True, user_id=owner.user_id or "")
        try:
            await self.tasks.cancel(owner, task_id, order, None)
        except MusterdError as error:
            if error.reason not in (Reason.TASK_NOT_CANCELABLE, Reason.TASK_NOT_FOUND):
                raise
            return False
        return True

    async def _wait(self, owner: Viewer, task_ids: Sequence[str]) -> None:
        try:
            await self.tasks.wait(owner, task_ids, wait_for_any=False, seconds=HARD_CANCEL_WAIT_SECONDS)
        except MusterdError as error:
            # Another deletion came first.
            if error.reason is not Reason.TASK_NOT_FOUND:
                raise
