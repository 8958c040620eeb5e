"""What becomes of approvals, as pure functions: the same in every store."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from musterd.domain.approval_store import NewApproval, Resolution, Verdict
from musterd.domain.errors import MusterdError, Reason, invalid_argument
from musterd.domain.event import ApprovalRequested, ApprovalResolved
from musterd.domain.ids import is_id
from musterd.domain.task import Approval, ApprovalKind, ApprovalState, Task

VERDICTS: Mapping[ApprovalKind, Sequence[Verdict]] = {
    ApprovalKind.TOOL: (Verdict.APPROVE, Verdict.DENY),
    ApprovalKind.EXTERNAL: (Verdict.RESULT, Verdict.DENY),
    ApprovalKind.REVIEW: (Verdict.APPROVE, Verdict.DENY, Verdict.RESULT),
}
"""What may be decided about each kind of approval."""

_STATES = {
    Verdict.APPROVE: ApprovalState.APPROVED,
    Verdict.DENY: ApprovalState.DENIED,
    Verdict.RESULT: ApprovalState.RESOLVED,
}


def make_approval(new: NewApproval, task_id: str, *, now: datetime, seconds: float) -> Approval:
    """Return a new approval of a task, open for so long."""
    return Approval(
        approval_id=new.approval_id,
        task_id=task_id,
        kind=new.kind,
        step=new.step,
        tool_call_id=new.tool_call_id,
        tool_name=new.tool_name,
        arguments_json=new.arguments_json,
        text=new.text,
        create_time=now,
        expire_time=now + timedelta(seconds=seconds),
    )


def tell_requested(approval: Approval) -> ApprovalRequested:
    """Return the event of a new approval."""
    return ApprovalRequested(
        approval_id=approval.approval_id,
        kind=approval.kind,
        step=approval.step,
        tool_call_id=approval.tool_call_id,
        tool_name=approval.tool_name,
        arguments_json=approval.arguments_json,
        text=approval.text,
        expire_time=approval.expire_time,
    )


def tell_resolved(approval: Approval) -> ApprovalResolved:
    """Return the event of an approval that is not open any more."""
    return ApprovalResolved(
        approval_id=approval.approval_id,
        state=approval.state,
        reason=approval.reason,
        arguments_json=approval.new_arguments_json,
        result_json=approval.result_json,
        user_id=approval.decided_by,
    )


def named_ids(resolutions: Sequence[Resolution]) -> Sequence[str]:
    """Return the ids that decisions name, of those that can be an approval's."""
    return [one.approval_id for one in resolutions if is_id(one.approval_id)]


def decide_all(
    task: Task,
    resolutions: Sequence[Resolution],
    found: Mapping[str, Approval],
    open_ones: Sequence[Approval],
    *,
    user_id: str,
    now: datetime,
) -> Sequence[Approval]:
    """Return the approvals that decisions about a task change, as they are after that.

    `found` are those that the decisions name, as far as they are the task's or of one below it. `open_ones` are all
    that are open there: they are needed for a decision that names none. Raises APPROVAL_NOT_FOUND, APPROVAL_CONFLICT,
    TASK_NOT_WAITING, INVALID_ARGUMENT.
    """
    known = {**{approval.approval_id: approval for approval in open_ones}, **found}
    changed: dict[str, Approval] = {}
    for index, resolution in enumerate(resolutions):
        path = f"resolutions[{index}]"
        approval_id = resolution.approval_id or _only_open(task, open_ones, path)
        approval = changed.get(approval_id) or known.get(approval_id)
        if approval is None:
            raise _not_found(task, approval_id)
        _check(resolution, approval.kind, path)
        decided = _decide(resolution, approval, user_id)
        if approval.state is not ApprovalState.OPEN or approval.expire_time <= now:
            if not _is_same(approval, decided):
                raise _conflict(approval)
        else:
            changed[approval_id] = decided
    return list(changed.values())


def _only_open(task: Task, open_ones: Sequence[Approval], path: str) -> str:
    if len(open_ones) == 1:
        return open_ones[0].approval_id
    if open_ones:
        ids = ", ".join(approval.approval_id for approval in open_ones)
        raise invalid_argument(
            f"{path}.approval_id", "required", f"{len(open_ones)} approvals are open: name one of {ids}"
        )
    raise MusterdError(
        reason=Reason.TASK_NOT_WAITING,
        message=f"the task is {task.state.value} and has no open approval",
        metadata={"task_id": task.task_id, "state": task.state.value},
    )


def _check(resolution: Resolution, kind: ApprovalKind, path: str) -> None:
    verdicts = VERDICTS[kind]
    if resolution.verdict not in verdicts:
        names = " or ".join(verdict.name for verdict in verdicts)
        raise invalid_argument(f"{path}.verdict", "kind", f"this approval is of kind {kind.name} and takes {names}")
    if resolution.arguments_json:
        if resolution.verdict is not Verdict.APPROVE:
            raise invalid_argument(f"{path}.arguments_json", "verdict", "new arguments need the verdict APPROVE")
        if not isinstance(_parse(resolution.arguments_json, f"{path}.arguments_json"), dict):
            raise invalid_argument(f"{path}.arguments_json", "json_object", "the arguments must be a JSON object")
    if resolution.verdict is Verdict.RESULT:
        _parse(resolution.result_json, f"{path}.result_json")
    elif resolution.result_json:
        raise invalid_argument(f"{path}.result_json", "verdict", "a result needs the verdict RESULT")


def _parse(text: str, path: str) -> object:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        # A text with half a character is JSON, but nobody can store or send it.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise invalid_argument(path, "json", "this is not JSON") from None
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _decide(resolution: Resolution, approval: Approval, user_id: str) -> Approval:
    return replace(
        approval,
        state=_STATES[resolution.verdict],
        reason=resolution.reason,
        new_arguments_json=resolution.arguments_json,
        result_json=resolution.result_json,
        decided_by=user_id,
    )


def _is_same(approval: Approval, decided: Approval) -> bool:
    # Who says it again does not matter.
    return replace(decided, decided_by=approval.decided_by) == approval


def _not_found(task: Task, approval_id: str) -> MusterdError:
    return MusterdError(
        reason=Reason.APPROVAL_NOT_FOUND,
        message=f"no approval {approval_id!r} belongs to the task or to one below it",
        metadata={"task_id": task.task_id, "approval_id": approval_id},
    )


def _conflict(approval: Approval) -> MusterdError:
    is_late = approval.state in (ApprovalState.OPEN, ApprovalState.EXPIRED)
    state = ApprovalState.EXPIRED if is_late else approval.state
    problem = (
        "is over: nobody decided in time, or the task has ended"
        if is_late
        else f"was decided otherwise before: it is {state.value}"
    )
    return MusterdError(
        reason=Reason.APPROVAL_CONFLICT,
        message=f"the approval {approval.approval_id!r} {problem}",
        metadata={"task_id": approval.task_id, "approval_id": approval.approval_id, "state": state.value},
    )
