"""Calls that a run may not make by itself: what is asked about them, and what becomes of them once that is decided."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred, ToolFailed
from pydantic_ai.messages import ToolCallPart, ToolReturn
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied
from pydantic_core import from_json, to_json

from musterd.domain.approval_store import NewApproval
from musterd.domain.ids import derived_id
from musterd.domain.task import Approval, ApprovalKind, ApprovalState

REASON_KEY = "reason"
"""A tool that raises ApprovalRequired or CallDeferred says under this key of its metadata what it is about."""

NOT_DECIDED = "Nobody decided about this call in time."
DENIED = "This call was denied."
NOT_DONE = "Nobody gave the result of this call: "


class Decider(Protocol):
    """Has somebody outside decide."""

    async def decide(self, asked: Sequence[NewApproval]) -> Sequence[Approval]:
        """Return the approvals in the order in which they were asked for, once none of them is open."""
        ...


async def decide_calls(
    task_id: str, step: int, decider: Decider, requests: DeferredToolRequests
) -> DeferredToolResults | None:
    """Return what becomes of deferred calls of the response number `step`, once it is decided about all of them."""
    kinds = [(call, ApprovalKind.TOOL) for call in requests.approvals]
    kinds += [(call, ApprovalKind.EXTERNAL) for call in requests.calls]
    asked = [_asked(task_id, step, call, kind, requests.metadata) for call, kind in kinds]
    decided = await decider.decide(asked)
    approvals: dict[str, ToolApproved | ToolDenied] = {}
    results: dict[str, Any] = {}
    for approval in decided:
        if approval.kind is ApprovalKind.TOOL:
            approvals[approval.tool_call_id] = _verdict_of(approval)
        else:
            results[approval.tool_call_id] = _result_of(approval)
    return DeferredToolResults(approvals=dict(approvals), calls=results)


def _asked(
    task_id: str, step: int, call: ToolCallPart, kind: ApprovalKind, metadata: Mapping[str, Mapping[str, Any]]
) -> NewApproval:
    reason = metadata.get(call.tool_call_id, {}).get(REASON_KEY, "")
    return NewApproval(
        approval_id=derived_id(task_id, step, call.tool_call_id, "approval"),
        kind=kind,
        step=step,
        tool_call_id=call.tool_call_id,
        tool_name=call.tool_name,
        arguments_json=call.args_as_json_str(),
        text=str(reason),
    )


def _verdict_of(approval: Approval) -> ToolApproved | ToolDenied:
    match approval.state:
        case ApprovalState.APPROVED:
            changed = approval.new_arguments_json
            return ToolApproved(override_args=json.loads(changed) if changed else None)
        case ApprovalState.EXPIRED:
            return ToolDenied(NOT_DECIDED)
        case _:
            return ToolDenied(approval.reason or DENIED)


def _result_of(approval: Approval) -> ToolReturn[Any] | ToolFailed:
    match approval.state:
        case ApprovalState.RESOLVED:
            # As it is, an object with a field `kind` would be taken for something of pydantic-ai's own.
            return ToolReturn(json.loads(approval.result_json))
        case ApprovalState.EXPIRED:
            return ToolFailed(NOT_DECIDED)
        case _:
            return ToolFailed(NOT_DONE + (approval.reason or DENIED))


def dump_deferral(deferral: CallDeferred | ApprovalRequired) -> bytes:
    """Return a tool's wish to wait, so that `load_deferral` can raise it again."""
    is_external = isinstance(deferral, CallDeferred)
    return to_json({"external": is_external, "metadata": deferral.metadata}, fallback=str)


def load_deferral(data: bytes) -> CallDeferred | ApprovalRequired:
    """Return a tool's wish to wait that was stored."""
    stored = from_json(data)
    return CallDeferred(stored["metadata"]) if stored["external"] else ApprovalRequired(stored["metadata"])


def decides_itself(capabilities: Iterable[AbstractCapability[Any]]) -> bool:
    """Whether an author's own capability decides about deferred calls: then we ask about what it leaves alone."""
    leaves: list[AbstractCapability[Any]] = []
    for capability in capabilities:
        capability.apply(leaves.append)
    ours = AbstractCapability.handle_deferred_tool_calls
    return any(type(leaf).handle_deferred_tool_calls is not ours for leaf in leaves)


class LastDecider(AbstractCapability[Any]):
    """Stands inside of all other capabilities, and asks about the calls about which none of them decided."""

    def __init__(self, decide: Callable[[DeferredToolRequests], Awaitable[DeferredToolResults | None]]) -> None:
        self._decide = decide

    def get_ordering(self) -> CapabilityOrdering:
        """Stand inside of all other capabilities."""
        return CapabilityOrdering(position="innermost")

    async def handle_deferred_tool_calls(
        self, ctx: RunContext[Any], *, requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        """Ask about what is left."""
        return await self._decide(requests)
