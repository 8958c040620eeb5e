"""Looks at hooks in the background, and retries those that are dead."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from musterd.domain.hook_store import HookQuery, HookRun, HookStore
from musterd.domain.ports import RequestKey
from musterd.domain.principal import Viewer


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRuns:
    """What callers may do with runs of hooks. `on_retry` is called when one may begin again."""

    store: HookStore
    on_retry: Callable[[], None]

    async def list(self, query: HookQuery) -> Sequence[HookRun]:
        """Return a page of hook runs, newest first."""
        return await self.store.list_hook_runs(query)

    async def retry(self, viewer: Viewer, hook_run_id: str, request: RequestKey | None) -> HookRun:
        """Let a dead hook run begin again. Raises HOOK_RUN_NOT_FOUND or HOOK_RUN_NOT_RETRYABLE."""
        run = await self.store.retry_hook_run(viewer, hook_run_id, request)
        self.on_retry()
        return run
