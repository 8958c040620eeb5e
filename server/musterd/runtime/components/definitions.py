"""Components as users register them: shared prototypes, or factories that build a fresh one for each attempt."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from pydantic import BaseModel
from pydantic_ai.agent import AbstractAgent

from musterd.domain.context import RequestContext
from musterd.teams.team import Team

AnyAgent: TypeAlias = AbstractAgent[Any, Any]

FactoryCallable: TypeAlias = Callable[[RequestContext], Any]
"""Takes the RequestContext; returns a component, a `Built`, an awaitable of one, or an async context manager of one."""


class FactoryPermissionError(Exception):
    """Raise this in a factory to refuse the caller, who gets PERMISSION_DENIED with the text."""


class FactoryValidationError(Exception):
    """Raise this in a factory to refuse its input: the caller gets INVALID_ARGUMENT with the text."""


@dataclass(frozen=True, slots=True)
class Built:
    """What a factory may return instead of a bare agent or team: the component and the deps of its run."""

    component: AnyAgent | Team
    deps: Any = None


@dataclass(frozen=True, slots=True)
class Prototype:
    """A shared agent or team, with what makes the deps of each of its runs.

    `deps_factory` is called once per attempt with the RequestContext, like a factory: a sync one in a thread, an async
    one on the event loop; it may return an async context manager, which ends with the attempt.
    """

    component: AnyAgent | Team
    deps_factory: FactoryCallable | None = None


class ComponentFactory:
    """What AgentFactory and TeamFactory have in common."""

    component_type: ClassVar[type[Any]]
    component_name: ClassVar[str]

    def __init__(
        self,
        id: str,  # noqa: A002 - the public name of this argument is part of the contract with users
        factory: FactoryCallable,
        *,
        name: str | None = None,
        description: str | None = None,
        input_schema: type[BaseModel] | None = None,
        timeout_seconds: float | None = None,
    ) -> None:
        if not id:
            msg = "a factory needs an id that is not empty"
            raise ValueError(msg)
        self.id = id
        self.factory = factory
        self.name = name or id
        self.description = description or ""
        self.input_schema = input_schema
        self.timeout_seconds = timeout_seconds


class AgentFactory(ComponentFactory):
    """Builds an agent for each attempt of a run, for who is calling.

    `factory` is called with a frozen RequestContext. A sync function runs in a thread, off the event loop; a coroutine
    function on it; an async context manager ends with the attempt. It must return within `timeout_seconds`, the
    server's default when None. FactoryPermissionError and FactoryValidationError refuse the run with their text; any
    other exception is logged and refuses it with a general one. `input_schema` validates `factory_input` before the
    factory is called; the factory reads the instance at `context.input`.

    Raises ValueError for an empty id.
    """

    component_type = AbstractAgent
    component_name = "an Agent"


class TeamFactory(ComponentFactory):
    """Builds a team for each attempt of a run, for who is calling.

    `factory` is called as that of an `AgentFactory`, and returns a `Team`, or `Built` with one. What it makes may
    differ from caller to caller: other members, another mode, other models. Raises ValueError for an empty id.
    """

    component_type = Team
    component_name = "a Team"
