"""One attempt at a hook in the background: finds the hook again, and calls it with what was stored."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.hook_store import ClaimedHookRun, HookRun
from musterd.hooks import Hook
from musterd.runtime.components.building import Builder
from musterd.runtime.components.definitions import Component
from musterd.runtime.components.nodes import descend
from musterd.runtime.components.prompt import prompt_of
from musterd.runtime.failures import unforeseen
from musterd.runtime.hooks.calling import Failure, call_hook
from musterd.runtime.hooks.payload import load_payload
from musterd.runtime.hooks.plan import HookPlan, component_of, component_values, own_hooks

GONE = (Reason.COMPONENT_NOT_FOUND, Reason.TASK_LOST)
"""Why a hook cannot be found again, now or later."""


@dataclass(frozen=True, slots=True)
class Misfortune:
    """Why an attempt did not succeed, in words fit for the caller, and whether a further one may."""

    message: str
    may_pass: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundCaller:
    """Calls hooks without their run."""

    plan: HookPlan
    builder: Builder
    clock: Clock
    timeout_seconds: float

    async def attempt(self, claimed: ClaimedHookRun) -> Misfortune | None:
        """Call a hook, and return why that went wrong; None when it did not. Lets a cancellation pass."""
        timer = asyncio.timeout(self.timeout_seconds)
        try:
            async with timer, AsyncExitStack() as stack:
                return await self._call(claimed, stack)
        except TimeoutError as error:
            if timer.expired():
                return Misfortune(f"the hook took longer than {self.timeout_seconds:g} s")
            return _unforeseen(claimed, error)
        except MusterdError as error:
            return Misfortune(error.message, may_pass=error.reason not in GONE)
        except Exception as error:  # noqa: BLE001 - whatever a component raises when it is taken down
            return _unforeseen(claimed, error)

    async def _call(self, claimed: ClaimedHookRun, stack: AsyncExitStack) -> Misfortune | None:
        run, task, spec = claimed.run, claimed.task, claimed.spec
        deadline = self.clock.now() + timedelta(seconds=self.timeout_seconds)
        hook, component = await self._find(claimed, stack, deadline)
        if hook is None:
            text = f"the component no longer has the {run.phase.value}-hook {run.name!r}, which was to run"
            return Misfortune(text, may_pass=False)
        values = self.plan.context_values(task, spec, deadline) | component_values(component)
        subject = load_payload(run.phase, task.task_id, claimed.payload_json, spec.parts)
        outcome = await call_hook(hook, subject, values, task_id=task.task_id)
        return Misfortune(outcome.message) if isinstance(outcome, Failure) else None

    async def _find(
        self, claimed: ClaimedHookRun, stack: AsyncExitStack, deadline: datetime
    ) -> tuple[Hook | None, Component | None]:
        """Return a hook, and the component when that is needed: to find it, or to be given to it."""
        run, spec = claimed.run, claimed.spec
        shared = self.plan.shared(spec, run.phase)
        hook = shared[run.position] if run.position < len(shared) else None
        if hook is not None and hook.name == run.name and not hook.wants_component:
            return hook, None
        built = self.builder.build(spec, claimed.task.task_id, deadline, with_deps=False)
        node = await stack.enter_async_context(built)
        path = spec.lineage.path if spec.lineage is not None else ()
        component = component_of(descend(node, path, spec.message, prompt_of(spec)))
        return _pick(run, (*shared, *own_hooks(component, run.phase))), component


def _pick(run: HookRun, hooks: Sequence[Hook]) -> Hook | None:
    """Return the hook at the place and with the name that is wanted, or the only one with the name."""
    if run.position < len(hooks) and hooks[run.position].name == run.name:
        return hooks[run.position]
    named = [hook for hook in hooks if hook.name == run.name]
    return named[0] if len(named) == 1 else None


def _unforeseen(claimed: ClaimedHookRun, error: BaseException) -> Misfortune:
    text = f"the hook {claimed.run.name!r} could not be run"
    return Misfortune(unforeseen(Reason.INTERNAL, text, error, task=claimed.task.task_id).message)
