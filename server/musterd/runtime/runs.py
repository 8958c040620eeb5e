"""Starts runs: checks the request, captures the caller's identity, and hands the task to the supervisor."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from musterd.domain.errors import MusterdError, Reason, invalid_argument
from musterd.domain.event import TaskStarted
from musterd.domain.full_store import FullStore
from musterd.domain.ids import new_id
from musterd.domain.ports import NewTask, RequestKey
from musterd.domain.principal import Identity, JsonValue
from musterd.domain.session import SessionQuery
from musterd.domain.task import ComponentKind, ComponentRef, Part, Priority, Task, TaskSpec, TaskState, UsageLimits
from musterd.runtime.components.registry import Registry
from musterd.runtime.feed.hub import Follower, Hub
from musterd.runtime.limits import Limits
from musterd.runtime.supervisor import Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A checked wish to run a component. None means the server's default."""

    component: ComponentRef
    identity: Identity
    session_id: str = ""
    message: str = ""
    parts: tuple[Part, ...] = ()
    factory_input: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    request: RequestKey | None = None
    run_timeout_seconds: float | None = None
    usage_limits: UsageLimits = field(default_factory=UsageLimits)
    priority: Priority = Priority.NORMAL
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    caller_metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """An accepted run and a follower of its whole log. Hand the follower back to the hub.

    `is_new` is False when an earlier call with the same request key started it.
    """

    task: Task
    is_new: bool
    follower: Follower


class Runs:
    """Accepts runs of registered components."""

    def __init__(
        self, *, registry: Registry, store: FullStore, supervisor: Supervisor, hub: Hub, limits: Limits
    ) -> None:
        self._registry = registry
        self._store = store
        self._supervisor = supervisor
        self._hub = hub
        self._limits = limits

    async def start(self, request: RunRequest) -> Started:
        """Run a component, or re-attach to the run that an earlier call with the same request key started.

        Raises MusterdError: COMPONENT_NOT_FOUND, INVALID_ARGUMENT, INVALID_INPUT, REQUEST_ID_REUSED, a refusal of the
        factory, SESSION_BUSY, SESSION_FULL, CAPACITY_EXHAUSTED, SHUTTING_DOWN, STORE_UNAVAILABLE. Then there is no new
        task.
        """
        registration = self._registry.find(request.component)
        has_input = request.component.kind is ComponentKind.WORKFLOW and bool(request.factory_input)
        if not request.message and not request.parts and not has_input:
            raise invalid_argument("message", "required", "give a message or at least one part")
        spec = TaskSpec(
            component=request.component,
            message=request.message,
            parts=request.parts,
            factory_input_json=registration.validate_input(request.factory_input),
            identity=request.identity,
            session_id=request.session_id,
            run_timeout_seconds=self._timeout_seconds(request.run_timeout_seconds),
            usage_limits=self._usage_limits(request.usage_limits),
            caller_metadata=request.caller_metadata,
        )
        if request.request is not None and (known := await self._store.find_request(request.request)) is not None:
            return Started(task=known, is_new=False, follower=self._hub.follow(known.root_task_id, 0))
        task_id = new_id()
        new = NewTask(
            task_id=task_id,
            root_task_id=task_id,
            spec=spec,
            priority=request.priority,
            request=request.request,
            labels=request.labels,
            payloads=(TaskStarted(session_id=request.session_id),),
        )
        await self._check_room(spec)
        return await self._submit(new)

    async def _submit(self, new: NewTask) -> Started:
        follower = self._hub.follow(new.root_task_id, 0, is_new=True)
        try:
            created = await self._supervisor.submit(new)
        except BaseException:
            self._hub.leave(follower)
            raise
        if not created.is_new:
            self._hub.leave(follower)
            follower = self._hub.follow(created.task.root_task_id, 0)
        elif created.task.state is TaskState.SUBMITTED:
            # Any process may take it from the queue.
            self._hub.on_follow(new.root_task_id)
        return Started(task=created.task, is_new=created.is_new, follower=follower)

    async def _check_room(self, spec: TaskSpec) -> None:
        """Raise SESSION_FULL when the history is too large already for a run to begin with it."""
        if not spec.session_id:
            return
        identity, limits = spec.identity, self._limits
        found = await self._store.list_sessions(
            SessionQuery(
                tenant_id=identity.tenant_id,
                user_id=identity.user_id,
                session_id=spec.session_id,
                component=spec.component,
                limit=1,
            )
        )
        for session in found:
            if session.message_count > limits.session_max_messages or session.size_bytes > limits.session_max_bytes:
                raise MusterdError(
                    reason=Reason.SESSION_FULL,
                    message=f"the session {spec.session_id!r} has {session.message_count} messages and "
                    f"{session.size_bytes} bytes; a run may begin with at most {limits.session_max_messages} messages "
                    f"and {limits.session_max_bytes} bytes: begin another session",
                    metadata={"session_id": spec.session_id},
                )

    def _timeout_seconds(self, asked: float | None) -> float:
        if asked is None:
            return self._limits.run_timeout_seconds
        most = self._limits.max_run_timeout_seconds
        if not 0 < asked <= most:
            raise invalid_argument("run_timeout", "range", f"must be more than 0 and at most {most:g} seconds")
        return asked

    def _usage_limits(self, asked: UsageLimits) -> UsageLimits:
        most = self._limits.max_requests_per_run
        requests = asked.requests if asked.requests is not None else most
        if requests > most:
            raise invalid_argument("usage_limits.requests", "range", f"must be at most {most}")
        return UsageLimits(
            requests=requests,
            tool_calls=asked.tool_calls,
            input_tokens=asked.input_tokens,
            output_tokens=asked.output_tokens,
            total_tokens=asked.total_tokens,
        )
