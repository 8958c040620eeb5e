"""One step of a workflow to its end: its tries, the time between them, and the reviews of what it is and gives."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from musterd.domain.errors import MusterdError, Reason
from musterd.runtime.attempt.scope import RunScope
from musterd.runtime.delegation.children import Children
from musterd.runtime.workflows.journal import REVIEW, Failure, Outcome, StepJournal, Then
from musterd.runtime.workflows.places import Place, Track
from musterd.runtime.workflows.reviewing import DENIED, Denied, Reviewing, failure_of
from musterd.runtime.workflows.tries import Tries, TryError
from musterd.workflows.passing import StepInput, StepOutput
from musterd.workflows.review import Review
from musterd.workflows.steps import MAX_RETRY_DELAY_SECONDS, Step


@dataclass(slots=True, kw_only=True)
class _Counts:
    """How often a step was tried in vain, and how often its reviewer denied it."""

    failures: int = 0
    denials: int = 0

    def add(self, failure: Failure) -> None:
        if failure.cause == DENIED:
            self.denials += 1
        else:
            self.failures += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepping:
    """Brings steps to their ends. `input_of` gives what a step of a strand is handed, with a reviewer's feedback."""

    scope: RunScope
    children: Children
    journal: StepJournal
    tries: Tries
    reviewing: Reviewing
    input_of: Callable[[Track, str], StepInput]

    async def run(self, place: Place, step: Step, track: Track) -> StepOutput:
        """Return what a step gave, or that it is skipped. Raises MusterdError STEP_FAILED."""
        counts, feedback = _Counts(), ""
        while True:
            outcome = await self._outcome(place, step, self.input_of(track, feedback), counts)
            if isinstance(outcome, StepOutput):
                return outcome
            counts.add(outcome)
            match outcome.then:
                case Then.SKIP:
                    return StepOutput(name=step.name, is_skipped=True)
                case Then.FAIL:
                    raise step_failed(step.name, outcome)
                case Then.RETRY:
                    feedback = outcome.feedback or feedback
                    place = replace(place, attempt=place.attempt + 1)
                    if outcome.cause != DENIED and not self.journal.has_begun(place):
                        await self._rest(delay_seconds(step, counts.failures))

    async def _outcome(self, place: Place, step: Step, given: StepInput, counts: _Counts) -> Outcome:
        if (decided := self.journal.find(place, REVIEW)) is not None:
            return decided
        made = self.journal.find(place) or await self._make(place, step, given, counts)
        review = step.review
        if isinstance(made, Failure) or made.is_skipped or review is None or review.when == "before":
            return made
        decision = await self.reviewing.after(place, review, made)
        return await self._decided(place, review, made if decision is None else decision, counts, REVIEW)

    async def _make(self, place: Place, step: Step, given: StepInput, counts: _Counts) -> Outcome:
        self.scope.control.check()
        review = step.review
        if review is not None and review.when == "before" and place.attempt == 1:
            decision = await self.reviewing.before(place, review, given)
            if decision is not None:
                return await self._decided(place, review, decision, counts)
        try:
            output = await self.tries.make(place, step, given)
        except TryError as error:
            failure = _failure_of(error, step, counts.failures + 1)
            self.journal.fail(place, failure)
            await self.journal.commit()
            return failure
        if review is not None and review.when == "after":
            self.journal.keep(place, output)
        else:
            self.journal.complete(place, output)
        await self.journal.commit()
        return output

    async def _decided(
        self, place: Place, review: Review, decision: StepOutput | Denied, counts: _Counts, what: str = ""
    ) -> Outcome:
        outcome: Outcome
        if isinstance(decision, StepOutput):
            outcome = decision
            self.journal.complete(place, outcome, what)
        else:
            outcome = failure_of(decision, review, counts.denials + 1)
            if outcome.then is Then.SKIP:
                outcome = self.journal.skip(place, outcome.message, what)
            else:
                self.journal.fail(place, outcome, what)
        await self.journal.commit()
        return outcome

    async def _rest(self, seconds: float) -> None:
        """Wait before the next try, holding no slot; a run that is told to stop does so here."""
        told = asyncio.Event()
        async with self.children.slots.waiting(self.scope.slot):
            waits: list[asyncio.Future[Any]] = [
                asyncio.ensure_future(self.scope.clock.sleep(seconds)),
                asyncio.ensure_future(told.wait()),
            ]
            try:
                with self.scope.control.waking(told):
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waits:
                    each.cancel()
                await asyncio.gather(*waits, return_exceptions=True)


def delay_seconds(step: Step, failures: int) -> float:
    """Return how long to wait after so many failed tries of a step."""
    return min(step.retry_delay_seconds * 2 ** (failures - 1), MAX_RETRY_DELAY_SECONDS)


def step_failed(name: str, failure: Failure) -> MusterdError:
    """Return the error of a workflow that cannot do without a step."""
    metadata = {"step": name} | ({"error_id": failure.error_id} if failure.error_id else {})
    return MusterdError(
        reason=Reason.STEP_FAILED,
        message=f"the step {name!r} failed: {failure.message}",
        cause=failure.cause,
        metadata=metadata,
    )


def _failure_of(error: TryError, step: Step, failures: int) -> Failure:
    then = Then.FAIL
    if error.can_retry and failures <= step.max_retries:
        then = Then.RETRY
    elif step.skip_on_failure:
        then = Then.SKIP
    return Failure(message=error.message, cause=error.cause, then=then, error_id=error.error_id)
