"""One try of a step: by a function in the workflow's own task, or by a child."""

import asyncio
from dataclasses import dataclass
from typing import cast

from pydantic_core import from_json

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.ids import derived_id
from musterd.domain.task import Task, TaskState
from musterd.runtime.attempt.scope import RunScope
from musterd.runtime.calling import call
from musterd.runtime.delegation.children import Children, owner_of
from musterd.runtime.delegation.host import EngineHost
from musterd.runtime.failures import unforeseen
from musterd.runtime.workflows.journal import StepJournal
from musterd.runtime.workflows.places import Place
from musterd.subagents.host import Delegation, PreparedSubagent
from musterd.subagents.status import TaskPriority
from musterd.workflows.passing import StepInput, StepOutput, output_of
from musterd.workflows.prompts import checked_prompt, default_prompt, filled
from musterd.workflows.steps import Step, StepFunction, StepKind

RAISED, TIMED_OUT, CANCELED = "FUNCTION_RAISED", "STEP_TIMEOUT", "CANCELED"
ENDS_THE_RUN = (Reason.TASK_LOST, Reason.USAGE_LIMIT_EXCEEDED)
"""For these reasons no further step could be started either."""


@dataclass(slots=True, kw_only=True)
class TryError(Exception):
    """A try of a step failed. `message` is fit for the caller, `cause` the reason in one word."""

    message: str
    cause: str
    can_retry: bool = True
    error_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """Does steps, once each."""

    scope: RunScope
    host: EngineHost
    children: Children
    journal: StepJournal

    async def make(self, place: Place, step: Step, given: StepInput) -> StepOutput:
        """Do a step, and return what it gave. Raises TryError, and what ends the whole run."""
        if step.kind is StepKind.FUNCTION:
            self.journal.begin(place, repeatable=step.repeatable)
            await self.journal.commit()
            return await self._by_function(step, given)
        child_id = derived_id(self.scope.task.task_id, "step", place.key)
        self.journal.begin(place, subtask_id=child_id)
        await self.journal.commit()
        return await self._by_child(child_id, step, given)

    async def _by_function(self, step: Step, given: StepInput) -> StepOutput:
        timer = asyncio.timeout(step.timeout_seconds)
        try:
            async with timer:
                returned = await call(cast("StepFunction", step.run), given)
            return output_of(step.name, returned)
        except Exception as error:
            if isinstance(error, TimeoutError) and timer.expired():
                text = f"it took longer than {step.timeout_seconds:g} s"
                raise TryError(message=text, cause=TIMED_OUT) from error
            raise self._raised(step, error) from error

    def _raised(self, step: Step, error: Exception) -> TryError:
        told = unforeseen(
            Reason.STEP_FAILED, "it raised an unexpected error", error, task=self.scope.task.task_id, step=step.name
        )
        return TryError(message=told.message, cause=RAISED, error_id=told.metadata["error_id"])

    async def _by_child(self, child_id: str, step: Step, given: StepInput) -> StepOutput:
        try:
            prompt = await _prompt_of(step, given)
        except Exception as error:
            raise self._raised(step, error) from error
        delegation = Delegation(
            subagent=step.name,
            description=prompt,
            prepare=lambda: _never_prepared(step.name),
            toolset_id="",
            priority=TaskPriority[self.scope.task.priority.name],
        )
        try:
            await self.host.start_child(child_id, delegation, given.parts, timeout_seconds=step.timeout_seconds)
        except MusterdError as error:
            # A run that is being canceled starts nothing: then that is how it ends.
            self.scope.control.check()
            if error.reason in ENDS_THE_RUN:
                raise
            raise TryError(message=error.message, cause=error.reason) from error
        async with self.host.parking.waiting((child_id,)):
            task = await self.children.join(owner_of(self.scope.task), child_id)
        return await self._output_of(step, task)

    async def _output_of(self, step: Step, task: Task) -> StepOutput:
        if task.state is TaskState.COMPLETED and task.output is not None:
            value = from_json(task.output.json) if task.output.json else None
            return StepOutput(task.output.text, value, name=step.name)
        self.scope.control.check()
        if task.error is None:
            await self._heed_cancel()
            raise TryError(message="its task was canceled", cause=CANCELED, can_retry=False)
        if task.error.reason is Reason.RUN_TIMEOUT and self._is_over:
            raise self.scope.timed_out()
        raise TryError(message=task.error.message, cause=task.error.reason, error_id=task.error.error_id)

    async def _heed_cancel(self) -> None:
        """Stop here when the whole run is being canceled: another process may have told the step's task of it first.

        Raises Interrupted.
        """
        own = self.scope.task
        stored = await self.children.patiently(lambda: self.children.store.get_task(owner_of(own), own.task_id))
        if stored.state is not TaskState.CANCELING:
            return
        told = asyncio.Event()
        with self.scope.control.waking(told):
            if self.scope.control.order is None:
                await told.wait()
        self.scope.control.check()

    @property
    def _is_over(self) -> bool:
        return self.scope.clock.now() >= self.scope.deadline


async def _prompt_of(step: Step, given: StepInput) -> str:
    match step.prompt:
        case None:
            return default_prompt(given)
        case str() as template:
            return checked_prompt(filled(template, given))
        case function:
            return checked_prompt(await call(function, given))


def _never_prepared(step: str) -> PreparedSubagent:
    """Never called: the host takes the steps of a workflow from the workflow that it runs."""
    raise LookupError(f"{step!r} is no step of the workflow that runs")
