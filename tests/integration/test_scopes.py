"""What each RPC needs of its caller: declared for all that is served, and held to."""
# pyright: reportMissingTypeStubs=false

import importlib
import pkgutil
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2
from pydantic_ai import Agent
from tests.support.gated_model import saying
from tests.support.tokens import AUTH, token
from tests.support.wire import METHODS, Wire, wire_to

import musterd_client.v1
from musterd import Musterd
from musterd.auth import RPC_ACCESS, Gate, Scope
from musterd.testing import serve

REFLECTION = {name: f"/grpc.reflection.{name}.ServerReflection/ServerReflectionInfo" for name in ("v1", "v1alpha")}
HEALTH = {name: f"/grpc.health.v1.Health/{name}" for name in ("Check", "List", "Watch")}
ADMIN = token("root", scopes="musterd:admin")
NOBODY = token("nobody", scopes="")
Question = reflection_pb2.ServerReflectionRequest
LIST_SERVICES = Question(list_services="*")


def app() -> Musterd:
    return Musterd(agents=[Agent(saying("hello"), name=name) for name in ("greeter", "butler")])


@pytest.fixture
async def wire() -> AsyncGenerator[Wire]:
    async with serve(app(), auth=AUTH) as client, wire_to(client.target) as wire:
        yield wire


async def reflect(wire: Wire, question: Question) -> Any:
    """Ask the server about itself, and return its answer."""
    answer = await wire.send(REFLECTION["v1alpha"], question.SerializeToString(), token=ADMIN)
    return reflection_pb2.ServerReflectionResponse.FromString(answer.responses[0])


async def reflected_methods(wire: Wire) -> set[str]:
    """Return the paths of all RPCs that the server tells of."""
    listed = await reflect(wire, LIST_SERVICES)
    methods: set[str] = set()
    for service in listed.list_services_response.service:
        found = await reflect(wire, Question(file_containing_symbol=service.name))
        for data in found.file_descriptor_response.file_descriptor_proto:
            file = FileDescriptorProto.FromString(data)
            for each in file.service:
                methods |= {f"/{file.package}.{each.name}/{method.name}" for method in each.method}
    return methods


def contract_methods() -> set[str]:
    """Return the paths of all RPCs of the contract."""
    modules = [
        importlib.import_module(f"musterd_client.v1.{each.name}")
        for each in pkgutil.iter_modules(musterd_client.v1.__path__)
    ]
    files: list[FileDescriptor] = [module.DESCRIPTOR for module in modules if hasattr(module, "DESCRIPTOR")]
    services = [service for file in files for service in file.services_by_name.values()]
    return {f"/{service.full_name}/{method.name}" for service in services for method in service.methods}


async def test_every_rpc_that_is_served_declares_what_it_needs(wire: Wire) -> None:
    """I4: grpcio can tell of reflection under its v1alpha name alone."""
    served = await reflected_methods(wire) | {REFLECTION["v1"]}
    assert contract_methods() <= served
    assert served == RPC_ACCESS.keys()


async def code_of(wire: Wire, path: str, token: str | None) -> grpc.StatusCode:
    """Call an RPC with an empty message. Health's Watch never ends of itself: there its first response counts."""
    if path == HEALTH["Watch"]:
        return grpc.StatusCode.OK if await wire.first(path, b"", token=token) else grpc.StatusCode.UNKNOWN
    return (await wire.send(path, b"", token=token)).code


@pytest.mark.parametrize("path", sorted(RPC_ACCESS))
async def test_every_rpc_that_declares_what_it_needs_is_served(wire: Wire, path: str) -> None:
    """I4."""
    assert await code_of(wire, path, ADMIN) in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT)


@pytest.mark.parametrize("path", sorted(RPC_ACCESS))
async def test_no_rpc_but_health_is_served_without_a_token(wire: Wire, path: str) -> None:
    """I4 (refusal)."""
    if RPC_ACCESS[path] is Gate.PUBLIC:
        assert path in HEALTH.values()
        assert await code_of(wire, path, None) is grpc.StatusCode.OK
        return
    refusal = await wire.send(path, b"")
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")


@pytest.mark.parametrize("path", sorted(path for path, access in RPC_ACCESS.items() if isinstance(access, Scope)))
async def test_a_token_without_scopes_opens_nothing_that_needs_one(wire: Wire, path: str) -> None:
    """I4 (refusal)."""
    refusal = await wire.send(path, b"", token=NOBODY)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert refusal.info.metadata["method"] == path
    assert refusal.info.metadata["scope"] in refusal.text


@pytest.mark.parametrize("name", ["ListAgents", "GetServerInfo"])
async def test_some_rpcs_need_a_token_alone(wire: Wire, name: str) -> None:
    """I4."""
    assert await wire.call(name, token=NOBODY)


@pytest.mark.parametrize("name", sorted(METHODS))
async def test_the_scopes_of_another_rpc_do_not_help(wire: Wire, name: str) -> None:
    """I4 (refusal)."""
    access = RPC_ACCESS[METHODS[name].path]
    if not isinstance(access, Scope):
        return
    needed = {f"{access.resource}:{action}" for action in access.actions}
    all_scopes = {
        f"{resource}:{action}" for resource in ("agents", "tasks") for action in ("read", "run", "cancel", "write")
    }
    others = token(scopes=" ".join(all_scopes - needed))
    assert (await wire.refusal(name, token=others)).reason == "SCOPE_MISSING"
    for scope in needed:
        # Allowed, and refused for the empty message alone.
        assert (await wire.ask(name, token=token(scopes=scope))).code in (
            grpc.StatusCode.OK,
            grpc.StatusCode.INVALID_ARGUMENT,
        )


@pytest.mark.parametrize("name", ["GetAgent", "RunAgent"])
@pytest.mark.parametrize("agent_id", ["butler", "no-such-agent"])
async def test_a_scope_for_one_agent_does_not_open_another_nor_tell_whether_it_exists(
    wire: Wire, name: str, agent_id: str
) -> None:
    """I4 (refusal)."""
    refusal = await wire.refusal(name, token=token(scopes="agents:greeter:run"), agent_id=agent_id)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert refusal.info.metadata["scope"].endswith(f"agents:{agent_id}:run")
    assert agent_id not in refusal.text.replace(refusal.info.metadata["scope"], "")


async def test_a_scope_to_read_an_agent_is_none_to_run_it(wire: Wire) -> None:
    """I4."""
    reader = token(scopes="agents:greeter:read")
    assert (await wire.call("GetAgent", token=reader, agent_id="greeter")).agent.agent_id == "greeter"
    assert (await wire.refusal("RunAgent", token=reader, agent_id="greeter", message="hi")).reason == "SCOPE_MISSING"


@pytest.mark.parametrize(
    "scopes",
    ["agents:run", "agents:*:run", "agents:greeter:run", "agents:butler:run agents:greeter:run", "musterd:admin"],
)
async def test_each_form_of_scope_opens_the_agents_that_it_names(wire: Wire, scopes: str) -> None:
    """I4."""
    assert (await wire.call("RunAgent", token=token(scopes=scopes), agent_id="greeter", message="hi")).task.task_id


@pytest.mark.parametrize(
    "scopes", ["agents:GREETER:run", "agents:greet:run", "agents:greeter:run:", "agent:run", "*", "agents:*", "*:run"]
)
async def test_what_only_looks_like_a_scope_opens_nothing(wire: Wire, scopes: str) -> None:
    """I4 (refusal)."""
    refusal = await wire.refusal("RunAgent", token=token(scopes=scopes), agent_id="greeter", message="hi")
    assert refusal.reason == "SCOPE_MISSING"


@pytest.mark.parametrize("path", REFLECTION.values(), ids=REFLECTION.keys())
async def test_reflection_is_open_to_all_when_the_server_says_so(path: str) -> None:
    """I4."""
    async with serve(app(), auth=AUTH, server={"reflection": "open"}) as client, wire_to(client.target) as wire:
        assert (await wire.send(path, LIST_SERVICES.SerializeToString())).code is grpc.StatusCode.OK
        assert (await wire.refusal("ListAgents")).reason == "TOKEN_MISSING"


@pytest.mark.parametrize("path", REFLECTION.values(), ids=REFLECTION.keys())
async def test_reflection_is_not_there_when_it_is_off(path: str) -> None:
    """I4."""
    async with serve(app(), auth=AUTH, server={"reflection": "off"}) as client, wire_to(client.target) as wire:
        assert (
            await wire.send(path, LIST_SERVICES.SerializeToString(), token=ADMIN)
        ).code is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("path", REFLECTION.values(), ids=REFLECTION.keys())
async def test_any_valid_token_opens_reflection(wire: Wire, path: str) -> None:
    """I4."""
    assert (await wire.send(path, LIST_SERVICES.SerializeToString(), token=NOBODY)).code is grpc.StatusCode.OK


async def test_without_authentication_every_rpc_is_open() -> None:
    """I3."""
    async with serve(app()) as client, wire_to(client.target) as wire:
        for path in RPC_ACCESS:
            assert await code_of(wire, path, None) in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT)
