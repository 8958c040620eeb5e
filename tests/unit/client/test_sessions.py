import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tests.unit.client.messages import GREETER, TASK_ID
from tests.unit.client.scripted import Refusal, ScriptedServer

from musterd_client import ComponentKind, MessageRole, MusterdClient, NotFoundError, PreconditionFailedError
from musterd_client.v1 import component_pb2
from musterd_client.v1.session_service_pb2 import (
    DeleteSessionResponse,
    GetSessionResponse,
    ListSessionsResponse,
    Session,
    SessionEntry,
    SessionMessage,
)

SESSION = Session(
    session_id="s",
    component=GREETER,
    create_time=Timestamp(seconds=1_800_000_000),
    run_count=2,
    message_count=4,
    size_bytes=99,
    live_task_id=TASK_ID,
)


async def test_sessions_are_listed_with_the_same_filters_over_all_pages(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """N1."""
    server.will("ListSessions", ListSessionsResponse(sessions=[SESSION], next_page_token="more"))
    server.will("ListSessions", ListSessionsResponse(sessions=[Session(session_id="t")]))

    sessions = [each async for each in client.sessions.list(team_id="writers", session_id="x", page_size=1)]

    assert [(each.session_id, each.run_count, each.live_task_id) for each in sessions] == [
        ("s", 2, TASK_ID),
        ("t", 0, ""),
    ]
    assert sessions[0].component.kind is ComponentKind.AGENT
    requests = server.requests("ListSessions")
    assert [(each.page_token, each.session_id) for each in requests] == [("", "x"), ("more", "x")]
    assert {(each.component.id, each.component.kind) for each in requests} == {
        ("writers", component_pb2.COMPONENT_KIND_TEAM)
    }


async def test_a_session_is_shown_as_it_stands(server: ScriptedServer, client: MusterdClient) -> None:
    """N1."""
    server.will("GetSession", GetSessionResponse(session=SESSION))

    session = await client.sessions.get("s")

    assert session.create_time is not None
    assert (session.message_count, session.size_bytes, session.create_time.year) == (4, 99, 2027)
    (request,) = server.requests("GetSession")
    assert (request.session_id, request.HasField("component")) == ("s", False)


async def test_what_was_said_comes_over_all_pages(server: ScriptedServer, client: MusterdClient) -> None:
    """N1."""
    asked = SessionMessage(role="MESSAGE_ROLE_REQUEST", text="Hi", message_json="{}")
    said = SessionMessage(role="MESSAGE_ROLE_RESPONSE", text="Hello")
    first = SessionEntry(position=1, task_id=TASK_ID, messages=[asked, said])
    server.will("GetSession", GetSessionResponse(session=SESSION, entries=[first], next_page_token="more"))
    server.will("GetSession", GetSessionResponse(session=SESSION, entries=[SessionEntry(position=2)]))

    entries = [each async for each in client.sessions.entries("s", agent_id="greeter")]

    assert [(each.position, each.task_id) for each in entries] == [(1, TASK_ID), (2, "")]
    assert [(each.role, each.text) for each in entries[0].messages] == [
        (MessageRole.REQUEST, "Hi"),
        (MessageRole.RESPONSE, "Hello"),
    ]
    assert [request.page_token for request in server.requests("GetSession")] == ["", "more"]


async def test_an_entry_that_comes_in_parts_is_put_together(server: ScriptedServer, client: MusterdClient) -> None:
    """N1: over as many pages as it takes."""

    def part(position: int, *texts: str) -> SessionEntry:
        messages = [SessionMessage(role="MESSAGE_ROLE_REQUEST", text=text) for text in texts]
        return SessionEntry(position=position, task_id=TASK_ID, messages=messages)

    server.will("GetSession", GetSessionResponse(entries=[part(1, "a"), part(2, "b")], next_page_token="more"))
    server.will("GetSession", GetSessionResponse(entries=[part(2, "c")], next_page_token="most"))
    server.will("GetSession", GetSessionResponse(entries=[part(2, "d"), part(3, "e")]))

    entries = [each async for each in client.sessions.entries("s", user_id="ada")]

    said = [(each.position, [message.text for message in each.messages]) for each in entries]
    assert said == [(1, ["a"]), (2, ["b", "c", "d"]), (3, ["e"])]
    assert {request.user_id for request in server.requests("GetSession")} == {"ada"}


async def test_a_session_of_somebody_else_is_not_there(server: ScriptedServer, client: MusterdClient) -> None:
    """N1, I5 (refusal)."""
    server.will("GetSession", Refusal(code=grpc.StatusCode.NOT_FOUND, reason="SESSION_NOT_FOUND"))

    with pytest.raises(NotFoundError, match="SESSION_NOT_FOUND"):
        await client.sessions.get("s")


async def test_deleting_says_whether_to_cancel_and_is_repeated_when_nobody_answers(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """N1, R8."""
    server.will("DeleteSession", Refusal())
    server.will("DeleteSession", DeleteSessionResponse())

    await client.sessions.delete("s", workflow_id="poems", cancel_live_runs=True)

    first, second = server.requests("DeleteSession")
    assert first == second
    assert (first.session_id, first.component.id, first.cancel_live_runs) == ("s", "poems", True)


async def test_a_session_with_a_live_run_is_not_deleted(server: ScriptedServer, client: MusterdClient) -> None:
    """N1: and the caller hears which run it is."""
    code = grpc.StatusCode.FAILED_PRECONDITION
    server.will("DeleteSession", Refusal(code=code, reason="SESSION_BUSY", metadata={"task_id": TASK_ID}))

    with pytest.raises(PreconditionFailedError) as caught:
        await client.sessions.delete("s")
    assert (caught.value.reason, caught.value.metadata["task_id"]) == ("SESSION_BUSY", TASK_ID)
