"""Runs a workflow: its steps in the order that its containers say."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from musterd.domain.errors import Reason
from musterd.domain.task import Output
from musterd.runtime.attempt.approving import Decider
from musterd.runtime.attempt.scope import RunScope
from musterd.runtime.calling import call
from musterd.runtime.components.nodes import WorkflowNode
from musterd.runtime.delegation.children import Children
from musterd.runtime.delegation.host import EngineHost
from musterd.runtime.failures import unforeseen
from musterd.runtime.workflows.journal import CHOICE, TURN, Failure, StepJournal, Then, changed
from musterd.runtime.workflows.places import Place, Track
from musterd.runtime.workflows.reviewing import Reviewing
from musterd.runtime.workflows.stepping import Stepping, step_failed
from musterd.runtime.workflows.tries import RAISED, Tries
from musterd.workflows.checking import MAX_STEP_NAME_CHARS
from musterd.workflows.passing import StepInput, StepOutput
from musterd.workflows.plan import PlannedStep
from musterd.workflows.steps import Condition, Container, Loop, Parallel, Router, Step

T = TypeVar("T")

NOTHING_RAN = "none of its steps ran"
UNKNOWN_CHOICE = "UNKNOWN_CHOICE"


class Stopped(Exception):  # noqa: N818 - no error: a step ended the workflow early
    """A step ended the whole workflow with its output."""

    def __init__(self, output: StepOutput) -> None:
        super().__init__(output.name)
        self.output = output


class WorkflowRun:
    """One attempt at a workflow's task. What an earlier attempt has done is taken from the journal."""

    def __init__(
        self, node: WorkflowNode, scope: RunScope, *, host: EngineHost, children: Children, decider: Decider
    ) -> None:
        self._workflow = node.workflow
        self._scope = scope
        self._context = replace(node.context, task_id=scope.task.task_id)
        self._journal = StepJournal(scope.recorder)
        self._stepping = Stepping(
            scope=scope,
            children=children,
            journal=self._journal,
            tries=Tries(scope=scope, host=host, children=children, journal=self._journal),
            reviewing=Reviewing(task_id=scope.task.task_id, decider=decider),
            input_of=self._input_of,
        )

    async def run(self) -> Output:
        """Return the result. Raises MusterdError STEP_FAILED, TASK_LOST or RUN_TIMEOUT, or Interrupted."""
        scope = self._scope
        scope.control.check()
        self._journal.check(self._workflow)
        async with scope.time_limit():
            last = await scope.control.guard(self._whole())
        return Output(text=last.json, json=last.json) if last.json else Output(text=last.content)

    async def _whole(self) -> StepOutput:
        try:
            return await self._all(self._workflow.plan, Track()) or StepOutput()
        except Stopped as stopped:
            return stopped.output

    def _input_of(self, track: Track, feedback: str = "") -> StepInput:
        spec = self._scope.spec
        return StepInput(
            request=spec.message,
            parts=spec.parts,
            input=self._context.input,
            previous=track.previous,
            outputs=track.seen(),
            iteration=track.turns[-1] if track.turns else 0,
            feedback=feedback,
            context=self._context,
            history=tuple(self._scope.history),
        )

    async def _all(self, steps: Sequence[PlannedStep], track: Track) -> StepOutput | None:
        """Do steps one after the other, and return what the last gave that was not skipped; None when all were."""
        last = None
        for planned in steps:
            output = await self._one(planned, track)
            track.add(output)
            if output.stop:
                raise Stopped(output)
            last = last if output.is_skipped else output
        return last

    async def _one(self, planned: PlannedStep, track: Track) -> StepOutput:
        place = Place(planned=planned, turns=track.turns)
        if isinstance(planned.source, Step):
            return await self._stepping.run(place, planned.source, track)
        stored = self._journal.find(place)
        if isinstance(stored, Failure):
            raise step_failed(place.name, stored)
        self._scope.control.check()
        self._journal.begin(place)
        output = await self._contained(place, planned.source, track)
        if stored is None:
            if output.is_skipped:
                self._journal.skip(place, NOTHING_RAN)
            else:
                self._journal.complete(place, output)
        return output

    async def _contained(self, place: Place, container: Container, track: Track) -> StepOutput:
        planned = place.planned
        match container:
            case Parallel():
                return _joined(place, await self._together(planned.steps, track))
            case Loop():
                chosen, last = planned.steps, await self._loop(place, container, track)
            case Condition():
                chosen = await self._branch(place, container, track)
                last = await self._all(chosen, track.inside())
            case Router():
                chosen = await self._choices(place, container, track)
                last = await self._all(chosen, track.inside())
            case _:
                chosen, last = planned.steps, await self._all(planned.steps, track.inside())
        if last is None:
            return StepOutput(name=place.name, is_skipped=True)
        outputs = {each.name: track.outputs[each.name] for each in chosen}
        return replace(last, name=place.name, outputs=outputs)

    async def _together(self, steps: Sequence[PlannedStep], track: Track) -> Sequence[StepOutput]:
        """Do steps at the same time. When one fails or ends the workflow, the others are canceled."""
        forks = [track.fork() for _ in steps]
        activity, loop = self._scope.activity, asyncio.get_running_loop()
        activity.has_branches = True
        with activity.branches(len(steps)) as end_one:
            branches = [
                loop.create_task(self._branch_of(planned, fork, end_one))
                for planned, fork in zip(steps, forks, strict=True)
            ]
            try:
                await asyncio.wait(branches, return_when=asyncio.FIRST_EXCEPTION)
                # The first in the order of the workflow decides, if several have failed or ended the workflow by now.
                for branch in branches:
                    if branch.done():
                        branch.result()
            finally:
                for branch in branches:
                    branch.cancel()
                await asyncio.gather(*branches, return_exceptions=True)
        activity.has_branches = activity.branch_count > 1
        for fork in forks:
            track.merge(fork)
        return [branch.result() for branch in branches]

    async def _branch_of(self, planned: PlannedStep, track: Track, end_one: Callable[[], None]) -> StepOutput:
        output = await self._one(planned, track)
        track.add(output)
        if output.stop:
            raise Stopped(output)
        end_one()
        return output

    async def _loop(self, place: Place, loop: Loop, track: Track) -> StepOutput | None:
        latest = None
        for turn in range(1, loop.max_iterations + 1):
            inner = replace(track.inside(turn), previous=latest or track.previous)
            latest = await self._all(place.planned.steps, inner) or latest
            if not await self._goes_on(place, loop, inner, turn):
                break
            # Turns that are taken from the journal wait for nothing: others must have their turn too.
            await asyncio.sleep(0)
        return latest

    async def _goes_on(self, place: Place, loop: Loop, inner: Track, turn: int) -> bool:
        stored = self._journal.find_value(place, f"{TURN}{turn}")
        if stored is not None:
            return bool(stored)
        goes_on = turn < loop.max_iterations
        if goes_on and loop.end_condition is not None:
            goes_on = not await self._ask(place, loop.end_condition, inner, bool)
        self._journal.turn(place, turn, will_continue=goes_on)
        return goes_on

    async def _branch(self, place: Place, condition: Condition, track: Track) -> Sequence[PlannedStep]:
        planned = place.planned
        holds = self._journal.find_value(place, CHOICE)
        is_new = holds is None
        if is_new:
            holds = await self._ask(place, condition.evaluator, track, bool)
        chosen = planned.steps if holds else planned.else_steps
        if is_new:
            self._journal.choose(place, holds, tuple(each.name for each in chosen))
        return chosen

    async def _choices(self, place: Place, router: Router, track: Track) -> Sequence[PlannedStep]:
        choices = {each.name: each for each in place.planned.steps}
        names = cast("list[str] | None", self._journal.find_value(place, CHOICE))
        if names is None:
            names = self._checked_names(place, await self._ask(place, router.selector, track, _listed), choices)
            self._journal.choose(place, names, tuple(names))
        for name in names:
            if name not in choices:
                raise changed(name)
        return [choices[name] for name in names]

    def _checked_names(self, place: Place, names: Sequence[Any], choices: dict[str, PlannedStep]) -> list[str]:
        for index, name in enumerate(names):
            if not isinstance(name, str) or name not in choices or name in names[:index]:
                # What is no name may be anything, and is not for the caller to read.
                chosen = (
                    repr(name[:MAX_STEP_NAME_CHARS])
                    if isinstance(name, str)
                    else f"a value of the type {type(name).__name__}"
                )
                known = ", ".join(map(repr, choices))
                text = f"it chose {chosen}, but what it chooses must be one of {known}, each once"
                failure = Failure(message=text, cause=UNKNOWN_CHOICE, then=Then.FAIL)
                self._journal.fail(place, failure)
                raise step_failed(place.name, failure)
        return list(names)

    async def _ask(self, place: Place, decide: Callable[[StepInput], Any], track: Track, read: Callable[[Any], T]) -> T:
        """Return what a function of the author decides, as `read` has it.

        Raises MusterdError STEP_FAILED when one of them raises.
        """
        try:
            return read(await call(decide, self._input_of(track)))
        except Exception as error:
            text = "it raised an unexpected error"
            told = unforeseen(Reason.STEP_FAILED, text, error, task=self._scope.task.task_id, step=place.name)
            failure = Failure(message=told.message, cause=RAISED, then=Then.FAIL, error_id=told.metadata["error_id"])
            self._journal.fail(place, failure)
            raise step_failed(place.name, failure) from error


def _listed(selected: Any) -> Sequence[Any]:
    is_several = isinstance(selected, Sequence) and not isinstance(selected, str)
    return list(cast("Sequence[Any]", selected)) if is_several else [selected]


def _joined(place: Place, outputs: Sequence[StepOutput]) -> StepOutput:
    """Return what steps gave that ran at the same time: a text of them all, and a value by name."""
    by_name = {output.name: output for output in outputs}
    ran = [output for output in outputs if not output.is_skipped]
    if not ran:
        return StepOutput(name=place.name, is_skipped=True)
    content = "\n\n".join(f"{output.name}:\n{output.content}" for output in ran)
    value = {
        name: None if each.is_skipped else each.content if each.value is None else each.value
        for name, each in by_name.items()
    }
    return StepOutput(content, value, name=place.name, outputs=by_name)
