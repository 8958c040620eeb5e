"""What a task may only do once somebody outside has agreed to it, or has done it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from musterd.domain.ports import Lost, RequestKey
from musterd.domain.principal import Identity, Viewer
from musterd.domain.task import Approval, ApprovalKind, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApproval:
    """An approval that a task asks for. `text` says to people what it is about; `step` is the model request."""

    approval_id: str
    kind: ApprovalKind
    step: int = 0
    tool_call_id: str = ""
    tool_name: str = ""
    arguments_json: str = ""
    text: str = ""


class Verdict(StrEnum):
    """What somebody decided: to let it happen, not to, or that it is done and this is what came of it."""

    APPROVE = "approve"
    DENY = "deny"
    RESULT = "result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """A decision about one approval.

    `arguments_json` replaces the arguments when the verdict is APPROVE; empty leaves them. `result_json` is what an
    external tool gave, or what a reviewed step is to give instead.
    """

    approval_id: str
    verdict: Verdict
    reason: str = ""
    arguments_json: str = ""
    result_json: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """The fresh identity of the owner who decides, for tasks whose own is older than `before`."""

    identity: Identity
    before: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What resolving did: the task as it stands, and the ids of the tasks that have something decided."""

    task: Task
    decided_task_ids: tuple[str, ...]


class ApprovalStore(Protocol):
    """The durable truth about approvals. Refusals are MusterdErrors, as those of the Store."""

    async def request_approvals(
        self, task_id: str, attempt: int, new: Sequence[NewApproval], *, seconds: float
    ) -> Sequence[Approval] | Lost:
        """Store approvals that are open for so long, and set the task to INPUT_REQUIRED; fenced like a write.

        Those that are there are left as they stand, and only new ones are told of. Returns them in the order given.
        """
        ...

    async def get_approvals(self, approval_ids: Sequence[str]) -> Sequence[Approval]:
        """Return approvals as they stand, in the order of the ids. Raises LookupError for one that is not there."""
        ...

    async def expire_approvals(self, task_id: str, attempt: int) -> Sequence[Approval] | Lost:
        """Close the approvals of a task whose time is over, and return those that were closed now."""
        ...

    async def resolve(
        self,
        viewer: Viewer,
        task_id: str,
        resolutions: Sequence[Resolution],
        *,
        user_id: str,
        renewal: Renewal | None = None,
        request: RequestKey | None,
    ) -> Resolved:
        """Decide about open approvals of a task or of any below it, all or none.

        A task without any that is open is WORKING again, and one that is parked may be claimed, as may those above it
        that are parked for its sake. With a `renewal` those that nobody runs go on under it, where theirs is too old.
        The same decision once more changes nothing. An empty
        `approval_id` means the only one that is open. Raises TASK_NOT_FOUND, APPROVAL_NOT_FOUND, APPROVAL_CONFLICT (it
        was decided otherwise, or its time is over), TASK_NOT_WAITING (the id is empty, and none is open),
        INVALID_ARGUMENT (the verdict does not fit the kind, arguments or result are not JSON, or the id is empty, and
        several are open).
        """
        ...

    async def park(
        self, task_id: str, attempt: int, *, awaited: Collection[str] = (), number: int | None = None
    ) -> bool | Lost:
        """Give up a task that waits for approvals alone, its own or those of the tasks below it; fenced like a write.

        Nobody owns it then, and none may claim it before no approval of its own is open, the first one's time is over,
        or a task below it may be claimed or has ended. Returns False, and leaves the task as it is, when it has an
        open question, a child that has neither ended nor is parked, or nothing at all to wait for; when one of the
        approvals and children that its holder says are `awaited` is over by now; or when there was a write after the
        one that its holder knows as the last, `number`.
        """
        ...
