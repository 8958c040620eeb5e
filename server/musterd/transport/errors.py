"""Maps domain errors to gRPC status with google.rpc details. The error page of the docs is made from this table."""

from collections.abc import Mapping
from typing import Any, cast

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details_pb2  # pyright: ignore[reportMissingTypeStubs] - it has none
from google.rpc.status_pb2 import Status  # pyright: ignore[reportMissingTypeStubs] - it has none
from grpc_status import rpc_status

from musterd.domain.errors import MusterdError, Reason
from musterd.runtime.failures import unforeseen

DOMAIN = "musterd"

RESOURCES = ("member", "approval_id", "hook_run_id", "session_id", "component_id", "task_id")
"""What the metadata calls that which was not found, the most specific first."""

TEXT_MAX_BYTES = 768
FIELD_TEXT_MAX_BYTES = 256
VIOLATIONS_MAX_BYTES = 2_048
"""Trailers of more than 8 KiB may be dropped on the way, and the whole status with them: what is longer is cut."""

STATUS_OF: Mapping[Reason, grpc.StatusCode] = {
    Reason.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_INPUT: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.PAGE_TOKEN_INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.FACTORY_INVALID_INPUT: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.COMPONENT_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.TASK_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.MEMBER_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.SESSION_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.APPROVAL_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.HOOK_RUN_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.TOKEN_MISSING: grpc.StatusCode.UNAUTHENTICATED,
    Reason.TOKEN_INVALID: grpc.StatusCode.UNAUTHENTICATED,
    Reason.TOKEN_EXPIRED: grpc.StatusCode.UNAUTHENTICATED,
    Reason.SCOPE_MISSING: grpc.StatusCode.PERMISSION_DENIED,
    Reason.IDENTITY_MISMATCH: grpc.StatusCode.PERMISSION_DENIED,
    Reason.FACTORY_PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Reason.REQUEST_ID_REUSED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.TASK_NOT_CANCELABLE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.TASK_NOT_STEERABLE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.TASK_NOT_WAITING: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.BOARD_NOT_FOUND: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.TODO_REFUSED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.TEAM_ENDED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.SESSION_BUSY: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.SESSION_FULL: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.APPROVAL_CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.HOOK_RUN_NOT_RETRYABLE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.INPUT_CHECK_FAILED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.OUTPUT_CHECK_FAILED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.LOG_TRIMMED: grpc.StatusCode.OUT_OF_RANGE,
    Reason.CAPACITY_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.USAGE_LIMIT_EXCEEDED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.SLOW_READER: grpc.StatusCode.ABORTED,
    Reason.KEYS_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Reason.SHUTTING_DOWN: grpc.StatusCode.UNAVAILABLE,
    Reason.STORE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Reason.FACTORY_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    Reason.RUN_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    Reason.FACTORY_FAILED: grpc.StatusCode.INTERNAL,
    Reason.MODEL_FAILED: grpc.StatusCode.INTERNAL,
    Reason.MODEL_BEHAVIOR: grpc.StatusCode.INTERNAL,
    Reason.TOOL_FAILED: grpc.StatusCode.INTERNAL,
    Reason.MEMBERS_FAILED: grpc.StatusCode.INTERNAL,
    Reason.STEP_FAILED: grpc.StatusCode.INTERNAL,
    Reason.TASK_LOST: grpc.StatusCode.ABORTED,
    Reason.INTERNAL: grpc.StatusCode.INTERNAL,
}
"""Every reason has one status: a test demands it."""


def status_of(error: MusterdError) -> grpc.Status:
    """Return the status of a domain error: its code, its text, and exactly one ErrorInfo among its details."""
    code: tuple[int, str] = STATUS_OF[error.reason].value
    text = _cut(error.message, TEXT_MAX_BYTES)
    details = [_packed(detail) for detail in _details_of(error)]
    return cast("Any", rpc_status).to_status(Status(code=code[0], message=text, details=details))


def status_of_unforeseen(error: Exception, method: str) -> grpc.Status:
    """Log an exception that nobody foresaw, and return a status that names its entry in the log and no more."""
    return status_of(unforeseen(Reason.INTERNAL, "the call failed unexpectedly", error, method=method))


def _details_of(error: MusterdError) -> list[Message]:
    violations = _violations_of(error)
    metadata = dict(error.metadata)
    if omitted := len(error.violations) - len(violations):
        metadata["omitted_violations"] = str(omitted)
    description = _cut(error.message, FIELD_TEXT_MAX_BYTES)
    details: list[Message] = [details_pb2.ErrorInfo(reason=error.reason.value, domain=DOMAIN, metadata=metadata)]
    if violations:
        details.append(details_pb2.BadRequest(field_violations=violations))
    if error.retry_after_seconds is not None:
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after_seconds * 1e9))
        details.append(details_pb2.RetryInfo(retry_delay=delay))
    if error.quota is not None:
        violation = details_pb2.QuotaFailure.Violation(subject=error.quota, description=description)
        details.append(details_pb2.QuotaFailure(violations=[violation]))
    if STATUS_OF[error.reason] is grpc.StatusCode.FAILED_PRECONDITION:
        violation = details_pb2.PreconditionFailure.Violation(
            type=error.reason.value, subject=error.metadata.get("task_id", ""), description=description
        )
        details.append(details_pb2.PreconditionFailure(violations=[violation]))
    if STATUS_OF[error.reason] is grpc.StatusCode.NOT_FOUND:
        name = next((error.metadata[key] for key in RESOURCES if key in error.metadata), "")
        details.append(details_pb2.ResourceInfo(resource_name=name, description=description))
    return details


def _violations_of(error: MusterdError) -> list[details_pb2.BadRequest.FieldViolation]:
    """Return as many of the violations as there is room for, at least one if there is any."""
    violations: list[details_pb2.BadRequest.FieldViolation] = []
    size = 0
    for each in error.violations:
        violation = details_pb2.BadRequest.FieldViolation(
            field=_cut(each.path, FIELD_TEXT_MAX_BYTES),
            reason=each.rule,
            description=_cut(each.message, FIELD_TEXT_MAX_BYTES),
        )
        size += violation.ByteSize()
        if violations and size > VIOLATIONS_MAX_BYTES:
            break
        violations.append(violation)
    return violations


def _cut(text: str, most_bytes: int) -> str:
    """Return a text that fits, and that protobuf takes."""
    data = text.encode(errors="replace")
    return data.decode() if len(data) <= most_bytes else data[: most_bytes - 3].decode(errors="ignore") + "…"


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
