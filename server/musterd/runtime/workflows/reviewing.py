"""Reviews of steps: what people are asked, and what their decision makes of a step."""

from dataclasses import dataclass

from pydantic_core import from_json, to_json

from musterd.domain.approval_store import NewApproval
from musterd.domain.ids import derived_id
from musterd.domain.task import Approval, ApprovalKind, ApprovalState
from musterd.runtime.attempt.approving import Decider
from musterd.runtime.workflows.journal import Failure, Then
from musterd.runtime.workflows.places import Place
from musterd.workflows.passing import StepInput, StepOutput, output_of
from musterd.workflows.review import Review

DENIED = "REVIEW_DENIED"
NOT_DECIDED = "nobody decided about it in time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """A review that did not agree."""

    reason: str
    is_in_time: bool = True


Decision = StepOutput | Denied | None
"""What a reviewer gave instead, why it is denied, or None: it may go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewing:
    """Has people decide about the steps of a workflow's task."""

    task_id: str
    decider: Decider

    async def before(self, place: Place, review: Review, given: StepInput) -> Decision:
        """Have somebody decide whether a step may be done."""
        previous = given.previous.content if given.previous is not None else ""
        return await self._decide(place, review, "before", {"request": given.request, "previous": previous})

    async def after(self, place: Place, review: Review, output: StepOutput) -> Decision:
        """Have somebody decide whether what a step gave may be used."""
        shown = output.content if output.value is None else output.value
        return await self._decide(place, review, "after", {"output": shown})

    async def _decide(self, place: Place, review: Review, when: str, shown: object) -> Decision:
        asked = NewApproval(
            approval_id=derived_id(self.task_id, place.key, when),
            kind=ApprovalKind.REVIEW,
            tool_call_id=place.key,
            tool_name=place.name,
            arguments_json=to_json(shown).decode(),
            text=review.text,
        )
        (approval,) = await self.decider.decide([asked])
        return _decision_of(place, approval)


def _decision_of(place: Place, approval: Approval) -> Decision:
    match approval.state:
        case ApprovalState.APPROVED:
            return None
        case ApprovalState.RESOLVED:
            return output_of(place.name, from_json(approval.result_json))
        case ApprovalState.EXPIRED:
            return Denied(reason=NOT_DECIDED, is_in_time=False)
        case _:
            return Denied(reason=approval.reason or "no reason was given")


def failure_of(denied: Denied, review: Review, denials: int) -> Failure:
    """Return what follows from a denial, the `denials`-th of this step."""
    message = f"it was denied: {denied.reason}" if denied.is_in_time else denied.reason
    match review.on_deny:
        case "retry" if denied.is_in_time and denials <= review.max_retries:
            return Failure(message=message, cause=DENIED, then=Then.RETRY, feedback=denied.reason)
        case "skip":
            return Failure(message=message, cause=DENIED, then=Then.SKIP)
        case _:
            return Failure(message=message, cause=DENIED, then=Then.FAIL)
