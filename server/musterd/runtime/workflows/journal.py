"""What of a workflow is done: stored step by step with its events, so that none of it is done twice."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic_core import from_json, to_json

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Payload
from musterd.domain.step import ToolStatus, ToolStep
from musterd.domain.workflow_event import BranchChosen, LoopTurned, StepCompleted, StepFailed, StepSkipped, StepStarted
from musterd.runtime.attempt.capability import RESULT_EVENT_MAX_BYTES
from musterd.runtime.attempt.recorder import StepRecorder
from musterd.runtime.workflows.places import KEY_MARK, Place, turn_count
from musterd.workflows.passing import StepOutput, dump_output, load_output
from musterd.workflows.workflow import Workflow

CHOICE, TURN, REVIEW = ":choice", ":turn", ":review"


class Then(StrEnum):
    """What follows a failed try."""

    RETRY = "retry"
    SKIP = "skip"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A try that failed: why, in words fit for the caller, and what was decided about it.

    `feedback` is what a reviewer wants to be done better.
    """

    message: str
    cause: str
    then: Then
    error_id: str = ""
    feedback: str = ""


Outcome = StepOutput | Failure


class StepJournal:
    """Tells what is stored of the steps of a workflow's task, and stores what happens.

    What is stored was told of then: nothing is told twice.
    """

    def __init__(self, recorder: StepRecorder) -> None:
        self._recorder = recorder

    def check(self, workflow: Workflow) -> None:
        """Raise MusterdError TASK_LOST when the workflow, as it is built today, lacks a step that was begun.

        One of its name that is in other loops, or is of another kind, is another step.
        """
        known = {planned.name: planned for planned in workflow.all()}
        for step in self._recorder.tool_steps():
            if not step.tool_call_id.startswith(f"{step.tool_name}{KEY_MARK}"):
                continue
            planned = known.get(step.tool_name)
            if planned is None or planned.loop_count != turn_count(step.tool_call_id):
                raise changed(step.tool_name)
            if step.status is ToolStatus.STARTED and from_json(step.outcome_json) != planned.kind:
                raise changed(step.tool_name)

    def find(self, place: Place, what: str = "") -> Outcome | None:
        """Return how a try ended, or what a review made of it; None when that is not known yet."""
        stored = self._recorder.tool_step(place.key + what)
        match stored.status if stored is not None else None:
            case ToolStatus.RETURNED if stored is not None:
                return load_output(place.name, stored.outcome_json)
            case ToolStatus.FAILED if stored is not None:
                return Failure(**from_json(stored.outcome_json))
            case _:
                return None

    def has_begun(self, place: Place) -> bool:
        """Whether anything is stored of a try."""
        return self._recorder.tool_step(place.key) is not None

    def find_value(self, place: Place, what: str) -> Any:
        """Return what was decided at a place; None when nothing was."""
        stored = self._recorder.tool_step(place.key + what)
        return None if stored is None else from_json(stored.outcome_json)

    def begin(self, place: Place, *, subtask_id: str = "", repeatable: bool = True) -> None:
        """Store that a step or a container begins."""
        if self.has_begun(place):
            return
        started = StepStarted(
            **place.in_events, attempt=place.attempt, kind=place.planned.kind.value, subtask_id=subtask_id
        )
        kind = to_json(place.planned.kind)
        self._record(place, ToolStatus.STARTED, started, outcome=kind, repeatable=repeatable)

    def keep(self, place: Place, output: StepOutput) -> None:
        """Store what a try gave, about which a review is to decide."""
        self._record(place, ToolStatus.RETURNED, outcome=dump_output(output))

    def complete(self, place: Place, output: StepOutput, what: str = "") -> None:
        """Store what a step or a container gave."""
        self._record(place, ToolStatus.RETURNED, _completed(place, output), what=what, outcome=dump_output(output))

    def skip(self, place: Place, reason: str, what: str = "") -> StepOutput:
        """Store that a step or a container is left out."""
        skipped = StepOutput(name=place.name, is_skipped=True)
        payload = StepSkipped(**place.in_events, reason=reason)
        self._record(place, ToolStatus.RETURNED, payload, what=what, outcome=dump_output(skipped))
        return skipped

    def fail(self, place: Place, failure: Failure, what: str = "") -> None:
        """Store that a try failed, or that a review found it wanting."""
        payload = StepFailed(
            **place.in_events,
            attempt=place.attempt,
            message=failure.message,
            will_retry=failure.then is Then.RETRY,
            is_skipped=failure.then is Then.SKIP,
        )
        outcome = to_json(
            {
                "message": failure.message,
                "cause": failure.cause,
                "then": failure.then,
                "error_id": failure.error_id,
                "feedback": failure.feedback,
            }
        )
        self._record(place, ToolStatus.FAILED, payload, what=what, outcome=outcome)

    def choose(self, place: Place, value: Any, choices: tuple[str, ...]) -> None:
        """Store what a condition or a router decided."""
        payload = BranchChosen(**place.in_events, choices=choices)
        self._record(place, ToolStatus.RETURNED, payload, what=CHOICE, outcome=to_json(value))

    def turn(self, place: Place, turn: int, *, will_continue: bool) -> None:
        """Store that a turn of a loop is over."""
        payload = LoopTurned(**place.in_events, turn=turn, will_continue=will_continue)
        self._record(place, ToolStatus.RETURNED, payload, what=f"{TURN}{turn}", outcome=to_json(will_continue))

    async def commit(self) -> None:
        """Return once all of it is stored."""
        await self._recorder.commit()

    def _record(
        self,
        place: Place,
        status: ToolStatus,
        *payloads: Payload,
        what: str = "",
        outcome: bytes = b"",
        repeatable: bool = True,
    ) -> None:
        step = ToolStep(
            step=self._recorder.step,
            tool_call_id=place.key + what,
            tool_name=place.name,
            status=status,
            repeatable=repeatable,
            outcome_json=outcome,
        )
        self._recorder.record_tool(step, *payloads)


def changed(name: str) -> MusterdError:
    """Return the error of a run whose workflow has changed too much."""
    return MusterdError(
        reason=Reason.TASK_LOST,
        message=f"the workflow no longer has the step {name!r}, which this task has begun",
        cause="COMPONENT_CHANGED",
    )


def _completed(place: Place, output: StepOutput) -> StepCompleted:
    size = len(output.content.encode())
    is_small = size <= RESULT_EVENT_MAX_BYTES
    return StepCompleted(
        **place.in_events,
        attempt=place.attempt,
        output=output.content if is_small else "",
        omitted_bytes=0 if is_small else size,
        stops_workflow=output.stop,
    )
