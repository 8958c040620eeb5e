"""Components as users register them: shared prototypes, or factories that build a fresh one for each attempt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from pydantic import BaseModel
from pydantic_ai.agent import AbstractAgent

from musterd.domain.context import RequestContext
from musterd.domain.hook_run import HookPhase
from musterd.hooks import HookCallable, check_hooks
from musterd.teams.team import Team
from musterd.workflows.workflow import Workflow

AnyAgent: TypeAlias = AbstractAgent[Any, Any]
Component: TypeAlias = AnyAgent | Team | Workflow

FactoryCallable: TypeAlias = Callable[[RequestContext], Any]
"""Takes the RequestContext; returns a component, a `Built`, an awaitable of one, or an async context manager of one."""


class FactoryPermissionError(Exception):
    """Raise this in a factory to refuse the caller, who gets PERMISSION_DENIED with the text."""


class FactoryValidationError(Exception):
    """Raise this in a factory to refuse its input: the caller gets INVALID_ARGUMENT with the text."""


@dataclass(frozen=True, slots=True)
class Built:
    """What a factory may return instead of a bare agent, team or workflow: the component and the deps of its run."""

    component: Component
    deps: Any = None


@dataclass(frozen=True, slots=True)
class Prototype:
    """A shared agent, team or workflow, with what makes the deps of each of its runs.

    `deps_factory` is called once per attempt with the RequestContext, like a factory: a sync one in a thread, an async
    one on the event loop; it may return an async context manager, which ends with the attempt. `pre_hooks` and
    `post_hooks` are called before and after each run. Raises TypeError for hooks that cannot be called.
    """

    component: Component
    deps_factory: FactoryCallable | None = None
    pre_hooks: Sequence[HookCallable] = ()
    post_hooks: Sequence[HookCallable] = ()

    def __post_init__(self) -> None:
        check_hooks("Prototype(…)", self.pre_hooks, HookPhase.PRE)
        check_hooks("Prototype(…)", self.post_hooks, HookPhase.POST)


class ComponentFactory:
    """What AgentFactory, TeamFactory and WorkflowFactory have in common."""

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
        pre_hooks: Sequence[HookCallable] = (),
        post_hooks: Sequence[HookCallable] = (),
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
        self.pre_hooks = check_hooks(f"the factory {id!r}", pre_hooks, HookPhase.PRE)
        self.post_hooks = check_hooks(f"the factory {id!r}", post_hooks, HookPhase.POST)
        self.timeout_seconds = timeout_seconds


class AgentFactory(ComponentFactory):
    """Builds an agent for each attempt of a run, for who is calling.

    `factory` is called with a frozen RequestContext. A sync function runs in a thread, off the event loop; a coroutine
    function on it; an async context manager ends with the attempt. It must return within `timeout_seconds`, the
    server's default when None. FactoryPermissionError and FactoryValidationError refuse the run with their text; any
    other exception is logged and refuses it with a general one. `input_schema` validates `factory_input` before the
    factory is called; the factory reads the instance at `context.input`. `pre_hooks` and `post_hooks` are called before
    and after each run.

    Raises ValueError for an empty id, TypeError for hooks that cannot be called.
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


class WorkflowFactory(ComponentFactory):
    """Builds a workflow for each attempt of a run, for who is calling.

    `factory` is called as that of an `AgentFactory`, and returns a `Workflow`, or `Built` with one. What it makes may
    differ from caller to caller, but for one run it must have the same steps each time: a run whose done steps are no
    longer there is lost. The factory's own `input_schema` counts. Raises ValueError for an empty id.
    """

    component_type = Workflow
    component_name = "a Workflow"
