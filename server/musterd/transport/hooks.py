"""HookService: shows hooks that run in the background, and retries those that are dead."""

from dataclasses import dataclass

from musterd.auth import viewer_of
from musterd.domain.hook_store import HookQuery
from musterd.runtime.hooks.runs import HookRuns
from musterd.transport.call import current_call
from musterd.transport.codec import requests as decode
from musterd.transport.codec.hook_runs import HOOK_RUN_STATE_FROM_WIRE, encode_hook_run
from musterd.transport.paging import PageScope
from musterd_client.v1 import hook_service_pb2 as pb2

HOOK_RUN_STATES = tuple(pb2.HookRunState.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class HookServicer:
    """Serves HookService."""

    runs: HookRuns

    async def ListHookRuns(self, request: pb2.ListHookRunsRequest) -> pb2.ListHookRunsResponse:
        """Return a page of hook runs, newest first."""
        call = current_call()
        scope = PageScope.of(request, viewer_of(call.principal), call.method)
        query = _query(request, scope)
        rows = await self.runs.list(query)
        page = rows[: query.limit - 1]
        token = scope.token_at(page[-1].create_time, page[-1].hook_run_id) if len(rows) == query.limit else ""
        return pb2.ListHookRunsResponse(hook_runs=[encode_hook_run(run) for run in page], next_page_token=token)

    async def RetryHookRun(self, request: pb2.RetryHookRunRequest) -> pb2.RetryHookRunResponse:
        """Let a dead hook run begin again."""
        call = current_call()
        hook_run_id = decode.required_id("hook_run_id", request.hook_run_id)
        run = await self.runs.retry(viewer_of(call.principal), hook_run_id, call.request_key(request))
        return pb2.RetryHookRunResponse(hook_run=encode_hook_run(run))


def _query(request: pb2.ListHookRunsRequest, scope: PageScope) -> HookQuery:
    states = [decode.enum_number(f"states[{i}]", number, HOOK_RUN_STATES) for i, number in enumerate(request.states)]
    return HookQuery(
        viewer=viewer_of(current_call().principal),
        limit=decode.page_size(request.page_size) + 1,
        before=scope.position_at(request.page_token),
        task_id=decode.optional_id("task_id", request.task_id),
        states=frozenset(HOOK_RUN_STATE_FROM_WIRE[number] for number in states if number),
    )
