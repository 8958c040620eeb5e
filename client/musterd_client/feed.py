"""Reads events from the server, and mends the stream when it breaks: no event twice, none missing."""

import asyncio
from collections import deque
from typing import Any

import grpc

from musterd_client import errors
from musterd_client.calls import (
    Calls,
    OpenStream,
    closed_meanwhile,
    is_canceled,
    says_not_served,
    says_token_expired,
    tries_after,
)
from musterd_client.codec import enum_name, task_from
from musterd_client.event_codec import HEARTBEAT, event_from
from musterd_client.events import Event, TaskCanceled, TaskCompleted, TaskFailed
from musterd_client.methods import RUN_AGENT, RUN_TEAM, RUN_WORKFLOW, WATCH_TASK
from musterd_client.model import Task, WatchUntil
from musterd_client.v1.agent_service_pb2 import RunAgentRequest, RunAgentResponse
from musterd_client.v1.event_pb2 import RunEvent
from musterd_client.v1.task_service_pb2 import WatchTaskRequest, WatchTaskResponse
from musterd_client.v1.team_service_pb2 import RunTeamRequest, RunTeamResponse
from musterd_client.v1.workflow_service_pb2 import RunWorkflowRequest, RunWorkflowResponse

RunRequest = RunAgentRequest | RunTeamRequest | RunWorkflowRequest
StreamMessage = RunAgentResponse | RunTeamResponse | RunWorkflowResponse | WatchTaskResponse

_LINGER_SECONDS = 1.0
_PASSING_REASONS = frozenset(("SLOW_READER", "SHUTTING_DOWN", "KEYS_UNAVAILABLE", "STORE_UNAVAILABLE"))
_PASSING_REASONS_WHILE_FOLLOWING = _PASSING_REASONS | {"CAPACITY_EXHAUSTED"}
_CUT_CODES = frozenset(
    (
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    )
)


class Feed:
    """The events of one task as they come in, from the stream that started it or from one that watches it.

    `task` is the task as the server last sent it, None before its first message. `pending` holds the events that came
    in and were not taken yet. `ended` says that no more will come.
    """

    def __init__(
        self,
        calls: Calls,
        *,
        run: RunRequest | None = None,
        task_id: str = "",
        after_sequence: int = 0,
        until: WatchUntil = WatchUntil.TASK,
    ) -> None:
        self._calls = calls
        self._run = run
        self._task_id = task_id
        self._received = after_sequence
        self._until = until
        self._begins_in_background = run is not None and run.background
        self._only_start = self._begins_in_background
        self._stream: OpenStream[Any] | None = None
        self._token: str | None = None
        self._saw_end_of_task = False
        self._failures = 0
        self.task: Task | None = None
        self.pending: deque[Event] = deque()
        self.ended = False

    async def advance(self) -> None:
        """Takes in one message, or mends the stream.

        Raises:
            CallError: the stream broke and cannot be mended. Calling again tries anew.
        """
        try:
            message = await self._read()
            if self.ended:
                self.let_go()
            elif message is not None:
                self._take(message)
            else:
                self._finish()
        except errors.CallError as error:
            self.let_go()
            if self.ended or self._has_all():
                self.ended = True
            else:
                await self._pause_before_mending(error)

    def let_go(self) -> None:
        """Drops the stream, if there is one; advancing opens another after the last event."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.call.cancel()

    def close(self) -> None:
        """Drops the stream for good, and what was not taken. Who is advancing meanwhile hears that it has ended."""
        self.ended = True
        self.pending.clear()
        self.let_go()

    def follow_to_the_end(self) -> None:
        """Goes on after the start of a background run, which is where its stream ends."""
        if self._only_start:
            self._only_start = self.ended = False

    def _has_all(self) -> bool:
        if self._only_start:
            return self.task is not None
        return self._saw_end_of_task and self._until is WatchUntil.TASK

    async def _read(self) -> StreamMessage | None:
        if self._stream is None:
            self._stream = await self._open()
            self._token = self._stream.token
            if self.ended:
                return None
        limit = _LINGER_SECONDS if self._has_all() else self._calls.stall_timeout_seconds
        try:
            async with asyncio.timeout(limit):
                message: Any = await self._stream.call.read()
        except TimeoutError:
            raise errors.broken_stream(errors.STREAM_STALLED, f"nothing came for {limit:g} s") from None
        except grpc.aio.AioRpcError as error:
            raise errors.call_error_from(error) from error
        except asyncio.CancelledError:
            # gRPC canceled the call together with the reader: whoever reads on needs another one.
            self.let_go()
            if is_canceled():
                raise
            if not self.ended:
                raise closed_meanwhile() from None
            return None
        return None if message is grpc.aio.EOF else message

    async def _open(self) -> OpenStream[Any]:
        if self._run is not None and self.task is None:
            return await self._start(self._run)
        request = WatchTaskRequest(
            task_id=self._task_id, after_sequence=self._received, until=enum_name("WATCH_UNTIL_", self._until)
        )
        return await self._calls.stream(WATCH_TASK, request)

    async def _start(self, run: RunRequest) -> OpenStream[Any]:
        match run:
            case RunAgentRequest():
                return await self._calls.stream(RUN_AGENT, run)
            case RunTeamRequest():
                return await self._calls.stream(RUN_TEAM, run)
            case RunWorkflowRequest():
                return await self._calls.stream(RUN_WORKFLOW, run)

    def _take(self, message: StreamMessage) -> None:
        if message.HasField("task"):
            if self.task is None:
                self._failures = 0
            self.task = task_from(message.task)
            self._task_id = self.task.task_id
        if self.task is None:
            raise errors.broken_stream(errors.STREAM_ENDED_EARLY, "the first message holds no task")
        for event in message.events:
            self._take_event(event, self.task)

    def _take_event(self, message: RunEvent, task: Task) -> None:
        if message.WhichOneof("event") == HEARTBEAT:
            self._check_nothing_missing(message.heartbeat.last_sequence, task)
            self._failures = 0
            return
        if message.sequence <= self._received:
            return
        self._check_nothing_missing(message.sequence - 1, task)
        self._received = message.sequence
        self._failures = 0
        event = event_from(message)
        if event is None:
            return
        if isinstance(event, TaskCompleted | TaskFailed | TaskCanceled) and event.task_id == task.task_id:
            self._saw_end_of_task = True
        self.pending.append(event)

    def _check_nothing_missing(self, before: int, task: Task) -> None:
        # Only a root shows its whole log; a child's stream leaves out what others did.
        if task.is_root and before > self._received:
            raise errors.broken_stream(
                errors.EVENTS_MISSING, f"events {self._received + 1} to {before} of task {task.task_id} did not come"
            )

    def _finish(self) -> None:
        if self.task is not None and (self._saw_end_of_task or self.task.state.is_terminal or self._only_start):
            self.ended = True
        elif self.task is not None and self._begins_in_background:
            self._begins_in_background = False
        else:
            raise errors.broken_stream(errors.STREAM_ENDED_EARLY, "the stream ended before the task")
        self._stream = None

    async def _pause_before_mending(self, error: errors.CallError) -> None:
        """Returns when it is time to open another stream; raises the error when there is no use in it."""
        retry = self._calls.retry
        self._failures += 1
        tries = retry.call_attempts if self.task is None else retry.resume_attempts + 1
        if self._failures >= tries_after(error, tries) or not await self._can_mend(error):
            self._failures = 0
            raise error
        if says_token_expired(error) and self._failures == 1:
            return
        await asyncio.sleep(retry.delay_seconds(self._failures, error.retry_after_seconds))

    async def _can_mend(self, error: errors.CallError) -> bool:
        if says_token_expired(error):
            return await self._calls.tokens.renew(self._token)
        if says_not_served(error):
            return True
        if error.domain == errors.MUSTERD_DOMAIN:
            passing = _PASSING_REASONS if self.task is None else _PASSING_REASONS_WHILE_FOLLOWING
            return error.reason in passing
        # Proxies and dying connections end streams with these. Watching only reads: to do it again is harmless.
        return self.task is not None and error.code in _CUT_CODES
