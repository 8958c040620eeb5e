"""What can go wrong, as one hierarchy under `MusterdClientError`.

A refused call is a `CallError`; its class tells the gRPC status, its `reason` the exact cause. A task that ended
without a result is a `TaskFailedError` or a `TaskCanceledError`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # pyright: ignore[reportMissingTypeStubs]
from grpc_status import rpc_status

from musterd_client.codec import duration_from
from musterd_client.model import Task, TaskError

MUSTERD_DOMAIN = "musterd"
CLIENT_DOMAIN = "musterd_client"
"""Domain of the errors that the client finds out itself."""

STREAM_STALLED = "STREAM_STALLED"
STREAM_ENDED_EARLY = "STREAM_ENDED_EARLY"
EVENTS_MISSING = "EVENTS_MISSING"


class MusterdClientError(Exception):
    """Something that a call or a task came to instead of its result. `reason` is UPPER_SNAKE, or empty when unknown."""

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.reason else self.message

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...], dict[str, object]]:
        # Exceptions are copied, and sent to other processes, by their positional arguments, which are not all here.
        return self.__class__.__new__, (self.__class__, *self.args), self.__dict__


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One thing that a call broke. `path` is a request field's dotted path, the name of a quota, or a subject."""

    path: str
    rule: str = ""
    message: str = ""


class CallError(MusterdClientError):
    """The server, or something on the way to it, refused or broke a call.

    `domain` says who gave the `reason`: "musterd", "musterd_client" (a broken stream that the client gave up on), or
    somebody on the way; it is empty when nobody did. `metadata` belongs to the reason. `retry_after_seconds` is set
    when the server says when to try again.
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode,
        reason: str = "",
        domain: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: tuple[Violation, ...] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, reason=reason)
        self.code = code
        self.domain = domain
        self.metadata: Mapping[str, str] = metadata or {}
        self.violations = violations
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return f"{self.reason or self.code.name}: {self.message}"


class InvalidArgumentError(CallError):
    """The request is malformed; `violations` names each field."""


class UnauthenticatedError(CallError):
    """The call has no valid token."""


class PermissionDeniedError(CallError):
    """The caller may not do this."""


class NotFoundError(CallError):
    """There is no such thing, or the caller may not see it."""


class PreconditionFailedError(CallError):
    """The task or the request is not in a state that allows this."""


class OutOfRangeError(CallError):
    """The events asked for are gone; the metadata names the oldest sequence there is."""


class ResourceExhaustedError(CallError):
    """A limit is reached; `violations` names it and `retry_after_seconds` says when to try again."""


class UnavailableError(CallError):
    """The server cannot be reached or cannot serve now; trying again may help."""


class DeadlineExceededError(CallError):
    """The call took longer than its time limit."""


class ServerFailedError(CallError):
    """The server failed; `metadata` may name the error id of its log."""


class TaskEndedError(MusterdClientError):
    """The task ended without a result. `task` is the task as it ended, with what it spent and any partial output."""

    def __init__(self, message: str, *, task: Task, reason: str = "") -> None:
        super().__init__(message, reason=reason)
        self.task = task


class TaskFailedError(TaskEndedError):
    """The task failed or was rejected; `error` says why."""

    def __init__(self, task: Task) -> None:
        error = task.error or TaskError(reason="", message="the task failed")
        super().__init__(error.message, task=task, reason=error.reason)
        self.error = error


class TaskCanceledError(TaskEndedError):
    """The task was canceled."""

    def __init__(self, task: Task, cancel_reason: str = "") -> None:
        super().__init__(
            f"the task was canceled: {cancel_reason}" if cancel_reason else "the task was canceled", task=task
        )


_BY_CODE: Mapping[grpc.StatusCode, type[CallError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgumentError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.FAILED_PRECONDITION: PreconditionFailedError,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRangeError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhaustedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.INTERNAL: ServerFailedError,
    grpc.StatusCode.UNKNOWN: ServerFailedError,
    grpc.StatusCode.DATA_LOSS: ServerFailedError,
}


def broken_stream(reason: str, message: str) -> UnavailableError:
    """Returns the error for a stream that the client itself found to be broken."""
    return UnavailableError(message, code=grpc.StatusCode.UNAVAILABLE, reason=reason, domain=CLIENT_DOMAIN)


def call_error_from(error: grpc.aio.AioRpcError) -> CallError:
    """Returns the error of a failed call with what its details say, whoever made it."""
    code = error.code()
    info = error_details_pb2.ErrorInfo()
    violations: list[Violation] = []
    retry_after_seconds: float | None = None
    retry = error_details_pb2.RetryInfo()
    for detail in _details_of(error):
        # Unpack does nothing, and says so, when the detail is of another kind.
        with suppress(DecodeError):
            if detail.Unpack(retry):
                retry_after_seconds = duration_from(retry.retry_delay)
            elif not detail.Unpack(info):
                violations.extend(_violations_of(detail))
    return _BY_CODE.get(code, CallError)(
        error.details() or "the call failed",
        code=code,
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        violations=tuple(violations),
        retry_after_seconds=retry_after_seconds,
    )


def _details_of(error: grpc.aio.AioRpcError) -> tuple[AnyMessage, ...]:
    # Its stub knows neither google.rpc nor that it takes errors of grpc.aio.
    untyped = rpc_status.from_call  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    from_call = cast("Callable[[object], status_pb2.Status | None]", untyped)
    try:
        status = from_call(error)
    except (ValueError, DecodeError):
        # A proxy replaced the status and left the trailers: what they tell is not about this status.
        return ()
    return tuple(status.details) if status is not None else ()


def _violations_of(detail: AnyMessage) -> Iterator[Violation]:
    bad_request = error_details_pb2.BadRequest()
    quota_failure = error_details_pb2.QuotaFailure()
    precondition_failure = error_details_pb2.PreconditionFailure()
    if detail.Unpack(bad_request):
        for field in bad_request.field_violations:
            yield Violation(path=field.field, rule=field.reason, message=field.description)
    elif detail.Unpack(quota_failure):
        for quota in quota_failure.violations:
            yield Violation(path=quota.subject, rule=quota.quota_id, message=quota.description)
    elif detail.Unpack(precondition_failure):
        for unmet in precondition_failure.violations:
            yield Violation(path=unmet.subject, rule=unmet.type, message=unmet.description)
