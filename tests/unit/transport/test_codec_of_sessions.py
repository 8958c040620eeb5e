"""What the codec makes of sessions and their messages, and of runs of hooks."""

import json
from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextContent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from musterd.domain.hook_run import HookPhase, HookRunState
from musterd.domain.hook_store import HookRun
from musterd.domain.session import Session, SessionEntry, SessionKey
from musterd.domain.task import ComponentKind, ComponentRef
from musterd.transport.codec.hook_runs import HOOK_RUN_STATE_FROM_WIRE, encode_hook_run
from musterd.transport.codec.sessions import (
    MESSAGE_MAX_BYTES,
    OMITTED_TEXT_MAX_BYTES,
    encode_entry,
    encode_message,
    encode_session,
    messages_of,
)
from musterd_client.v1 import component_pb2, event_pb2, hook_service_pb2, session_service_pb2

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
WIRE_MOMENT = Timestamp(seconds=1_767_323_045, nanos=678_901_000)
GREETER = ComponentRef(kind=ComponentKind.AGENT, id="greeter")


def an_entry(*messages: ModelMessage) -> SessionEntry:
    dumped = ModelMessagesTypeAdapter.dump_json(list(messages))
    return SessionEntry(position=3, task_id="t", create_time=MOMENT, messages_json=dumped, message_count=len(messages))


def test_a_session_is_sent_as_it_stands() -> None:
    """N1: whose it is is left out, for only its owner sees it."""
    key = SessionKey(tenant_id="acme", user_id="ada", session_id="s", component=GREETER)
    session = Session(
        key=key,
        create_time=MOMENT,
        update_time=MOMENT,
        run_count=2,
        message_count=4,
        size_bytes=99,
        live_task_id="t",
    )
    assert encode_session(session) == session_service_pb2.Session(
        session_id="s",
        component=component_pb2.ComponentRef(kind=component_pb2.COMPONENT_KIND_AGENT, id="greeter"),
        create_time=WIRE_MOMENT,
        update_time=WIRE_MOMENT,
        run_count=2,
        message_count=4,
        size_bytes=99,
        live_task_id="t",
    )


def test_messages_are_sent_with_what_was_said() -> None:
    """N1: instructions, thinking and tools are not what somebody says."""
    picture = BinaryContent(data=b"\x89PNG", media_type="image/png")
    entry = an_entry(
        ModelRequest(
            parts=[SystemPromptPart(content="be kind"), UserPromptPart(content="Hé"), UserPromptPart(content="?")]
        ),
        ModelResponse(parts=[ThinkingPart(content="Hm."), TextPart(content="Look: "), ToolCallPart("look", {})]),
        ModelRequest(parts=[ToolReturnPart("look", "a cat", "c-1")]),
        ModelRequest(parts=[UserPromptPart(content=["See", picture, TextContent("this")])]),
    )

    sent = encode_entry(entry)
    messages = [encode_message(message) for message in messages_of(entry)]

    assert (sent.position, sent.task_id, sent.create_time) == (3, "t", WIRE_MOMENT)
    assert [(each.role, each.text) for each in messages] == [
        (session_service_pb2.MESSAGE_ROLE_REQUEST, "Hé\n?"),
        (session_service_pb2.MESSAGE_ROLE_RESPONSE, "Look: "),
        (session_service_pb2.MESSAGE_ROLE_REQUEST, ""),
        (session_service_pb2.MESSAGE_ROLE_REQUEST, "See\nthis"),
    ]


def test_a_message_is_whole_in_the_form_of_pydantic_ai() -> None:
    """N1."""
    said = ModelResponse(parts=[TextPart(content="Hé"), ToolCallPart("look", {"at": "it"})], model_name="m")

    (sent,) = map(encode_message, messages_of(an_entry(said)))

    assert ModelMessagesTypeAdapter.validate_python([json.loads(sent.message_json)]) == [said]
    assert "Hé" in sent.message_json
    assert sent.omitted_bytes == 0


def test_a_message_that_is_too_large_is_left_out_but_for_its_text() -> None:
    """N1: at the limit it is whole; its text counts too."""

    def asking(more: int) -> SessionEntry:
        parts = [UserPromptPart(content="Hé", timestamp=MOMENT), SystemPromptPart(content="x" * more, timestamp=MOMENT)]
        return an_entry(ModelRequest(parts=parts))

    (small,) = map(encode_message, messages_of(asking(0)))
    room = MESSAGE_MAX_BYTES - len(small.text.encode()) - len(small.message_json.encode())
    sizes: list[tuple[int, str, int]] = []
    for more in (room, room + 1):
        (sent,) = map(encode_message, messages_of(asking(more)))
        sizes.append((len(sent.message_json.encode()), sent.text, sent.omitted_bytes))
    whole = MESSAGE_MAX_BYTES - len("Hé".encode())
    assert sizes == [(whole, "Hé", 0), (0, "Hé", whole + 1)]


def test_of_a_large_message_the_beginning_of_its_text_is_left() -> None:
    """N1: in whole characters."""
    said = ModelResponse(parts=[TextPart(content="x" + "é" * MESSAGE_MAX_BYTES)])

    (sent,) = map(encode_message, messages_of(an_entry(said)))

    assert sent.text == "x" + "é" * (OMITTED_TEXT_MAX_BYTES // 2 - 1)
    assert sent.omitted_bytes > MESSAGE_MAX_BYTES * 2


def test_a_run_of_a_hook_is_sent_as_it_stands() -> None:
    """H4."""
    run = HookRun(
        hook_run_id="h",
        task_id="t",
        phase=HookPhase.POST,
        position=1,
        name="audit",
        state=HookRunState.DEAD,
        attempts=3,
        error="no disk",
        create_time=MOMENT,
        update_time=MOMENT,
    )
    assert encode_hook_run(run) == hook_service_pb2.HookRun(
        hook_run_id="h",
        task_id="t",
        name="audit",
        phase=event_pb2.HOOK_PHASE_POST,
        state=hook_service_pb2.HOOK_RUN_STATE_DEAD,
        attempts=3,
        error="no disk",
        create_time=WIRE_MOMENT,
        update_time=WIRE_MOMENT,
    )


@pytest.mark.parametrize("state", HookRunState)
def test_every_state_of_a_run_of_a_hook_has_its_place_on_the_wire(state: HookRunState) -> None:
    """H4."""
    number = hook_service_pb2.HookRunState.Value(f"HOOK_RUN_STATE_{state.name}")
    assert HOOK_RUN_STATE_FROM_WIRE[number] is state
    assert HOOK_RUN_STATE_FROM_WIRE.keys() | {0} == set(hook_service_pb2.HookRunState.values())
