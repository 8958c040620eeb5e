"""The hooks of a server that run in the background."""

from collections.abc import AsyncIterator, Sequence

from musterd_client.calls import Calls
from musterd_client.codec import enum_name
from musterd_client.hook_codec import hook_run_from
from musterd_client.hook_model import HookRun, HookRunState
from musterd_client.methods import LIST_HOOK_RUNS, RETRY_HOOK_RUN
from musterd_client.request_ids import new_request_id
from musterd_client.v1.hook_service_pb2 import ListHookRunsRequest, RetryHookRunRequest


class Hooks:
    """Looks at the runs of background hooks, and retries those that failed. Reached as `client.hooks`.

    They are visible to whoever sees their task.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(
        self, *, task_id: str = "", states: Sequence[HookRunState] = (), page_size: int = 50
    ) -> AsyncIterator[HookRun]:
        """Yields the runs of hooks for which all given filters hold, newest first, page after page."""
        request = ListHookRunsRequest(
            page_size=page_size,
            task_id=task_id,
            states=[enum_name("HOOK_RUN_STATE_", state) for state in states],
        )
        while True:
            page = await self._calls.unary(LIST_HOOK_RUNS, request)
            for run in page.hook_runs:
                yield hook_run_from(run)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def retry(self, hook_run_id: str, *, request_id: str | None = None) -> HookRun:
        """Lets a dead run begin again, with its attempts counted from 1, and returns it as it stands.

        A repeated call with the same `request_id` counts once; without one the client makes one.

        Raises:
            NotFoundError: there is no such run of a hook.
            PreconditionFailedError: the run is not dead (HOOK_RUN_NOT_RETRYABLE).
        """
        request = RetryHookRunRequest(hook_run_id=hook_run_id, request_id=request_id or new_request_id())
        response = await self._calls.unary(RETRY_HOOK_RUN, request)
        return hook_run_from(response.hook_run)
