"""The hooks of one run: those in front are called here, the others are left for the background."""

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pydantic_core import from_json, to_json

from musterd.domain.errors import MusterdError
from musterd.domain.event import HookCompleted, HookFailed, HookStarted
from musterd.domain.hook_run import HookPhase, NewHookRun
from musterd.domain.ids import new_id
from musterd.domain.ports import ClaimedTask
from musterd.domain.step import Journal, ToolStatus, ToolStep
from musterd.domain.task import Output, TaskSpec, TaskState
from musterd.hooks import Hook, RunInput, RunOutput
from musterd.runtime.attempt.scope import RunScope
from musterd.runtime.components.nodes import Node, WorkflowNode
from musterd.runtime.components.prompt import prompt_of
from musterd.runtime.hooks.calling import Failure, call_hook
from musterd.runtime.hooks.payload import copy_messages, dump_change, dump_payload, dump_refusal, load_refusal
from musterd.runtime.hooks.plan import HookPlan, component_of, component_values, own_hooks

S = TypeVar("S", bound=RunInput | RunOutput)


class RunHooks:
    """The hooks of one attempt at a task. What an earlier attempt has finished is taken from the journal."""

    def __init__(self, plan: HookPlan, claimed: ClaimedTask) -> None:
        self._plan = plan
        self._spec = claimed.spec
        self._has_begun = claimed.task.attempt > 1
        self._task_id = claimed.task.task_id
        self._hooks = {phase: self._shared(phase) for phase in HookPhase}
        self._input = _input_of(claimed.spec, self._task_id)
        self._output_json = b""

    def _shared(self, phase: HookPhase) -> tuple[Hook, ...]:
        try:
            return self._plan.shared(self._spec, phase)
        except MusterdError:
            # It is not registered any more: whoever builds it says so.
            return ()

    async def before(self, scope: RunScope, node: Node) -> Node:
        """Return the component with the input that the pre-hooks have left. Raises as `_call_each`."""
        self._has_begun = True
        for phase in HookPhase:
            self._hooks[phase] += own_hooks(component_of(node), phase)
        if not self._hooks[HookPhase.PRE]:
            return node
        given = _input_of(self._spec, self._task_id)
        self._input = given = replace(given, messages=copy_messages(scope.history), usage=scope.recorder.total_usage())
        # Kept one by one: when a hook stops the run, the background gets what those before it have left.
        async for left in self._call_each(scope, node, HookPhase.PRE, given):
            self._input = left
        return self._with_input(scope, node, given)

    async def after(self, scope: RunScope, node: Node, output: Output) -> Output:
        """Return what the post-hooks have made of the output. Raises as `_call_each`."""
        if not self._hooks[HookPhase.POST]:
            return output
        given = RunOutput(
            run_id=self._task_id,
            content=json.loads(output.json) if output.json else output.text,
            messages=copy_messages(scope.new_messages),
            usage=scope.recorder.total_usage(),
        )
        made = given
        async for left in self._call_each(scope, node, HookPhase.POST, given):
            made = left
        if any(map(self._plan.is_in_background, self._hooks[HookPhase.POST])):
            self._output_json = dump_payload(made)
        return _output_of(made) if dump_change(given, made) else output

    def recall(self, journal: Journal) -> None:
        """Take up the input as the pre-hooks of earlier attempts have left it, for a run that may not begin again."""
        for position, hook in self._in_front(HookPhase.PRE):
            stored = journal.tool_steps.get((0, _key_of(position, hook)))
            if stored is None or (stored.status is ToolStatus.FAILED and stored.outcome_json):
                return
            self._input = _replayed(stored, self._input)

    def left_over(self, state: TaskState) -> tuple[NewHookRun, ...]:
        """Return the hooks to run once the task has ended in a state."""
        if not self._has_begun or state is TaskState.REJECTED:
            return ()
        left = self._in_background(HookPhase.PRE, lambda: dump_payload(self._input))
        if state is TaskState.COMPLETED:
            left += self._in_background(HookPhase.POST, lambda: self._output_json)
        return left

    def tell_left(self) -> None:
        """Say that hooks were left, and are stored."""
        self._plan.on_left()

    def _in_background(self, phase: HookPhase, payload: Callable[[], bytes]) -> tuple[NewHookRun, ...]:
        left = [each for each in enumerate(self._hooks[phase]) if self._plan.is_in_background(each[1])]
        payload_json = payload() if left else b""
        return tuple(
            NewHookRun(hook_run_id=new_id(), phase=phase, position=position, name=hook.name, payload_json=payload_json)
            for position, hook in left
        )

    async def _call_each(self, scope: RunScope, node: Node, phase: HookPhase, subject: S) -> AsyncGenerator[S]:
        """Yield what each hook in front has left of an input or output, in their order.

        Raises MusterdError when one stops the run or its time is over, and Interrupted when the run is told to stop.
        """
        if not (in_front := self._in_front(phase)):
            return
        values = self._plan.context_values(scope.task, scope.spec, scope.deadline)
        values |= component_values(component_of(node))
        for position, hook in in_front:
            key = _key_of(position, hook)
            stored = scope.recorder.tool_step(key)
            subject = _replayed(stored, subject) if stored else await _call(scope, hook, key, subject, values)
            yield subject

    def _in_front(self, phase: HookPhase) -> Sequence[tuple[int, Hook]]:
        return [each for each in enumerate(self._hooks[phase]) if not self._plan.is_in_background(each[1])]

    def _with_input(self, scope: RunScope, node: Node, given: RunInput) -> Node:
        """Give the run what the pre-hooks have left. Raises MusterdError INVALID_INPUT."""
        changed = self._input
        if changed.content != given.content:
            scope.spec = replace(scope.spec, message=changed.content)
            if not isinstance(node, WorkflowNode):
                node = replace(node, prompt=prompt_of(scope.spec))
        # As JSON: to Python 1 and true are the same.
        if isinstance(node, WorkflowNode) and to_json(changed.input) != to_json(given.input):
            registration = self._plan.registration_of(scope.spec)
            input_json = registration.validate_input(changed.input)
            scope.spec = replace(scope.spec, factory_input_json=input_json)
            node = replace(node, context=replace(node.context, input=registration.load_input(input_json)))
        return node


def _key_of(position: int, hook: Hook) -> str:
    """Return the name under which the journal has a hook."""
    return f"hook:{hook.phase.value}:{position}:{hook.name}"


async def _call(scope: RunScope, hook: Hook, key: str, subject: S, values: dict[str, Any]) -> S:
    recorder, phase, name = scope.recorder, hook.phase.value, hook.name
    scope.control.check()
    recorder.tell(HookStarted(phase=phase, name=name))
    async with scope.time_limit():
        outcome = await scope.control.guard(call_hook(hook, subject, values, task_id=scope.task.task_id))
    step = ToolStep(step=recorder.step, tool_call_id=key, tool_name=key, status=ToolStatus.RETURNED)
    if not isinstance(outcome, Failure):
        recorder.record_tool(
            replace(step, outcome_json=dump_change(subject, outcome)), HookCompleted(phase=phase, name=name)
        )
        return outcome
    error = outcome.stops_with
    failed = HookFailed(
        phase=phase, name=name, message=outcome.message, trigger=outcome.trigger, details=outcome.details
    )
    outcome_json = b"" if error is None else dump_refusal(error)
    recorder.record_tool(replace(step, status=ToolStatus.FAILED, outcome_json=outcome_json), failed)
    if error is not None:
        raise error
    return subject


def _replayed(stored: ToolStep, subject: S) -> S:
    """Return an input or output as a hook left it in an earlier attempt. Raises as it stopped the run then."""
    if not stored.outcome_json:
        return subject
    if stored.status is ToolStatus.FAILED:
        raise load_refusal(stored.outcome_json)
    return replace(subject, **from_json(stored.outcome_json))


def _input_of(spec: TaskSpec, task_id: str) -> RunInput:
    factory_input = json.loads(spec.factory_input_json)
    return RunInput(run_id=task_id, content=spec.message, parts=spec.parts, input=factory_input)


def _output_of(made: RunOutput) -> Output:
    if isinstance(made.content, str):
        return Output(text=made.content)
    text = to_json(made.content).decode()
    return Output(text=text, json=text)
