"""The values of approvals: what waits for somebody's decision, and the decisions, as frozen dataclasses."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self


class ApprovalKind(StrEnum):
    """What an approval is about: a call of a tool, a call that somebody outside does, or a step of a workflow."""

    UNKNOWN = "UNKNOWN"
    TOOL = "TOOL"
    EXTERNAL = "EXTERNAL"
    REVIEW = "REVIEW"


class ApprovalState(StrEnum):
    """What became of an approval. RESOLVED means that somebody gave the result."""

    UNKNOWN = "UNKNOWN"
    OPEN = "OPEN"
    APPROVED = "APPROVED"
    DENIED = "DENIED"
    RESOLVED = "RESOLVED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Something that a task may do only when somebody agrees, or that somebody else must do; `tasks.resolve` decides.

    `task_id` is the task that waits, which may be any below the one that has been asked about. `tool_name` is the tool,
    or the step that is reviewed; `arguments_json` are the call's arguments, or the output that is reviewed. After
    `expire_time` the task goes on as if it were denied.
    """

    approval_id: str
    task_id: str
    kind: ApprovalKind
    state: ApprovalState = ApprovalState.OPEN
    step: int = 0
    tool_call_id: str = ""
    tool_name: str = ""
    arguments_json: str = ""
    text: str = ""
    create_time: datetime | None = None
    expire_time: datetime | None = None


class Verdict(StrEnum):
    """What somebody decides: let it happen, do not, or it is done and this is the result."""

    APPROVE = "APPROVE"
    DENY = "DENY"
    RESULT = "RESULT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """A decision about one approval: `Resolution.approve()`, `Resolution.deny()` or `Resolution.give(result)`.

    Without an `approval_id` it is about the only one that is open.
    """

    approval_id: str = ""
    verdict: Verdict
    reason: str = ""
    arguments_json: str = ""
    result_json: str = ""

    @classmethod
    def approve(cls, approval_id: str = "", *, arguments: Mapping[str, object] | None = None, reason: str = "") -> Self:
        """Lets it happen. `arguments`, a JSON object, replace those of the tool's call.

        Raises:
            TypeError, ValueError: `arguments` are no JSON.
        """
        arguments_json = "" if arguments is None else json.dumps(arguments, ensure_ascii=False, allow_nan=False)
        return cls(approval_id=approval_id, verdict=Verdict.APPROVE, reason=reason, arguments_json=arguments_json)

    @classmethod
    def deny(cls, approval_id: str = "", *, reason: str = "") -> Self:
        """Does not let it happen. The reason is for the model and for the log."""
        return cls(approval_id=approval_id, verdict=Verdict.DENY, reason=reason)

    @classmethod
    def give(cls, result: object, approval_id: str = "", *, reason: str = "") -> Self:
        """Says that it is done, and gives its result, which must be JSON.

        Raises:
            TypeError, ValueError: the result is no JSON.
        """
        result_json = json.dumps(result, ensure_ascii=False, allow_nan=False)
        return cls(approval_id=approval_id, verdict=Verdict.RESULT, reason=reason, result_json=result_json)
