"""The tasks of a server, whoever started them."""

from collections.abc import AsyncIterator, Sequence

from musterd_client.approval_model import Resolution
from musterd_client.calls import Calls
from musterd_client.codec import (
    cancel_outcome_from,
    duration_to,
    enum_name,
    resolution_to,
    steer_outcome_from,
    task_from,
)
from musterd_client.component_filter import component_filter
from musterd_client.methods import (
    ANSWER_TASK,
    CANCEL_TASK,
    LIST_TASKS,
    RESOLVE_TASK,
    STEER_TASK,
    TASK_STATUS,
    WAIT_TASKS,
)
from musterd_client.model import (
    CancelMode,
    CancelResult,
    SteerResult,
    Task,
    TaskState,
    WaitMode,
    WaitResult,
    WatchUntil,
)
from musterd_client.request_ids import new_request_id
from musterd_client.streams import Watch
from musterd_client.v1.task_service_pb2 import (
    AnswerTaskRequest,
    CancelTaskRequest,
    ListTasksRequest,
    ResolveTaskRequest,
    SteerTaskRequest,
    TaskStatusRequest,
    WaitTasksRequest,
)

_DEFAULT_WAIT_SECONDS = 60.0
_DEFAULT_STEER_WAIT_SECONDS = 30.0


class Tasks:
    """Looks at tasks and controls them. Reached as `client.tasks`.

    A task is visible to its owner and to administrators of its tenant; for everyone else each call raises
    NotFoundError. Whoever may approve sees the tasks of a tenant while they wait for an approval. Calls that change
    something take a `request_id`: a repeated call with the same id counts once. Without one the client makes one, so
    that its own repetitions are safe.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def status(self, task_id: str) -> Task:
        """Returns the task as it stands now."""
        response = await self._calls.unary(TASK_STATUS, TaskStatusRequest(task_id=task_id))
        return task_from(response.task)

    async def list(
        self,
        *,
        states: Sequence[TaskState] = (),
        agent_id: str = "",
        team_id: str = "",
        workflow_id: str = "",
        session_id: str = "",
        parent_task_id: str = "",
        root_task_id: str = "",
        has_open_approvals: bool = False,
        page_size: int = 50,
    ) -> AsyncIterator[Task]:
        """Yields the tasks for which all given filters hold, newest first, page after page.

        With `has_open_approvals` it is only roots in whose tree an approval is open: for who may approve, also those of
        other users.

        Raises:
            ValueError: more than one component is given.
        """
        request = ListTasksRequest(
            page_size=page_size,
            states=[enum_name("TASK_STATE_", state) for state in states],
            component=component_filter(agent_id, team_id, workflow_id),
            session_id=session_id,
            parent_task_id=parent_task_id,
            root_task_id=root_task_id,
            has_open_approvals=has_open_approvals,
        )
        while True:
            page = await self._calls.unary(LIST_TASKS, request)
            for task in page.tasks:
                yield task_from(task)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def watch(self, task_id: str, *, after_sequence: int = 0, until: WatchUntil = WatchUntil.TASK) -> Watch:
        """Returns the task's events after a sequence, from the log and then live, as something to iterate over.

        The log of a tree that was trimmed raises OutOfRangeError, whose metadata names the oldest sequence there is.
        """
        return Watch(self._calls, task_id, after_sequence=after_sequence, until=until)

    async def wait(
        self, task_ids: Sequence[str], *, mode: WaitMode = WaitMode.ALL, timeout_seconds: float = _DEFAULT_WAIT_SECONDS
    ) -> WaitResult:
        """Returns when all or any of the tasks have ended, one needs input, or the time is over, which is no error.

        `timeout_seconds` is at most an hour; zero looks once. Nothing is ever canceled.
        """

        def request(left_seconds: float) -> WaitTasksRequest:
            return WaitTasksRequest(
                task_ids=task_ids, mode=enum_name("WAIT_MODE_", mode), timeout=duration_to(left_seconds)
            )

        response = await self._calls.waiting(WAIT_TASKS, request, timeout_seconds)
        return WaitResult(
            tasks=tuple(task_from(task) for task in response.tasks),
            pending_task_ids=tuple(response.pending_task_ids),
            input_required_task_ids=tuple(response.input_required_task_ids),
            timed_out=response.timed_out,
        )

    async def cancel(
        self,
        task_id: str,
        *,
        mode: CancelMode = CancelMode.SOFT,
        grace_seconds: float | None = None,
        reason: str = "",
        cascade: bool = True,
        request_id: str | None = None,
    ) -> CancelResult:
        """Cancels the task, and with `cascade` what it started. Says what really happened.

        `grace_seconds` is how long the current step may still take with SOFT; None leaves it to the server.

        Raises:
            PreconditionFailedError: the task ended otherwise (TASK_NOT_CANCELABLE).
        """
        request = CancelTaskRequest(
            task_id=task_id,
            mode=enum_name("CANCEL_MODE_", mode),
            grace=duration_to(grace_seconds),
            reason=reason,
            cascade=cascade,
            request_id=request_id or new_request_id(),
        )
        response = await self._calls.unary(CANCEL_TASK, request)
        return CancelResult(task=task_from(response.task), outcome=cancel_outcome_from(response.outcome))

    async def steer(
        self,
        task_id: str,
        message: str,
        *,
        wait_timeout_seconds: float | None = None,
        request_id: str | None = None,
    ) -> SteerResult:
        """Puts a message into the next request that the task sends to its model, and waits until it is in one.

        `wait_timeout_seconds` is how long to wait for that; None means 30, zero returns once the message is stored.

        Raises:
            PreconditionFailedError: the task cannot take a message any more (TASK_NOT_STEERABLE).
        """
        request = SteerTaskRequest(
            task_id=task_id,
            message=message,
            wait_timeout=duration_to(wait_timeout_seconds),
            request_id=request_id or new_request_id(),
        )
        wait_seconds = _DEFAULT_STEER_WAIT_SECONDS if wait_timeout_seconds is None else wait_timeout_seconds
        response = await self._calls.unary(STEER_TASK, request, wait_seconds=wait_seconds)
        outcome = steer_outcome_from(response.outcome)
        return SteerResult(steer_id=response.steer_id, outcome=outcome, task=task_from(response.task))

    async def answer(
        self, task_id: str, answer: str = "", question_id: str = "", *, request_id: str | None = None
    ) -> Task:
        """Answers a question of the task, and returns the task after it; one that is AUTH_REQUIRED needs no answer.

        Without a `question_id` the only open question is answered. A task that is AUTH_REQUIRED takes the identity of
        this client's token.

        Raises:
            PreconditionFailedError: the task does not wait for this (TASK_NOT_WAITING).
        """
        request = AnswerTaskRequest(
            task_id=task_id, question_id=question_id, answer=answer, request_id=request_id or new_request_id()
        )
        response = await self._calls.unary(ANSWER_TASK, request)
        return task_from(response.task)

    async def resolve(self, task_id: str, resolutions: Sequence[Resolution], *, request_id: str | None = None) -> Task:
        """Decides about approvals of the task or of any below it, and returns the task after that.

        The decisions of one call are taken all or none; others may follow in a later call. The same decision once more
        changes nothing. The task goes on once nothing of it is open.

        Raises:
            NotFoundError: an approval belongs to none of these tasks (APPROVAL_NOT_FOUND).
            PreconditionFailedError: an approval was decided otherwise before, or its time is over (APPROVAL_CONFLICT).
            InvalidArgumentError: a decision does not fit its approval.
        """
        request = ResolveTaskRequest(
            task_id=task_id,
            resolutions=[resolution_to(resolution) for resolution in resolutions],
            request_id=request_id or new_request_id(),
        )
        response = await self._calls.unary(RESOLVE_TASK, request)
        return task_from(response.task)
