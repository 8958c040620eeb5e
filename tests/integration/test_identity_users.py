"""For whom a run is, and what its factory learns of the caller."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from pydantic_ai import Agent
from tests.support.gated_model import Gate, saying, stopping
from tests.support.tokens import AUTH, SECRET, TASK_SCOPES, USER_SCOPES, token
from tests.support.wire import Answer, Wire, wire_to

from musterd import AgentFactory, Musterd, RequestContext, TrustedContext
from musterd.testing import serve
from musterd_client import MusterdClient, OnDisconnect, TaskState
from musterd_client.v1.task_pb2 import Task

SERVICE = token("service", scopes=f"{USER_SCOPES} musterd:impersonate")
DENIED = grpc.StatusCode.PERMISSION_DENIED


class Witness:
    """Keeps the contexts that its factory was called with."""

    def __init__(self) -> None:
        self.contexts: list[RequestContext] = []

    def build(self, context: RequestContext) -> Agent[RequestContext, str]:
        self.contexts.append(context)
        return Agent(saying("built"), deps_type=RequestContext)

    @property
    def last(self) -> RequestContext:
        return self.contexts[-1]

    @property
    def app(self) -> Musterd:
        return Musterd(agents=[AgentFactory("greeter", self.build)])


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
async def wire(witness: Witness) -> AsyncGenerator[Wire]:
    async with serve(witness.app, auth=AUTH) as client, wire_to(client.target) as wire:
        yield wire


async def run(wire: Wire, token: str | None, **fields: Any) -> Task:
    """Run the agent, and return its task as the stream showed it."""
    return (await wire.call("RunAgent", token=token, agent_id="greeter", message="hi", **fields)).task


async def refused(wire: Wire, token: str, **fields: Any) -> Answer:
    return await wire.refusal("RunAgent", token=token, agent_id="greeter", message="hi", **fields)


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def test_a_run_is_for_whom_the_token_names(wire: Wire, witness: Witness) -> None:
    """I1, I3."""
    task = await run(wire, token("ada", tier="gold", session_id="s-1"), run_timeout=Duration(seconds=60))
    assert (task.tenant_id, task.user_id, task.session_id) == ("acme", "ada", "s-1")
    context = witness.last
    assert (context.tenant_id, context.user_id, context.session_id) == ("acme", "ada", "s-1")
    assert context.task_id == task.task_id
    assert context.trusted.claims["tier"] == "gold"
    assert context.trusted.scopes == set(USER_SCOPES.split())
    assert context.deadline is not None
    assert 0 < (context.deadline - datetime.now(UTC)).total_seconds() <= 60


@pytest.mark.parametrize("user_id", ["", "ada"])
@pytest.mark.parametrize("session_id", ["", "s-1"])
async def test_what_the_request_repeats_of_the_token_is_no_contradiction(
    wire: Wire, user_id: str, session_id: str
) -> None:
    """I3."""
    task = await run(wire, token("ada", session_id="s-1"), user_id=user_id, session_id=session_id)
    assert (task.user_id, task.session_id) == ("ada", "s-1")


async def test_a_session_is_free_to_choose_when_the_token_fixes_none(wire: Wire) -> None:
    """I3."""
    assert (await run(wire, token("ada"), session_id="s-9")).session_id == "s-9"


@pytest.mark.parametrize("user_id", ["bob", "Ada", "ada "])
async def test_another_user_than_the_tokens_is_refused(wire: Wire, witness: Witness, user_id: str) -> None:
    """I3 (refusal): also for an administrator."""
    for caller in (token("ada"), token("ada", scopes="musterd:admin")):
        refusal = await refused(wire, caller, user_id=user_id)
        assert (refusal.code, refusal.reason) == (DENIED, "IDENTITY_MISMATCH")
        assert dict(refusal.info.metadata) == {"field": "user_id"}
        assert refusal.text.startswith("user_id: ")
    assert witness.contexts == []


async def test_another_session_than_the_tokens_is_refused(wire: Wire, witness: Witness) -> None:
    """I3 (refusal): also for who may impersonate."""
    for scopes in (USER_SCOPES, f"{USER_SCOPES} musterd:impersonate"):
        refusal = await refused(wire, token("ada", scopes=scopes, session_id="s-1"), session_id="s-2")
        assert (refusal.code, refusal.reason) == (DENIED, "IDENTITY_MISMATCH")
        assert dict(refusal.info.metadata) == {"field": "session_id"}
    assert witness.contexts == []


async def test_the_tasks_of_another_session_than_the_tokens_are_not_asked_for(wire: Wire) -> None:
    """I3 (refusal): those of its own are."""
    bound = token("ada", session_id="s-1")
    task = await run(wire, bound)
    refusal = await wire.refusal("ListTasks", token=bound, session_id="s-2")
    assert (refusal.code, refusal.reason) == (DENIED, "IDENTITY_MISMATCH")
    for session_id in ("s-1", ""):
        listed = (await wire.call("ListTasks", token=bound, session_id=session_id)).tasks
        assert [each.task_id for each in listed] == [task.task_id]


async def test_who_may_impersonate_runs_for_others_of_its_tenant(wire: Wire, witness: Witness) -> None:
    """I3: the task is the user's own; the claims are still the caller's."""
    task = await run(wire, SERVICE, user_id="ada")
    assert (task.tenant_id, task.user_id) == ("acme", "ada")
    assert (witness.last.user_id, witness.last.trusted.claims["sub"]) == ("ada", "service")
    assert (await wire.call("TaskStatus", token=token("ada"), task_id=task.task_id)).task.user_id == "ada"
    hidden = await wire.refusal("TaskStatus", token=token("ada", tenant="initech"), task_id=task.task_id)
    assert hidden.reason == "TASK_NOT_FOUND"


async def test_who_may_impersonate_still_needs_the_scope_to_run(wire: Wire) -> None:
    """I3, I4 (refusal)."""
    refusal = await refused(wire, token("service", scopes=f"{TASK_SCOPES} musterd:impersonate"), user_id="ada")
    assert (refusal.code, refusal.reason) == (DENIED, "SCOPE_MISSING")


async def test_a_dropped_stream_cancels_the_run_of_another_user_too() -> None:
    """I3, R3: the run is not the caller's, the wish to cancel it is."""
    gate = Gate()
    app = Musterd(agents=[Agent(stopping(gate), name="slow")])
    async with (
        serve(app, auth=AUTH, token=token("ada")) as owner,
        MusterdClient(owner.target, token=SERVICE) as service,
    ):
        async with service.run_agent("slow", "go", user_id="ada", on_disconnect=OnDisconnect.CANCEL) as dropped:
            await gate.reached.wait()
        waited = await owner.tasks.wait([dropped.task.task_id])
    assert [task.state for task in waited.tasks] == [TaskState.CANCELED]


async def test_without_authentication_user_and_session_are_taken_as_given(witness: Witness) -> None:
    """I3: in one tenant, and whatever the token says that somebody sends all the same."""
    async with serve(witness.app) as client, wire_to(client.target) as wire:
        task = await run(wire, None, user_id="ada", session_id="s-1")
        assert (task.tenant_id, task.user_id, task.session_id) == ("default", "ada", "s-1")
        assert witness.last.trusted == TrustedContext(scopes=frozenset({"musterd:admin"}))
        assert (await run(wire, token("bob", tenant="initech"))).tenant_id == "default"
        assert (await run(wire, "nonsense", user_id="eve")).user_id == "eve"
        assert len((await wire.call("ListTasks")).tasks) == 3


async def test_the_callers_metadata_reaches_the_factory_by_the_allow_list_alone(witness: Witness) -> None:
    """I1, I7."""
    settings = {"metadata_allow_list": ["x-locale", "x-trace"]}
    sent = {"X-Locale": "de", "x-secret": "hush", "cookie": "a=b"}
    async with (
        serve(witness.app, auth=AUTH, server=settings) as server,
        MusterdClient(server.target, token=token("ada"), metadata=sent) as client,
    ):
        await client.run_agent("greeter", "hi").result()
    assert witness.last.metadata == {"x-locale": "de"}


@pytest.mark.parametrize("auth", [AUTH, {}], ids=["with authentication", "without"])
async def test_by_default_no_metadata_reaches_the_factory_and_credentials_never_do(
    witness: Witness, auth: dict[str, Any]
) -> None:
    """I1, I7."""
    headers = (("x-locale", "de"), ("cookie", "a=b"), ("x-data-bin", b"\x00"))
    caller = token("ada")
    async with serve(witness.app, auth=auth) as client, wire_to(client.target) as wire:
        answer = await wire.ask("RunAgent", token=caller, headers=headers, agent_id="greeter", message="hi")
    assert answer.code is grpc.StatusCode.OK
    assert witness.last.metadata == {}
    assert caller not in repr(witness.last)
    assert SECRET not in repr(witness.last)


async def test_the_token_is_nowhere_in_what_the_server_keeps(witness: Witness, tmp_path: Path) -> None:
    """I7."""
    caller = token("ada", marker="kept-claim")
    async with serve(witness.app, auth=AUTH, folder=tmp_path, token=caller) as client:
        await client.run_agent("greeter", "hi").result()
    kept = everything_in(tmp_path)
    assert b"kept-claim" in kept
    assert all(part.encode() not in kept for part in (caller, *caller.split(".")))


async def test_the_context_of_a_factory_cannot_be_changed(wire: Wire, witness: Witness) -> None:
    """C3, I1."""
    await run(wire, token("ada"))
    with pytest.raises(AttributeError):
        witness.last.user_id = "eve"  # pyright: ignore[reportAttributeAccessIssue] - it is frozen
    with pytest.raises(AttributeError):
        witness.last.trusted.scopes = frozenset()  # pyright: ignore[reportAttributeAccessIssue] - it is frozen
