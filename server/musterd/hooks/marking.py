"""Marks what a hook is beyond a function: one that guards the run, or one that may run after it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

HookFunction = Callable[..., Any]
C = TypeVar("C", bound=HookFunction)

_ATTRIBUTE = "__musterd_hook__"


@dataclass(frozen=True, slots=True)
class HookMark:
    """What `hook` says of a hook. `run_in_background` is None where that is left to the app."""

    run_in_background: bool | None = None
    is_guardrail: bool = False


NO_MARK = HookMark()


def hook(*, run_in_background: bool | None = None, guardrail: bool = False) -> Callable[[C], C]:
    """Mark a function, a class of callables or its `__call__` as a hook of a certain kind. It stays what it is.

    With `run_in_background=True` it runs after the terminal event of its task, as often as it takes until it returns;
    with False it never does, whatever the app says. A `guardrail` stops the run with any exception that it raises.
    Raises ValueError for a guardrail in the background: it could stop nothing any more.
    """
    if run_in_background and guardrail:
        raise ValueError("a guardrail cannot run in the background: by then the run has ended")
    mark = HookMark(run_in_background, guardrail)

    def put(marked: C) -> C:
        if not callable(cast("object", marked)):
            raise TypeError(f"hook(…) marks a function or a class of callables, not a {type(marked).__name__}")
        try:
            setattr(marked, _ATTRIBUTE, mark)
            within: Any = marked
            if isinstance(within, staticmethod):
                # What its class hands out is the function itself.
                setattr(within.__func__, _ATTRIBUTE, mark)
        except AttributeError:
            raise TypeError(
                f"a {type(marked).__name__} takes no mark: put @hook(…) on the function itself, or on the class"
            ) from None
        return marked

    return put


def mark_of(marked: HookFunction) -> HookMark:
    """Return what is marked on a hook, on its class, or on what a partial is made of."""
    while True:
        for place in (marked, type(marked).__call__):
            if isinstance(mark := getattr(place, _ATTRIBUTE, None), HookMark):
                return mark
        if not isinstance(marked, partial):
            return NO_MARK
        marked = marked.func
