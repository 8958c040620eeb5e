"""What a person is asked about an approval or a question."""

from collections.abc import Sequence
from typing import cast

from musterd.cli.given import parse_json
from musterd.cli.rendering import what_waits
from musterd.cli.terminal import Terminal
from musterd_client import Approval, ApprovalKind, Resolution

APPROVE, DENY, EDIT, RESULT, LATER = "y", "n", "e", "r", "l"

_WORDS = {
    APPROVE: "[y]es",
    DENY: "[n]o",
    EDIT: "[e]dit the arguments",
    RESULT: "give a [r]esult",
    LATER: "[l]ater",
}
_QUESTIONS = {
    ApprovalKind.TOOL: ("May it run?", (APPROVE, DENY, EDIT, LATER)),
    ApprovalKind.EXTERNAL: ("It is done outside. What came of it?", (RESULT, DENY, LATER)),
    ApprovalKind.REVIEW: ("Is this right?", (APPROVE, DENY, RESULT, LATER)),
    ApprovalKind.UNKNOWN: ("Do you agree?", (APPROVE, DENY, LATER)),
}


async def ask_for_resolution(terminal: Terminal, approval: Approval) -> Resolution | None:
    """Return what is decided about the approval; None when it is left for later.

    Raises EOFError when nobody will type any more.
    """
    question, choices = _QUESTIONS[approval.kind]
    words = ", ".join(_WORDS[each] for each in choices)
    terminal.tell(what_waits(approval))
    match await _choose(terminal, f"{question} {words}:", choices):
        case "y":
            return Resolution.approve(approval.approval_id)
        case "n":
            reason = await terminal.ask("Why not? (may be empty)")
            return Resolution.deny(approval.approval_id, reason=reason)
        case "e":
            return Resolution.approve(approval.approval_id, arguments=await _json_object(terminal))
        case "r":
            return Resolution.give(await _json(terminal, "The result, as JSON:"), approval.approval_id)
        case _:
            return None


async def ask_for_answer(terminal: Terminal, text: str) -> str:
    """Return the answer to a question; nothing when it is left for later.

    Raises EOFError when nobody will type any more.
    """
    terminal.tell(text)
    return await terminal.ask("Your answer (none: later):")


async def _choose(terminal: Terminal, prompt: str, choices: Sequence[str]) -> str:
    """Return one of the choices, however long the word is that was typed for it."""
    while (choice := (await terminal.ask(prompt))[:1].lower()) not in choices:
        terminal.tell(f"Type one of {', '.join(choices)}.")
    return choice


async def _json_object(terminal: Terminal) -> dict[str, object]:
    while not isinstance(value := await _json(terminal, "The arguments, as a JSON object:"), dict):
        terminal.tell("That is not a JSON object.")
    return cast("dict[str, object]", value)


async def _json(terminal: Terminal, prompt: str) -> object:
    while True:
        try:
            return parse_json(await terminal.ask(prompt))
        except ValueError as error:
            terminal.tell(f"That is not JSON: {error}.")
