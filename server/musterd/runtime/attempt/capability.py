"""What the server adds to a run, on pydantic-ai's ordinary hooks. Agent authors do nothing for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from pydantic import ValidationError
from pydantic_ai import RunContext, ToolDefinition
from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering
from pydantic_ai.capabilities.abstract import AgentNode, NodeResult, RawToolArgs, WrapToolExecuteHandler
from pydantic_ai.exceptions import (
    ApprovalRequired,
    CallDeferred,
    ModelRetry,
    SkipToolExecution,
    ToolFailed,
    ToolFailedError,
    ToolRetryError,
)
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models import Model, ModelRequestContext
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults
from pydantic_ai.toolsets import AbstractToolset
from pydantic_core import to_json
from pydantic_graph import End

from musterd.domain.event import ToolCallCompleted, ToolCallFailed, ToolCallStarted
from musterd.domain.orders import Steer
from musterd.domain.step import ToolStatus, ToolStep
from musterd.runtime.attempt.activity import Activity
from musterd.runtime.attempt.approving import Decider, decide_calls, dump_deferral, load_deferral
from musterd.runtime.attempt.control import RunControl
from musterd.runtime.attempt.custom_events import RelayToolset
from musterd.runtime.attempt.journal import (
    PendingMessage,
    dump_enqueued,
    dump_value,
    noting_enqueued,
    observe_enqueued,
    replay_tool,
    result_json,
)
from musterd.runtime.attempt.recorder import RUN_ENDED, StepRecorder
from musterd.runtime.attempt.tap import TapModel

logger = structlog.get_logger(__name__)

REPEATABLE_KEY = "musterd_repeatable"
"""A tool with this key true in its metadata may run again when the server stopped while it ran."""

RESULT_EVENT_MAX_BYTES = 1_048_576
"""A tool's result larger than this is stored, but left out of its event."""

CRASH_MESSAGE = "the tool raised an unexpected error"


class RunCapability(AbstractCapability[Any]):
    """Journals the steps of one attempt, tells what happens, and lets others stop and steer it.

    It is the outermost capability: what it stores of a tool call includes what the author's own hooks made of it, and
    replaying a call does not run those hooks a second time.
    """

    def __init__(self, recorder: StepRecorder, control: RunControl, activity: Activity) -> None:
        self.crash: Exception | None = None
        self.decider: Decider | None = None
        self.lets_others_decide = False
        self._recorder = recorder
        self._control = control
        self._activity = activity
        self._carried: tuple[Steer, ...] = ()

    def get_ordering(self) -> CapabilityOrdering:
        """Stand outside of all other capabilities."""
        return CapabilityOrdering(position="outermost")

    async def before_run(self, ctx: RunContext[Any]) -> None:
        """Begin to note what tools put into the conversation."""
        observe_enqueued(ctx)

    def get_wrapper_toolset(self, toolset: AbstractToolset[Any]) -> AbstractToolset[Any]:
        """Take the events that tools emit."""
        return RelayToolset(toolset, self._recorder.tell)

    def get_wrapper_model(self, model: Model) -> Model:
        """Put the tap before the model that serves a request."""
        return TapModel(model, self._recorder)

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Put waiting messages into the request that is about to be made, or again those that it held before."""
        recorder = self._recorder
        coming = recorder.step + 1
        if not recorder.is_finished(coming):
            await self._control.boundary()
        carried, self._carried = self._carried, ()
        already_in = {steer.steer_id for steer in carried}
        for steer in recorder.steers_of_step(coming):
            if steer.steer_id not in already_in:
                ctx.enqueue(steer.message)
        if not recorder.is_finished(coming):
            fresh = self._control.take_steers()
            for steer in fresh:
                ctx.enqueue(steer.message)
            recorder.hold_steers(fresh)
        return request_context

    async def after_node_run(
        self, ctx: RunContext[Any], *, node: AgentNode[Any], result: NodeResult[Any]
    ) -> NodeResult[Any]:
        """Go on instead of ending when a message waits, so that none is lost; replay takes the same turn."""
        recorder = self._recorder
        if not isinstance(result, End) or recorder.tool_step(RUN_ENDED) is not None:
            return result
        if recorder.is_stored(recorder.step + 1):
            self._carried = recorder.steers_of_step(recorder.step + 1)
        elif self._control.order is None:
            self._carried = self._control.take_steers()
            recorder.hold_steers(self._carried)
        for steer in self._carried:
            ctx.enqueue(steer.message)
        return result

    async def on_tool_validate_error(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: RawToolArgs,
        error: ValidationError | ModelRetry,
    ) -> dict[str, Any]:
        """Tell that the model called a tool with arguments that do not fit; the model is asked again."""
        recorder = self._recorder
        if tool_def.kind != "output" and recorder.tool_step(call.tool_call_id) is None:
            invalid = self._step_of(call, ToolStatus.INVALID)
            if ctx.tool_call_approved:
                # These are not the model's arguments: a replay has to ask for the approval again to get to them.
                asked = dump_deferral(ApprovalRequired())
                invalid = self._step_of(call, ToolStatus.DEFERRED, outcome_json=asked)
            recorder.record_tool(invalid, self._failed_event(call, _reason_of(error), will_retry=True))
        raise error

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        handler: WrapToolExecuteHandler,
    ) -> Any:
        """Run a tool once: a call that finished before gives its stored outcome instead."""
        recorder = self._recorder
        stored = recorder.tool_step(call.tool_call_id)
        if stored is not None and stored.status not in (ToolStatus.STARTED, ToolStatus.DEFERRED):
            return replay_tool(ctx, stored)
        if stored is not None and stored.status is ToolStatus.DEFERRED:
            if not ctx.tool_call_approved:
                raise load_deferral(stored.outcome_json)
            # It begins anew, and from now on it is no longer one that has only asked.
            stored = None
        await self._control.boundary()
        is_repeatable = (tool_def.metadata or {}).get(REPEATABLE_KEY) is True
        with recorder.tool_call(is_new=stored is None), self._activity.tool_call(repeatable=is_repeatable):
            if stored is None:
                recorder.record_tool(
                    self._step_of(call, ToolStatus.STARTED, repeatable=is_repeatable),
                    ToolCallStarted(
                        step=recorder.step,
                        tool_call_id=call.tool_call_id,
                        tool_name=call.tool_name,
                        arguments_json=to_json(args, fallback=str).decode(),
                    ),
                )
            await recorder.commit()
            with noting_enqueued() as enqueued:
                return await self._execute(call, args, handler, enqueued)

    async def handle_deferred_tool_calls(
        self, ctx: RunContext[Any], *, requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        """Have somebody outside decide about calls that the run may not make by itself."""
        return None if self.lets_others_decide else await self.decide_deferred(requests)

    async def decide_deferred(self, requests: DeferredToolRequests) -> DeferredToolResults | None:
        """Have somebody outside decide about calls, of which no capability of the author's own took care."""
        if self.decider is None:
            return None
        await self._control.boundary()
        return await decide_calls(self._recorder.log.task_id, self._recorder.step, self.decider, requests)

    async def _execute(
        self,
        call: ToolCallPart,
        args: dict[str, Any],
        handler: WrapToolExecuteHandler,
        enqueued: Sequence[PendingMessage],
    ) -> Any:
        try:
            value = await _call_tool(handler, args)
            outcome = dump_value(value)
        except SkipToolExecution as skipped:
            await self._finish(call, skipped.result, dump_value(skipped.result), enqueued)
            raise
        except (CallDeferred, ApprovalRequired) as deferral:
            self._recorder.record_tool(self._step_of(call, ToolStatus.DEFERRED, outcome_json=dump_deferral(deferral)))
            raise
        except (ToolRetryError, ModelRetry, ValidationError) as error:
            await self._fail(call, ToolStatus.RETRY, _reason_of(error), enqueued)
            raise
        except (ToolFailedError, ToolFailed) as error:
            await self._fail(call, ToolStatus.FAILED, str(error), enqueued)
            raise
        except Exception as error:
            self.crash = error
            self._recorder.record_tool(
                self._step_of(call, ToolStatus.STARTED), self._failed_event(call, CRASH_MESSAGE, will_retry=False)
            )
            raise
        await self._finish(call, value, outcome, enqueued)
        return value

    async def _finish(self, call: ToolCallPart, value: Any, outcome: bytes, enqueued: Sequence[PendingMessage]) -> None:
        result = result_json(value)
        size = len(result.encode())
        is_small = size <= RESULT_EVENT_MAX_BYTES
        self._recorder.record_tool(
            self._step_of(call, ToolStatus.RETURNED, outcome_json=outcome, enqueued_json=dump_enqueued(enqueued)),
            ToolCallCompleted(
                step=self._recorder.step,
                tool_call_id=call.tool_call_id,
                tool_name=call.tool_name,
                result_json=result if is_small else "",
                omitted_bytes=0 if is_small else size,
            ),
        )
        await self._recorder.commit()

    async def _fail(
        self, call: ToolCallPart, status: ToolStatus, message: str, enqueued: Sequence[PendingMessage]
    ) -> None:
        self._recorder.record_tool(
            self._step_of(call, status, outcome_json=message.encode(), enqueued_json=dump_enqueued(enqueued)),
            self._failed_event(call, message, will_retry=status is ToolStatus.RETRY),
        )
        await self._recorder.commit()

    def _step_of(
        self,
        call: ToolCallPart,
        status: ToolStatus,
        *,
        repeatable: bool = False,
        outcome_json: bytes = b"",
        enqueued_json: bytes = b"",
    ) -> ToolStep:
        return ToolStep(
            step=self._recorder.step,
            tool_call_id=call.tool_call_id,
            tool_name=call.tool_name,
            status=status,
            repeatable=repeatable,
            outcome_json=outcome_json,
            enqueued_json=enqueued_json,
        )

    def _failed_event(self, call: ToolCallPart, message: str, *, will_retry: bool) -> ToolCallFailed:
        return ToolCallFailed(
            step=self._recorder.step,
            tool_call_id=call.tool_call_id,
            tool_name=call.tool_name,
            message=message,
            will_retry=will_retry,
        )


async def _call_tool(handler: WrapToolExecuteHandler, args: dict[str, Any]) -> Any:
    try:
        return await handler(args)
    except (Exception, asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        # A SystemExit would end the server with the runs of all others; any other would leave its run without an end.
        raise RuntimeError(f"the tool raised {type(error).__name__}") from error


def _reason_of(error: Exception) -> str:
    """Return what the model is told, so that a replayed retry tells it the same."""
    cause = error.__cause__ if isinstance(error, ToolRetryError) else error
    return cause.message if isinstance(cause, ModelRetry) else str(error)
