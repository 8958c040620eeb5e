"""Which hooks a task has: those of the app and of the registration, then those of the team or workflow itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from musterd.domain.hook_run import HookPhase
from musterd.domain.session import SessionKey
from musterd.domain.task import Task, TaskSpec
from musterd.hooks import Hook, HookCallable, prepare_hooks
from musterd.runtime.components.building import request_context
from musterd.runtime.components.definitions import AnyAgent, Component
from musterd.runtime.components.nodes import AgentNode, Node, TeamNode
from musterd.runtime.components.registry import Registration, Registry
from musterd.teams.team import Team
from musterd.workflows.workflow import Workflow


@dataclass(frozen=True, slots=True, kw_only=True)
class AppHooks:
    """The hooks of an app, and whether those that do not say it run in the background, whoever has them."""

    pre: tuple[Hook, ...] = ()
    post: tuple[Hook, ...] = ()
    run_in_background: bool = False

    @classmethod
    def of(
        cls, pre_hooks: Sequence[HookCallable], post_hooks: Sequence[HookCallable], *, run_in_background: bool
    ) -> "AppHooks":
        """Return the hooks that an app was given. Raises TypeError for what is none."""
        return cls(
            pre=prepare_hooks("Musterd", pre_hooks, HookPhase.PRE),
            post=prepare_hooks("Musterd", post_hooks, HookPhase.POST),
            run_in_background=run_in_background,
        )

    def of_phase(self, phase: HookPhase) -> tuple[Hook, ...]:
        """Return the hooks of a phase."""
        return self.pre if phase is HookPhase.PRE else self.post


class HookPlan:
    """Tells the hooks of every task, always in the same order.

    `on_left` is called when a task that ended here has left hooks for the background.
    """

    def __init__(self, registry: Registry, app: AppHooks) -> None:
        self.on_left: Callable[[], None] = lambda: None
        self._registry = registry
        self._app = app

    def is_in_background(self, hook: Hook) -> bool:
        """Whether a hook runs after the run."""
        return hook.is_in_background(unless_marked=self._app.run_in_background)

    def registration_of(self, spec: TaskSpec) -> Registration:
        """Return the registered component that a task is, or is part of. Raises COMPONENT_NOT_FOUND."""
        return self._registry.find(spec.lineage.component if spec.lineage is not None else spec.component)

    def shared(self, spec: TaskSpec, phase: HookPhase) -> tuple[Hook, ...]:
        """Return the hooks of a root that belong to the app and to its registration; a child has none.

        Raises MusterdError COMPONENT_NOT_FOUND.
        """
        if spec.lineage is not None:
            return ()
        source = self._registry.find(spec.component).source
        given = source.pre_hooks if phase is HookPhase.PRE else source.post_hooks
        return (*self._app.of_phase(phase), *prepare_hooks(spec.component.id, given, phase))

    def context_values(self, task: Task, spec: TaskSpec, deadline: datetime) -> dict[str, Any]:
        """Return what hooks are given beside the input or output, and the component."""
        key = spec.lineage.component if spec.lineage is not None else spec.component
        session = SessionKey(tenant_id=task.tenant_id, user_id=task.user_id, session_id=task.session_id, component=key)
        return {
            "context": request_context(self.registration_of(spec), spec, task.task_id, deadline),
            "session": session if task.session_id else None,
            "task": task,
        }


def own_hooks(component: Component, phase: HookPhase) -> tuple[Hook, ...]:
    """Return the hooks that a team or a workflow has itself."""
    if not isinstance(component, Team | Workflow):
        return ()
    hooks = component.pre_hooks if phase is HookPhase.PRE else component.post_hooks
    return prepare_hooks(component.name, hooks, phase)


def component_of(node: Node) -> Component:
    """Return the component that an attempt executes."""
    match node:
        case AgentNode():
            return node.agent
        case TeamNode():
            return node.team
        case _:
            return node.workflow


def component_values(component: Component | None) -> dict[str, Component | AnyAgent | None]:
    """Return a component under the names that hooks know it by; None stands under those that do not fit."""
    is_other = isinstance(component, Team | Workflow)
    return {
        "component": component,
        "agent": None if is_other else component,
        "team": component if isinstance(component, Team) else None,
        "workflow": component if isinstance(component, Workflow) else None,
    }
