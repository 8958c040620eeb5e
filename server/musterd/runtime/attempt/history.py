"""What a run takes from its session, and what it adds."""

import hashlib
from collections.abc import Sequence

from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    UserPromptPart,
    repair_messages,
)

from musterd.domain.session import HistoryWrite, SessionEntry, SessionKey
from musterd.domain.task import ComponentKind, Output, Task
from musterd.runtime.attempt.scope import RunScope
from musterd.runtime.components.prompt import prompt_of


def session_of(task: Task) -> SessionKey | None:
    """Return the session that a task is a run of; None when it is no root, or has none."""
    if task.parent_task_id or not task.session_id:
        return None
    return SessionKey(
        tenant_id=task.tenant_id, user_id=task.user_id, session_id=task.session_id, component=task.component
    )


def load_messages(entries: Sequence[SessionEntry]) -> list[ModelMessage]:
    """Return the messages of a session, in the shape in which an agent takes them up."""
    messages = [message for entry in entries for message in ModelMessagesTypeAdapter.validate_json(entry.messages_json)]
    # An agent merges requests that follow each other: with this done, it leaves what it is given as it is.
    return repair_messages(messages, repair_last_response=False)


def history_of(scope: RunScope, output: Output | None) -> HistoryWrite | None:
    """Return what a run that has completed adds to its session; None when it has none.

    A run whose messages do not begin with those that it was given, as they were then, has made them shorter or changed
    them: its own stand for all.
    """
    if session_of(scope.task) is None:
        return None
    if scope.task.component.kind is ComponentKind.WORKFLOW:
        return _write(_exchange(scope, output), replaces=False)
    given_count, now = len(scope.history), scope.conversation
    if digest_of(now[:given_count]) == scope.history_digest:
        return _write(now[given_count:], replaces=False)
    return _write(now, replaces=True)


def digest_of(messages: list[ModelMessage]) -> bytes:
    """Return what tells messages apart, also from what became of the same objects later."""
    return hashlib.sha256(ModelMessagesTypeAdapter.dump_json(messages)).digest()


def _exchange(scope: RunScope, output: Output | None) -> list[ModelMessage]:
    """Return what a workflow was asked and what came of it: itself it talks to no model."""
    prompt = prompt_of(scope.spec)
    asked = UserPromptPart(prompt if prompt is not None else scope.spec.factory_input_json)
    return [
        ModelRequest(parts=[asked]),
        ModelResponse(parts=[TextPart(output.text if output is not None else "")]),
    ]


def _write(messages: list[ModelMessage], *, replaces: bool) -> HistoryWrite:
    dumped = ModelMessagesTypeAdapter.dump_json(messages)
    return HistoryWrite(messages_json=dumped, message_count=len(messages), replaces=replaces)
