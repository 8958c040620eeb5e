"""Whose names a registry of agents shows: under a server each tree of tasks has its own."""

from contextvars import ContextVar
from typing import Protocol
from weakref import WeakSet

registry_scope: ContextVar[str] = ContextVar("musterd-registry-scope", default="")
"""The tree of tasks that the run in this context belongs to; empty without a server."""


class ScopedNames(Protocol):
    """Something that keeps names for each scope."""

    def forget(self, scope: str) -> None:
        """Drop all names of a scope."""
        ...


_all_scoped: WeakSet[ScopedNames] = WeakSet()


def keep_scoped(names: ScopedNames) -> None:
    """Let `end_scope` reach this object, as long as it lives."""
    _all_scoped.add(names)


def end_scope(scope: str) -> None:
    """Drop the names of a tree of tasks that has ended here. Does nothing when it has none."""
    for names in tuple(_all_scoped):
        names.forget(scope)
