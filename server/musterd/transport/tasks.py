"""TaskService: looks at work and controls it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from musterd.auth import acting_user, approver_of, snapshot, viewer_of
from musterd.domain.approval_store import Renewal
from musterd.domain.clock import Clock
from musterd.domain.errors import invalid_argument
from musterd.domain.orders import CancelOrder, SteerState
from musterd.domain.ports import TaskQuery
from musterd.domain.principal import Principal
from musterd.domain.task import ComponentKind, ComponentRef, Task, TaskState
from musterd.runtime.feed.streams import Streams, StreamScope
from musterd.runtime.tasks import CancelOutcome, Tasks
from musterd.transport.call import Call, current_call
from musterd.transport.codec import requests as decode
from musterd.transport.codec.resolutions import resolutions as decode_resolutions
from musterd.transport.codec.tasks import KIND_FROM_WIRE, STATE_FROM_WIRE, encode_task
from musterd.transport.paging import PageScope
from musterd.transport.streaming import encode_stream
from musterd_client.v1 import component_pb2, event_pb2, task_pb2
from musterd_client.v1 import task_service_pb2 as pb2

DEFAULT_WAIT_SECONDS = 60.0
DEFAULT_STEER_WAIT_SECONDS = 30.0
MAX_STEER_WAIT_SECONDS = 300.0
MAX_GRACE_SECONDS = 3_600.0

WATCH_UNTIL = tuple(pb2.WatchUntil.values())
WAIT_MODES = tuple(pb2.WaitMode.values())
TASK_STATES = tuple(task_pb2.TaskState.values())
COMPONENT_KINDS = tuple(component_pb2.ComponentKind.values())
CANCEL_MODES = tuple(pb2.CancelMode.values())
CANCEL_OUTCOMES = {
    each: cast("pb2.CancelOutcome", pb2.CancelOutcome.Value(f"CANCEL_OUTCOME_{each.name}")) for each in CancelOutcome
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskServicer:
    """Serves TaskService."""

    tasks: Tasks
    streams: Streams
    clock: Clock
    cancel_grace_seconds: float
    snapshot_max_age_seconds: float | None

    async def TaskStatus(self, request: pb2.TaskStatusRequest) -> pb2.TaskStatusResponse:
        """Return one task."""
        viewer = approver_of(current_call().principal)
        task = await self.tasks.get(viewer, decode.required_id("task_id", request.task_id))
        return pb2.TaskStatusResponse(task=encode_task(task))

    async def ListTasks(self, request: pb2.ListTasksRequest) -> pb2.ListTasksResponse:
        """Return a page of tasks, newest first."""
        call = current_call()
        scope = PageScope.of(request, viewer_of(call.principal), call.method)
        query = _task_query(request, scope, call)
        rows = await self.tasks.list(query)
        page = rows[: query.limit - 1]
        token = scope.token_at(page[-1].create_time, page[-1].task_id) if len(rows) == query.limit else ""
        return pb2.ListTasksResponse(tasks=[encode_task(task) for task in page], next_page_token=token)

    async def WatchTask(self, request: pb2.WatchTaskRequest) -> AsyncIterator[pb2.WatchTaskResponse]:
        """Replay a task's events, then follow it."""
        principal = current_call().principal
        until = decode.enum_number("until", request.until, WATCH_UNTIL)
        if request.after_sequence < 0:
            raise invalid_argument("after_sequence", "range", "must not be negative")
        task_id = decode.required_id("task_id", request.task_id)
        task, descendants, follower = await self.tasks.watch(viewer_of(principal), task_id, request.after_sequence)
        try:
            scope = StreamScope(task, descendants, until_tree=until == pb2.WATCH_UNTIL_TREE)
            stream = self.streams.open(follower, scope, principal.expires_at)
            async for response in encode_stream(task, (), stream.replayed(), _watch_response):
                yield response
        finally:
            self.streams.close(follower)

    async def WaitTasks(self, request: pb2.WaitTasksRequest) -> pb2.WaitTasksResponse:
        """Wait until one or all of some tasks ended or need input."""
        mode = decode.enum_number("mode", request.mode, WAIT_MODES)
        if not 1 <= len(request.task_ids) <= decode.MAX_WAIT_TASKS:
            message = f"names {len(request.task_ids)} tasks; it must name 1 to {decode.MAX_WAIT_TASKS}"
            raise invalid_argument("task_ids", "items", message)
        task_ids = [decode.required_id(f"task_ids[{i}]", task_id) for i, task_id in enumerate(request.task_ids)]
        waited = await self.tasks.wait(
            viewer_of(current_call().principal),
            task_ids,
            wait_for_any=mode == pb2.WAIT_MODE_ANY,
            seconds=decode.seconds(request, "timeout", DEFAULT_WAIT_SECONDS, decode.MAX_WAIT_SECONDS),
        )
        return pb2.WaitTasksResponse(
            tasks=[encode_task(task) for task in waited.tasks],
            pending_task_ids=waited.pending_ids,
            input_required_task_ids=waited.input_required_ids,
            timed_out=waited.timed_out,
        )

    async def CancelTask(self, request: pb2.CancelTaskRequest) -> pb2.CancelTaskResponse:
        """Cancel a task and what it started."""
        call = current_call()
        mode = decode.enum_number("mode", request.mode, CANCEL_MODES)
        order = CancelOrder(
            hard=mode == pb2.CANCEL_MODE_HARD,
            grace_seconds=decode.seconds(request, "grace", self.cancel_grace_seconds, MAX_GRACE_SECONDS),
            reason=decode.bounded_text("reason", request.reason, decode.MAX_REASON_CHARS),
            cascade=request.cascade if request.HasField("cascade") else True,
            user_id=call.principal.user_id,
        )
        task_id = decode.required_id("task_id", request.task_id)
        task, outcome = await self.tasks.cancel(viewer_of(call.principal), task_id, order, call.request_key(request))
        return pb2.CancelTaskResponse(task=encode_task(task), outcome=CANCEL_OUTCOMES[outcome])

    async def SteerTask(self, request: pb2.SteerTaskRequest) -> pb2.SteerTaskResponse:
        """Put a message into a running task."""
        call = current_call()
        if not request.message:
            raise invalid_argument("message", "required", "must not be empty")
        steer, task = await self.tasks.steer(
            viewer_of(call.principal),
            task_id=decode.required_id("task_id", request.task_id),
            message=decode.bounded_text("message", request.message, decode.MAX_STEER_CHARS),
            user_id=call.principal.user_id,
            seconds=decode.seconds(request, "wait_timeout", DEFAULT_STEER_WAIT_SECONDS, MAX_STEER_WAIT_SECONDS),
            request=call.request_key(request),
        )
        is_applied = steer.state is SteerState.APPLIED
        outcome = pb2.STEER_OUTCOME_APPLIED if is_applied else pb2.STEER_OUTCOME_PENDING
        return pb2.SteerTaskResponse(steer_id=steer.steer_id, outcome=outcome, task=encode_task(task))

    async def AnswerTask(self, request: pb2.AnswerTaskRequest) -> pb2.AnswerTaskResponse:
        """Give a waiting task what it waits for: an answer to its question, or the identity of this call."""
        call = current_call()
        task_id = decode.required_id("task_id", request.task_id)
        decode.optional_id("question_id", request.question_id)
        decode.bounded_text("answer", request.answer, decode.MAX_STEER_CHARS)
        task = await self.tasks.get(viewer_of(call.principal), task_id)
        answer = self._answer if _is_for_a_question(request, task) else self._renew_identity
        return pb2.AnswerTaskResponse(task=encode_task(await answer(request, task, call)))

    async def ResolveTask(self, request: pb2.ResolveTaskRequest) -> pb2.ResolveTaskResponse:
        """Decide about what tasks may only do with an approval, or give the result of what they cannot do."""
        call = current_call()
        principal, viewer = call.principal, approver_of(call.principal)
        task_id = decode.required_id("task_id", request.task_id)
        resolutions = decode_resolutions(request.resolutions)
        owner = (await self.tasks.get(viewer, task_id)).user_id
        task = await self.tasks.resolve(
            viewer,
            task_id=task_id,
            resolutions=resolutions,
            user_id=principal.user_id,
            renewal=self._renewal_of(principal) if owner == principal.user_id else None,
            request=call.request_key(request),
        )
        return pb2.ResolveTaskResponse(task=encode_task(task))

    def _renewal_of(self, principal: Principal) -> Renewal | None:
        if self.snapshot_max_age_seconds is None:
            return None
        now = self.clock.now()
        identity = snapshot(principal, principal.user_id, now)
        return Renewal(identity=identity, before=now - timedelta(seconds=self.snapshot_max_age_seconds))

    async def _answer(self, request: pb2.AnswerTaskRequest, task: Task, call: Call) -> Task:
        return await self.tasks.answer(
            viewer_of(call.principal),
            task_id=task.task_id,
            question_id=request.question_id,
            answer=decode.required_text("answer", request.answer, decode.MAX_STEER_CHARS),
            user_id=call.principal.user_id,
            request=call.request_key(request),
        )

    async def _renew_identity(self, request: pb2.AnswerTaskRequest, task: Task, call: Call) -> Task:
        principal = call.principal
        owner, _ = acting_user(principal, task.user_id, "")
        return await self.tasks.renew_identity(
            viewer_of(principal),
            task_id=task.task_id,
            identity=snapshot(principal, owner, self.clock.now()),
            user_id=principal.user_id,
            request=call.request_key(request),
        )


def _is_for_a_question(request: pb2.AnswerTaskRequest, task: Task) -> bool:
    """Whether a call answers a question: what it says must not be lost where the task waits for an identity alone."""
    has_words = bool(request.question_id or request.answer)
    return has_words or (task.state is TaskState.INPUT_REQUIRED and bool(task.questions))


def _watch_response(task: task_pb2.Task | None, events: Sequence[event_pb2.RunEvent]) -> pb2.WatchTaskResponse:
    return pb2.WatchTaskResponse(task=task, events=events)


def _component_filter(request: pb2.ListTasksRequest) -> tuple[ComponentKind | None, str]:
    number = decode.enum_number("component.kind", request.component.kind, COMPONENT_KINDS)
    component_id = decode.optional_id("component.id", request.component.id)
    if component_id and not number:
        raise invalid_argument("component.kind", "required", "an id needs the kind of the component")
    return KIND_FROM_WIRE.get(number), component_id


def _task_query(request: pb2.ListTasksRequest, scope: PageScope, call: Call) -> TaskQuery:
    states = [decode.enum_number(f"states[{i}]", number, TASK_STATES) for i, number in enumerate(request.states)]
    kind, component_id = _component_filter(request)
    session_id = decode.optional_id("session_id", request.session_id)
    # Refuses another one than the token's; without the filter the tasks of all are listed.
    acting_user(call.principal, "", session_id)
    return TaskQuery(
        viewer=approver_of(call.principal) if request.has_open_approvals else viewer_of(call.principal),
        limit=decode.page_size(request.page_size) + 1,
        before=scope.position_at(request.page_token),
        states=frozenset(STATE_FROM_WIRE[number] for number in states if number),
        component=ComponentRef(kind=kind, id=component_id) if kind and component_id else None,
        component_kind=kind or "",
        session_id=session_id,
        parent_task_id=decode.optional_id("parent_task_id", request.parent_task_id),
        root_task_id=decode.optional_id("root_task_id", request.root_task_id),
        has_open_approvals=request.has_open_approvals,
    )
