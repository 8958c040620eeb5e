"""ListSessions, GetSession and DeleteSession: what they show, and to whom."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from pydantic_ai import Agent
from tests.support.gated_model import Gate, saying, stopping
from tests.support.stage import Stage, at, do, task
from tests.support.tokens import AUTH, USER_SCOPES, token
from tests.support.trees import only_child_of
from tests.support.turns import Call, taking
from tests.support.wire import Answer, Wire, wire_to

from musterd import Musterd
from musterd.testing import serve
from musterd.transport.codec.sessions import MESSAGE_MAX_BYTES
from musterd.transport.sessions import PAGE_MAX_BYTES
from musterd_client import (
    ComponentKind,
    DataPart,
    InvalidArgumentError,
    MusterdClient,
    NotFoundError,
    PreconditionFailedError,
    Session,
    TaskState,
)
from musterd_client.v1.component_pb2 import COMPONENT_KIND_AGENT, COMPONENT_KIND_MEMBER, ComponentRef

ID = "s-1"
SESSION_SCOPES = f"{USER_SCOPES} sessions:read sessions:delete"
OWNER = token("ada", scopes=SESSION_SCOPES)
NOBODY = ("GetSession", "DeleteSession")
STRANGERS = {
    "another user": token("bob", scopes=SESSION_SCOPES),
    "the same name in another tenant": token("ada", tenant="umbrella", scopes=SESSION_SCOPES),
    "an administrator": token("root", scopes="musterd:admin"),
    "one who may impersonate": token("service", scopes=f"{SESSION_SCOPES} musterd:impersonate"),
    "one who approves": token("carl", scopes=f"{SESSION_SCOPES} tasks:approve"),
}


def talker(name: str = "parrot", text: str = "hello") -> Agent[None, str]:
    return Agent(saying(text), name=name)


async def say(client: MusterdClient, text: str = "hi", name: str = "parrot", session_id: str = ID) -> None:
    await client.run_agent(name, text, session_id=session_id).result()


async def all_of(sessions: AsyncIterator[Session]) -> Sequence[Session]:
    return [session async for session in sessions]


def names(sessions: Sequence[Session]) -> Sequence[tuple[str, str]]:
    return [(session.session_id, session.component.id) for session in sessions]


async def test_sessions_are_listed_latest_first() -> None:
    """N1: page after page, and by id and component."""
    async with serve(Musterd(agents=[talker(), talker("owl")])) as client:
        for number in range(5):
            await say(client, session_id=f"s-{number}")
        await say(client, name="owl", session_id="s-3")
        await say(client, session_id="s-0")
        everything = names(await all_of(client.sessions.list()))
        pages = names(await all_of(client.sessions.list(page_size=2)))
        by_id = names(await all_of(client.sessions.list(session_id="s-3")))
        by_component = names(await all_of(client.sessions.list(agent_id="owl")))
    parrot = [(f"s-{number}", "parrot") for number in range(5)]
    assert everything == [parrot[0], ("s-3", "owl"), *reversed(parrot[1:])]
    assert pages == everything
    assert by_id == [("s-3", "owl"), ("s-3", "parrot")]
    assert by_component == [("s-3", "owl")]


async def test_an_id_of_several_components_needs_the_component() -> None:
    """N1 (refusal): the error names them."""
    async with serve(Musterd(agents=[talker(), talker("owl")])) as client:
        await say(client)
        assert (await client.sessions.get(ID)).component.id == "parrot"
        await say(client, name="owl")
        with pytest.raises(InvalidArgumentError) as refused:
            await client.sessions.get(ID)
        with pytest.raises(InvalidArgumentError):
            await client.sessions.delete(ID)
        chosen = await client.sessions.get(ID, agent_id="owl")
        with pytest.raises(NotFoundError):
            await client.sessions.get(ID, team_id="owl")
        await client.sessions.delete(ID, agent_id="owl")
        assert (await client.sessions.get(ID)).component.id == "parrot"
    assert "agent 'owl', agent 'parrot'" in str(refused.value)
    assert [violation.path for violation in refused.value.violations] == ["component"]
    assert (chosen.component.kind, chosen.component.id) == (ComponentKind.AGENT, "owl")


async def test_entries_come_in_pages() -> None:
    """N1: of so many, and no larger than a message should be."""
    large = "x" * (PAGE_MAX_BYTES // 4)
    async with serve(Musterd(agents=[talker(text=large), talker("owl")])) as client, wire_to(client.target) as wire:
        for _ in range(5):
            await say(client, name="owl")
            await say(client, name="parrot", session_id="large")
        first = await wire.call("GetSession", session_id=ID, page_size=3)
        second = await wire.call("GetSession", session_id=ID, page_size=3, page_token=first.next_page_token)
        fitting = await wire.call("GetSession", session_id="large")
        entries = [entry.position async for entry in client.sessions.entries("large")]
    assert [entry.position for entry in (*first.entries, *second.entries)] == [1, 2, 3, 4, 5]
    assert (len(first.entries), second.next_page_token) == (3, "")
    assert 0 < len(fitting.entries) < 5
    assert entries == [1, 2, 3, 4, 5]


def lecturer() -> Agent[None, str]:
    """Return an agent that calls a tool five times, each time with a large answer, and says so."""

    def recite() -> str:
        return "x" * (PAGE_MAX_BYTES // 2)

    call: Call = ("recite", {})
    return Agent(taking(*[call] * 5, "said"), name="parrot", tools=[recite])


async def test_an_entry_that_does_not_fit_a_page_goes_on_in_the_next() -> None:
    """N1: message by message, and as large as every client takes; the Python client puts it together."""
    async with serve(Musterd(agents=[lecturer()])) as client, wire_to(client.target) as wire:
        for _ in range(2):
            await say(client)
        pages = [await wire.call("GetSession", session_id=ID)]
        while pages[-1].next_page_token:
            token = pages[-1].next_page_token
            pages.append(await wire.call("GetSession", session_id=ID, page_token=token))
        whole = [entry async for entry in client.sessions.entries(ID)]
    parts = [(entry.position, len(entry.messages)) for page in pages for entry in page.entries]
    assert len(pages) > 4
    assert all(count > 0 for _, count in parts)
    assert max(page.ByteSize() for page in pages) <= PAGE_MAX_BYTES + 1_024
    assert {position: sum(count for at, count in parts if at == position) for position in (1, 2)} == {1: 12, 2: 2}
    assert [(entry.position, len(entry.messages)) for entry in whole] == [(1, 12), (2, 2)]
    sent = [message.message_json for page in pages for entry in page.entries for message in entry.messages]
    assert sent == [message.message_json for entry in whole for message in entry.messages]


async def test_a_message_that_no_page_takes_is_left_out() -> None:
    """N1: with its size; what comes before and after it is there."""
    large = DataPart(media_type="image/png", data=b"x" * MESSAGE_MAX_BYTES)
    async with serve(Musterd(agents=[talker()])) as client, wire_to(client.target) as wire:
        await client.run_agent("parrot", "look", parts=[large], session_id=ID).result()
        page = await wire.call("GetSession", session_id=ID)
        (entry,) = [entry async for entry in client.sessions.entries(ID)]
    assert page.ByteSize() < PAGE_MAX_BYTES
    asked, said = entry.messages
    assert (asked.text, asked.message_json, said.text, said.omitted_bytes) == ("look", "", "hello", 0)
    assert asked.omitted_bytes > MESSAGE_MAX_BYTES


async def test_without_authentication_a_request_says_whose_sessions_it_is_about() -> None:
    """I3, N1: like that of the run; those of nobody are other ones."""
    async with serve(Musterd(agents=[talker()])) as client:
        await client.run_agent("parrot", "hi", session_id=ID, user_id="ada").result()
        await say(client, session_id="s-2")
        assert names(await all_of(client.sessions.list(user_id="ada"))) == [(ID, "parrot")]
        assert names(await all_of(client.sessions.list())) == [("s-2", "parrot")]
        assert (await client.sessions.get(ID, user_id="ada")).run_count == 1
        assert [entry.position async for entry in client.sessions.entries(ID, user_id="ada")] == [1]
        for user_id in ("", "bob"):
            with pytest.raises(NotFoundError):
                await client.sessions.get(ID, user_id=user_id)
            with pytest.raises(NotFoundError):
                await client.sessions.delete(ID, user_id=user_id)
        await client.sessions.delete(ID, user_id="ada")
        assert names(await all_of(client.sessions.list(user_id="ada"))) == []


@pytest.mark.parametrize("name", ["ListSessions", *NOBODY])
async def test_a_token_is_good_for_the_sessions_of_its_user_alone(name: str) -> None:
    """I3, N1 (refusal): also that of an administrator, or of one who may impersonate."""
    async with wire_of(Musterd(agents=[talker()])) as wire:
        await wire.call("RunAgent", token=OWNER, agent_id="parrot", message="hi", session_id=ID)
        for stranger in STRANGERS.values():
            refused = await wire.refusal(name, token=stranger, session_id=ID, user_id="grace")
            assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "IDENTITY_MISMATCH")
        await wire.call(name, token=OWNER, session_id=ID, user_id="ada")


@asynccontextmanager
async def wire_of(app: Musterd) -> AsyncGenerator[Wire]:
    async with serve(app, auth=AUTH) as client, wire_to(client.target) as wire:
        yield wire


def shape(answer: Answer) -> tuple[grpc.StatusCode, str, str]:
    return answer.code, answer.reason, answer.text


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
async def test_a_session_of_others_looks_like_one_that_is_not_there(stranger: str) -> None:
    """N1, I5 (refusal): in every RPC, and nothing becomes of it."""
    async with wire_of(Musterd(agents=[talker()])) as wire:
        await wire.call("RunAgent", token=OWNER, agent_id="parrot", message="hi", session_id=ID)
        before = await wire.call("GetSession", token=OWNER, session_id=ID)
        component = ComponentRef(kind=COMPONENT_KIND_AGENT, id="parrot")
        for name in NOBODY:
            for more in ({}, {"component": component}):
                hidden = await wire.refusal(name, token=stranger, session_id=ID, **more)
                missing = await wire.refusal(name, token=stranger, session_id="s-2", **more)
                assert (hidden.code, hidden.reason) == (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")
                assert hidden.text.replace(ID, "s-2") == missing.text
        for filters in ({}, {"session_id": ID}, {"component": component}):
            assert not (await wire.call("ListSessions", token=stranger, **filters)).sessions
        assert await wire.call("GetSession", token=OWNER, session_id=ID) == before


@pytest.mark.parametrize(
    ("name", "scopes"),
    [("ListSessions", "sessions:delete"), ("GetSession", "tasks:read"), ("DeleteSession", "sessions:read")],
)
async def test_each_call_needs_its_scope(name: str, scopes: str) -> None:
    """I4 (refusal)."""
    async with wire_of(Musterd(agents=[talker()])) as wire:
        refused = await wire.refusal(name, token=token(scopes=scopes), session_id=ID)
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")


async def test_a_token_of_one_session_is_good_for_that_one_alone() -> None:
    """I2, I3: what the request leaves empty comes from the token; another one contradicts it."""
    bound = token("ada", scopes=SESSION_SCOPES, session_id=ID)
    async with wire_of(Musterd(agents=[talker()])) as wire:
        for session_id in (ID, "s-2"):
            await wire.call("RunAgent", token=OWNER, agent_id="parrot", message="hi", session_id=session_id)
        shown = (await wire.call("ListSessions", token=bound)).sessions
        assert [session.session_id for session in shown] == [ID]
        assert (await wire.call("GetSession", token=bound)).session.session_id == ID
        for name in ("ListSessions", *NOBODY):
            refused = await wire.refusal(name, token=bound, session_id="s-2")
            assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "IDENTITY_MISMATCH")


LONG = "x" * 129
BAD_COMPONENT: Message = ComponentRef(kind=COMPONENT_KIND_MEMBER, id="a")


@pytest.mark.parametrize(
    ("name", "fields", "path"),
    [
        ("ListSessions", {"session_id": LONG}, "session_id"),
        ("ListSessions", {"user_id": LONG}, "user_id"),
        ("ListSessions", {"page_size": 1_001}, "page_size"),
        ("ListSessions", {"page_size": -1}, "page_size"),
        ("ListSessions", {"page_token": "nonsense"}, "page_token"),
        ("ListSessions", {"component": ComponentRef(id="a")}, "component.kind"),
        ("ListSessions", {"component": BAD_COMPONENT}, "component.kind"),
        ("ListSessions", {"component": ComponentRef(kind=COMPONENT_KIND_AGENT)}, "component.id"),
        ("ListSessions", {"component": ComponentRef(kind=COMPONENT_KIND_AGENT, id=LONG)}, "component.id"),
        ("GetSession", {}, "session_id"),
        ("GetSession", {"session_id": LONG}, "session_id"),
        ("GetSession", {"session_id": ID, "page_size": 1_001}, "page_size"),
        ("GetSession", {"session_id": ID, "page_token": "nonsense"}, "page_token"),
        ("GetSession", {"session_id": ID, "component": BAD_COMPONENT}, "component.kind"),
        ("DeleteSession", {}, "session_id"),
        ("DeleteSession", {"session_id": LONG}, "session_id"),
        ("DeleteSession", {"session_id": ID, "component": BAD_COMPONENT}, "component.kind"),
    ],
)
async def test_bad_input_is_told_by_its_field(name: str, fields: dict[str, Any], path: str) -> None:
    """N1 (refusal)."""
    async with serve(Musterd(agents=[talker()])) as client, wire_to(client.target) as wire:
        refused = await wire.refusal(name, **fields)
    assert (refused.code, refused.paths) == (grpc.StatusCode.INVALID_ARGUMENT, [path])


async def test_a_page_token_is_good_for_its_own_session() -> None:
    """R4, N1 (refusal)."""
    async with serve(Musterd(agents=[talker()])) as client, wire_to(client.target) as wire:
        for session_id in (ID, ID, "s-2"):
            await say(client, session_id=session_id)
        entries = await wire.call("GetSession", session_id=ID, page_size=1)
        sessions = await wire.call("ListSessions", page_size=1)
        for name, fields in (
            ("GetSession", {"session_id": "s-2", "page_token": entries.next_page_token}),
            ("GetSession", {"session_id": ID, "page_token": sessions.next_page_token}),
            ("ListSessions", {"page_token": entries.next_page_token}),
        ):
            refused = await wire.refusal(name, **fields)
            assert refused.reason == "PAGE_TOKEN_INVALID"


async def test_a_session_is_deleted_with_its_tasks() -> None:
    """N1: it begins anew; a second deletion finds nothing."""
    async with serve(Musterd(agents=[talker()])) as client:
        gone = (await client.run_agent("parrot", "hi", session_id=ID).result()).task
        kept = (await client.run_agent("parrot", "hi", session_id="s-2").result()).task
        await client.sessions.delete(ID)
        with pytest.raises(NotFoundError):
            await client.tasks.status(gone.task_id)
        with pytest.raises(NotFoundError) as refused:
            await client.sessions.delete(ID)
        assert (await client.tasks.status(kept.task_id)).state is TaskState.COMPLETED
        await say(client)
        assert (await client.sessions.get(ID)).run_count == 1
    assert refused.value.reason == "SESSION_NOT_FOUND"


async def test_a_session_with_a_live_run_is_not_deleted_unless_that_is_canceled() -> None:
    """N1: neither while one runs nor while others wait for it."""
    gate = Gate()
    async with serve(Musterd(agents=[Agent(stopping(gate), name="parrot")])) as client:
        task_ids: list[str] = []
        for _ in range(3):
            async with client.run_agent("parrot", "hi", session_id=ID, background=True) as run:
                task_ids.append(run.task.task_id)
        await gate.reached.wait()
        with pytest.raises(PreconditionFailedError) as refused:
            await client.sessions.delete(ID)
        await client.sessions.delete(ID, cancel_live_runs=True)
        for task_id in task_ids:
            with pytest.raises(NotFoundError):
                await client.tasks.status(task_id)
    assert refused.value.reason == "SESSION_BUSY"
    assert refused.value.metadata == {"session_id": ID, "task_id": task_ids[0]}


async def test_followers_of_a_run_hear_that_it_was_canceled_with_its_session() -> None:
    """N1."""
    gate = Gate()
    app = Musterd(agents=[Agent(stopping(gate), name="parrot")])
    async with serve(app) as client, client.run_agent("parrot", "hi", session_id=ID) as run:
        await gate.reached.wait()
        deleting = asyncio.ensure_future(client.sessions.delete(ID, cancel_live_runs=True))
        kinds = [event.kind async for event in run]
        await deleting
    assert kinds[-1] == "task_canceled"


async def test_children_that_outlive_their_run_are_live_too() -> None:
    """N1, S13."""
    stage = Stage()
    app = stage.app(stage.delegating(background_outlives_run=True))
    async with serve(app) as client:
        async with client.run_agent("boss", do(task(do(at("child"), "x")), "done"), session_id=ID) as run:
            result = await run.result()
        await stage.gates["child"].reached.wait()
        child = await only_child_of(client, result.task.task_id)
        with pytest.raises(PreconditionFailedError) as refused:
            await client.sessions.delete(ID)
        await client.sessions.delete(ID, cancel_live_runs=True)
        with pytest.raises(NotFoundError):
            await client.tasks.status(child.task_id)
    assert refused.value.metadata["task_id"] == child.task_id
