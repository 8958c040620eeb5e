"""Calls one hook, and says what came of it."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, cast

from pydantic_core import from_json, to_json

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.hook_run import HookPhase
from musterd.domain.principal import JsonValue
from musterd.hooks import CheckError, Hook, RunInput, RunOutput
from musterd.hooks.binding import SUBJECTS
from musterd.runtime.calling import call
from musterd.runtime.event_json import clean, told
from musterd.runtime.failures import unforeseen

GUARDRAIL_FAILED = "GUARDRAIL_FAILED"
"""The cause of a run that failed because a guardrail did."""

S = TypeVar("S", bound=RunInput | RunOutput)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A hook that raised. `message` is fit for the caller; with `stops_with` the run fails so.

    `trigger` and `details` are those of a check.
    """

    message: str
    trigger: str = ""
    details: dict[str, JsonValue]
    stops_with: MusterdError | None = None


async def call_hook(hook: Hook, subject: S, values: dict[str, Any], *, task_id: str) -> S | Failure:
    """Return what a hook has made of a run's input or output, or why it failed: then it has changed nothing.

    Only a cancellation from outside passes through.
    """
    try:
        # A whole one for each: what a hook does to the messages is for none of the others to see.
        given = deepcopy(subject) if SUBJECTS[hook.phase] in hook.arguments else subject
        bound = hook.bind({**values, SUBJECTS[hook.phase]: given})
        returned = await call(partial(hook.call, **bound))
        return _taken(hook, subject, given if returned is None else returned)
    except Exception as error:  # noqa: BLE001 - whatever a hook raises is for its kind to decide
        return _failure_of(hook, error, task_id)


def _changeable(subject: RunInput | RunOutput) -> dict[str, Any]:
    """Return what hooks may change."""
    if isinstance(subject, RunInput):
        return {"content": subject.content, "input": subject.input}
    return {"content": subject.content}


def _taken(hook: Hook, before: S, returned: object) -> S:
    """Return the input or output with what a hook has changed. Raises TypeError or ValueError for what cannot be."""
    if not isinstance(returned, type(before)):
        expected = type(before).__name__
        raise TypeError(f"the hook {hook.name!r} returned a {type(returned).__name__}, not a {expected} or None")
    values = _changeable(cast("RunInput | RunOutput", returned))
    if isinstance(before, RunInput) and not isinstance(values["content"], str):
        raise TypeError(f"the hook {hook.name!r} made the content a {type(values['content']).__name__}, not a text")
    # As it will be after a restart: what cannot be written as JSON must fail now.
    return replace(before, **{name: from_json(to_json(value)) for name, value in values.items()})


def _failure_of(hook: Hook, error: Exception, task_id: str) -> Failure:
    if (check := _check_in(error)) is not None:
        return _refusal_of(hook, check)
    text = f"the hook {hook.name!r} failed"
    if not hook.is_guardrail:
        logged = unforeseen(Reason.INTERNAL, text, error, task=task_id, hook=hook.name)
        return Failure(message=logged.message, details={})
    logged = unforeseen(_REASONS[hook.phase], text, error, task=task_id, hook=hook.name)
    logged.cause = GUARDRAIL_FAILED
    return Failure(message=logged.message, details={}, stops_with=logged)


def _check_in(error: BaseException) -> CheckError | None:
    """Return the check that an exception is; of a group, as that of an asyncio.TaskGroup, the first in it."""
    match error:
        case CheckError():
            return error
        case BaseExceptionGroup():
            return next((found for each in error.exceptions if (found := _check_in(each)) is not None), None)
        case _:
            return None


def _refusal_of(hook: Hook, error: CheckError) -> Failure:
    message = clean(error.message) or f"the hook {hook.name!r} stopped the run"
    trigger = clean(error.check_trigger) or error.default_trigger
    stops_with = MusterdError(reason=error.reason or _REASONS[hook.phase], message=message, cause=trigger)
    return Failure(message=message, trigger=trigger, details=_details_of(error.additional_data), stops_with=stops_with)


def _details_of(data: object) -> dict[str, JsonValue]:
    """Return what a check adds, whatever that is: it must not keep the check from stopping the run."""
    if not isinstance(data, Mapping):
        return {"data": told(data)}
    return {clean(name): told(each) for name, each in cast("Mapping[Any, Any]", data).items()}


_REASONS = {HookPhase.PRE: Reason.INPUT_CHECK_FAILED, HookPhase.POST: Reason.OUTPUT_CHECK_FAILED}
