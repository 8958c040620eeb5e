"""What a hook raises to stop the run."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from musterd.domain.errors import Reason


class CheckError(Exception):
    """Raised by a hook: the run fails with the message as it stands, which the caller reads.

    `check_trigger` names what was found, as a word for programs: it is the cause of the failed task. `additional_data`
    is told with the event of the hook's failure, as JSON.
    """

    reason: ClassVar[Reason | None] = None
    default_trigger: ClassVar[str] = "NOT_ALLOWED"

    # Also for a subclass that has a way of its own to be made: a check must not fail to stop the run.
    message: str = ""
    check_trigger: str = ""
    additional_data: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, message: str, check_trigger: str = "", additional_data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.check_trigger = str(check_trigger) or self.default_trigger
        if additional_data is not None:
            self.additional_data = additional_data


class InputCheckError(CheckError):
    """Raise this in a pre-hook to refuse the input: the task fails with INPUT_CHECK_FAILED."""

    reason = Reason.INPUT_CHECK_FAILED
    default_trigger = "INPUT_NOT_ALLOWED"


class OutputCheckError(CheckError):
    """Raise this in a post-hook to refuse the output: the task fails with OUTPUT_CHECK_FAILED."""

    reason = Reason.OUTPUT_CHECK_FAILED
    default_trigger = "OUTPUT_NOT_ALLOWED"
