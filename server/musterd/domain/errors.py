"""The one error type of the domain, and every reason that it can have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Reason(StrEnum):
    """Why a call is refused or a task fails. Equal to the contract's ErrorReason without its prefix."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    INVALID_INPUT = "INVALID_INPUT"
    COMPONENT_NOT_FOUND = "COMPONENT_NOT_FOUND"
    TASK_NOT_FOUND = "TASK_NOT_FOUND"
    TOKEN_MISSING = "TOKEN_MISSING"
    TOKEN_INVALID = "TOKEN_INVALID"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"
    KEYS_UNAVAILABLE = "KEYS_UNAVAILABLE"
    SCOPE_MISSING = "SCOPE_MISSING"
    IDENTITY_MISMATCH = "IDENTITY_MISMATCH"
    FACTORY_PERMISSION_DENIED = "FACTORY_PERMISSION_DENIED"
    FACTORY_INVALID_INPUT = "FACTORY_INVALID_INPUT"
    FACTORY_FAILED = "FACTORY_FAILED"
    FACTORY_TIMEOUT = "FACTORY_TIMEOUT"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    TASK_NOT_CANCELABLE = "TASK_NOT_CANCELABLE"
    TASK_NOT_STEERABLE = "TASK_NOT_STEERABLE"
    TASK_NOT_WAITING = "TASK_NOT_WAITING"
    BOARD_NOT_FOUND = "BOARD_NOT_FOUND"
    TODO_REFUSED = "TODO_REFUSED"
    MEMBER_NOT_FOUND = "MEMBER_NOT_FOUND"
    TEAM_ENDED = "TEAM_ENDED"
    PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"
    LOG_TRIMMED = "LOG_TRIMMED"
    SLOW_READER = "SLOW_READER"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    CAPACITY_EXHAUSTED = "CAPACITY_EXHAUSTED"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    USAGE_LIMIT_EXCEEDED = "USAGE_LIMIT_EXCEEDED"
    RUN_TIMEOUT = "RUN_TIMEOUT"
    MODEL_FAILED = "MODEL_FAILED"
    MODEL_BEHAVIOR = "MODEL_BEHAVIOR"
    TASK_LOST = "TASK_LOST"
    INTERNAL = "INTERNAL"
    TOOL_FAILED = "TOOL_FAILED"
    MEMBERS_FAILED = "MEMBERS_FAILED"
    SESSION_BUSY = "SESSION_BUSY"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    SESSION_FULL = "SESSION_FULL"
    APPROVAL_NOT_FOUND = "APPROVAL_NOT_FOUND"
    APPROVAL_CONFLICT = "APPROVAL_CONFLICT"
    INPUT_CHECK_FAILED = "INPUT_CHECK_FAILED"
    OUTPUT_CHECK_FAILED = "OUTPUT_CHECK_FAILED"
    HOOK_RUN_NOT_FOUND = "HOOK_RUN_NOT_FOUND"
    HOOK_RUN_NOT_RETRYABLE = "HOOK_RUN_NOT_RETRYABLE"
    STEP_FAILED = "STEP_FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldViolation:
    """One field of a request that is not as it must be."""

    path: str
    rule: str
    message: str


@dataclass(slots=True, kw_only=True)
class MusterdError(Exception):
    """A refusal or failure whose text is fit for the caller.

    `reason` is the machine-readable cause; `message` says what to change. `metadata` goes into ErrorInfo, `violations`
    into BadRequest, `retry_after_seconds` into RetryInfo, `quota` (the limit's name) into QuotaFailure.
    """

    reason: Reason
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    violations: Sequence[FieldViolation] = ()
    retry_after_seconds: float | None = None
    quota: str | None = None
    cause: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


def invalid_argument(path: str, rule: str, message: str) -> MusterdError:
    """Return the error for one malformed field of a request."""
    return MusterdError(
        reason=Reason.INVALID_ARGUMENT,
        message=f"{path}: {message}",
        violations=(FieldViolation(path=path, rule=rule, message=message),),
    )


def task_not_found(task_id: str) -> MusterdError:
    """Return the error for a task that is not there, or not for this caller: the two must look alike."""
    return MusterdError(
        reason=Reason.TASK_NOT_FOUND, message=f"no task {task_id!r} is visible to you", metadata={"task_id": task_id}
    )
