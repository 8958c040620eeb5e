"""Reads hooks: what each one is called with, and how."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, cast

from musterd.domain.hook_run import HookPhase
from musterd.hooks.marking import mark_of

HookCallable: TypeAlias = Callable[..., Any]
"""A function, sync or async, or an instance with `__call__`. It takes by name what it wants of the run."""

SUBJECTS: Mapping[HookPhase, str] = {HookPhase.PRE: "run_input", HookPhase.POST: "run_output"}
COMPONENT_NAMES = ("component", "agent", "team", "workflow")
SHARED_NAMES = ("context", *COMPONENT_NAMES, "session", "task")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A hook that was read. `arguments` are the names that it is called with."""

    call: HookCallable
    phase: HookPhase
    name: str
    arguments: frozenset[str]
    is_async: bool
    is_guardrail: bool
    run_in_background: bool | None

    @property
    def wants_component(self) -> bool:
        """Whether it is given the component itself."""
        return not self.arguments.isdisjoint(COMPONENT_NAMES)

    def is_in_background(self, *, unless_marked: bool) -> bool:
        """Whether it runs after the run; `unless_marked` is what the app says of hooks that do not say it."""
        if self.is_guardrail:
            return False
        return unless_marked if self.run_in_background is None else self.run_in_background

    def bind(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the values that it is called with."""
        return {name: values[name] for name in self.arguments}


def prepare_hooks(owner: str, hooks: Sequence[HookCallable], phase: HookPhase) -> tuple[Hook, ...]:
    """Return hooks as they are to be called. `owner` is who has them, for errors.

    Raises TypeError for what is no list of hooks, and for a hook that cannot be called with what there is.
    """
    argument = f"{owner}: {phase.value}_hooks"
    if not isinstance(cast("object", hooks), Sequence) or isinstance(cast("object", hooks), str):
        raise TypeError(f"{argument} is a list of functions, not a {type(hooks).__name__}")
    return tuple(_read(f"{argument}[{index}]", one, phase) for index, one in enumerate(hooks))


def check_hooks(owner: str, hooks: Sequence[HookCallable], phase: HookPhase) -> tuple[HookCallable, ...]:
    """Return hooks as they were given, once it is sure that they can be called. Raises as `prepare_hooks`."""
    return tuple(one.call for one in prepare_hooks(owner, hooks, phase))


def _read(place: str, call: object, phase: HookPhase) -> Hook:
    if isinstance(call, type):
        raise TypeError(f"{place} is the class {call.__name__}: give an instance of it, {call.__name__}(…)")
    if not callable(call):
        raise TypeError(f"{place} is a {type(call).__name__}, which cannot be called")
    function = _function_of(call)
    name = getattr(function, "__name__", "") or type(function).__name__
    if _is_any(function, inspect.isgeneratorfunction) or _is_any(function, inspect.isasyncgenfunction):
        raise TypeError(f"{place}, {name!r}, is a generator: a hook returns once, and does not yield")
    mark = mark_of(call)
    return Hook(
        call=call,
        phase=phase,
        name=name,
        arguments=_arguments_of(f"{place}, {name!r},", call, phase),
        is_async=_is_any(function, inspect.iscoroutinefunction),
        is_guardrail=mark.is_guardrail,
        run_in_background=mark.run_in_background,
    )


def _function_of(call: HookCallable) -> HookCallable:
    while isinstance(call, partial):
        call = call.func
    return call


def _is_any(function: HookCallable, is_kind: Callable[[object], bool]) -> bool:
    """Whether a function, or what an instance does when it is called, is of a kind."""
    return is_kind(function) or is_kind(type(function).__call__)


def _arguments_of(place: str, call: HookCallable, phase: HookPhase) -> frozenset[str]:
    try:
        parameters = inspect.signature(call).parameters
    except ValueError as error:
        raise TypeError(f"{place} does not tell its arguments: write a function around it") from error
    known = {SUBJECTS[phase], *SHARED_NAMES}
    given = set(call.keywords) if isinstance(call, partial) else set[str]()
    wanted: set[str] = set()
    for name, parameter in parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            wanted |= known
        elif name in given or parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            continue
        elif name in known and parameter.kind is not inspect.Parameter.POSITIONAL_ONLY:
            wanted.add(name)
        elif parameter.default is inspect.Parameter.empty:
            raise TypeError(f"{place} {_problem(name, parameter, phase)}. There are {', '.join(sorted(known))}")
    return frozenset(wanted - given)


def _problem(name: str, parameter: inspect.Parameter, phase: HookPhase) -> str:
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        return f"takes {name!r} by its position alone, but hooks are called by the names of their arguments"
    if name in SUBJECTS.values():
        return f"wants {name!r}, which is not for {phase.value}-hooks"
    return f"wants {name!r}, which no hook is given"
