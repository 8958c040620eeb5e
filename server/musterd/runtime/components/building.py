"""Builds a component for one attempt: calls its factory with the caller's context, in time and off the event loop."""

import asyncio
import contextvars
import inspect
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from copy import deepcopy
from datetime import datetime
from typing import Any, cast

from pydantic_ai.agent import AbstractAgent

from musterd.domain.context import RequestContext, TrustedContext
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.task import TaskSpec
from musterd.runtime.calling import is_coroutine_function
from musterd.runtime.components.definitions import (
    Built,
    Component,
    ComponentFactory,
    FactoryCallable,
    FactoryPermissionError,
    FactoryValidationError,
    Prototype,
)
from musterd.runtime.components.nodes import AgentNode, Node, TeamNode, WorkflowNode
from musterd.runtime.components.prompt import prompt_of
from musterd.runtime.components.registry import Registration, Registry
from musterd.runtime.failures import unforeseen
from musterd.runtime.limits import Limits
from musterd.teams.team import Team
from musterd.workflows.workflow import Workflow


def request_context(registration: Registration, spec: TaskSpec, task_id: str, deadline: datetime) -> RequestContext:
    """Return what a factory learns about a run. It shares nothing with the spec: that is stored after the build."""
    identity = spec.identity
    return RequestContext(
        user_id=identity.user_id,
        tenant_id=identity.tenant_id,
        session_id=spec.session_id,
        input=registration.load_input(spec.factory_input_json),
        trusted=TrustedContext(claims=deepcopy(dict(identity.claims)), scopes=identity.scopes),
        metadata=dict(spec.caller_metadata),
        task_id=task_id,
        deadline=deadline,
    )


class Builder:
    """Builds components, with a bounded pool of threads for sync factories."""

    def __init__(self, registry: Registry, limits: Limits) -> None:
        self._registry = registry
        self._limits = limits
        self._threads = ThreadPoolExecutor(limits.factory_threads, thread_name_prefix="musterd-factory")

    def close(self) -> None:
        """Let go of the threads; one that a factory blocks is left to itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def build(
        self, spec: TaskSpec, task_id: str, deadline: datetime, *, with_deps: bool = True
    ) -> AsyncGenerator[Node]:
        """Build a registered component, and take it down when the attempt ends. A child's is the one it is part of.

        A prototype `with_deps` False is as it is: nothing is made for it to run with.

        Raises MusterdError with one of the FACTORY reasons.
        """
        registration = self._registry.find(spec.lineage.component if spec.lineage is not None else spec.component)
        source = registration.source
        context = request_context(registration, spec, task_id, deadline)
        async with AsyncExitStack() as stack:
            match source:
                case ComponentFactory():
                    timeout = source.timeout_seconds or self._limits.factory_timeout_seconds
                    made = await self._call(stack, registration, source.factory, context, timeout)
                    component, deps = _checked(source, made, context)
                case Prototype():
                    component = source.component
                    deps = await self._deps_of(stack, registration, source, context) if with_deps else None
            yield _node_of(component, deps, spec, context)

    async def _deps_of(
        self, stack: AsyncExitStack, registration: Registration, prototype: Prototype, context: RequestContext
    ) -> Any:
        if prototype.deps_factory is None:
            return context
        timeout_seconds = self._limits.factory_timeout_seconds
        return await self._call(stack, registration, prototype.deps_factory, context, timeout_seconds)

    async def _call(
        self,
        stack: AsyncExitStack,
        registration: Registration,
        factory: FactoryCallable,
        context: RequestContext,
        timeout_seconds: float,
    ) -> Any:
        component_id = registration.info.ref.id
        timer = asyncio.timeout(timeout_seconds)
        try:
            async with timer:
                return await self._enter(stack, factory, context)
        except FactoryPermissionError as error:
            raise MusterdError(reason=Reason.FACTORY_PERMISSION_DENIED, message=str(error)) from error
        except FactoryValidationError as error:
            raise MusterdError(reason=Reason.FACTORY_INVALID_INPUT, message=str(error)) from error
        except (asyncio.CancelledError, GeneratorExit):
            raise
        # A factory that calls sys.exit would end the server, and with it the runs of all others.
        except BaseException as error:
            if isinstance(error, TimeoutError) and timer.expired():
                raise MusterdError(
                    reason=Reason.FACTORY_TIMEOUT,
                    message=f"building {component_id!r} took longer than {timeout_seconds:g} s",
                ) from error
            raise unforeseen(
                Reason.FACTORY_FAILED, f"building {component_id!r} failed", error, component=component_id
            ) from error

    async def _enter(self, stack: AsyncExitStack, factory: FactoryCallable, context: RequestContext) -> Any:
        if is_coroutine_function(factory):
            made = await factory(context)
        else:
            made = await asyncio.get_running_loop().run_in_executor(
                self._threads, _in_context_of_caller(factory), context
            )
        if inspect.isawaitable(made):
            made = await made
        if isinstance(made, AbstractAsyncContextManager) and not isinstance(made, AbstractAgent):
            return await stack.enter_async_context(cast("AbstractAsyncContextManager[Any]", made))
        return cast("Any", made)


def _in_context_of_caller(factory: FactoryCallable) -> FactoryCallable:
    inherited = contextvars.copy_context()

    def call(context: RequestContext) -> Any:
        try:
            return inherited.run(factory, context)
        except StopIteration as error:
            # No future can hold it: who awaits the thread would wait for ever.
            raise RuntimeError("the factory raised StopIteration") from error

    return call


def _checked(factory: ComponentFactory, made: Any, context: RequestContext) -> tuple[Component, Any]:
    component: Any = made.component if isinstance(made, Built) else made
    deps = made.deps if isinstance(made, Built) else context
    if not isinstance(component, factory.component_type):
        wrong = TypeError(
            f"the factory {factory.id!r} must return {factory.component_name} (or Built), but returned "
            f"{type(component).__name__}"
        )
        raise unforeseen(Reason.FACTORY_FAILED, f"building {factory.id!r} failed", wrong, component=factory.id)
    return cast("Component", component), deps


def _node_of(component: Component, deps: Any, spec: TaskSpec, context: RequestContext) -> Node:
    if isinstance(component, Workflow):
        return WorkflowNode(workflow=component, context=context, deps=deps)
    if isinstance(component, Team):
        return TeamNode(team=component, deps=deps, prompt=prompt_of(spec))
    return AgentNode(agent=component, deps=deps, prompt=prompt_of(spec))
