"""What each RPC needs."""

from functools import partial

import pytest

from musterd.auth import RPC_ACCESS, Gate, authorize, authorize_component, is_public
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.principal import Principal
from musterd_client.v1 import (
    agent_service_pb2,
    hook_service_pb2,
    server_service_pb2,
    session_service_pb2,
    task_service_pb2,
    team_service_pb2,
    workflow_service_pb2,
)

AGENTS = "/musterd.v1.AgentService"
HOOKS = "/musterd.v1.HookService"
SESSIONS = "/musterd.v1.SessionService"
TASKS = "/musterd.v1.TaskService"


def caller(*scopes: str) -> Principal:
    return Principal(tenant_id="acme", user_id="ada", scopes=frozenset(scopes))


def refusal_of(principal: Principal, method: str, component_id: str | None = None) -> MusterdError:
    check = authorize if component_id is None else partial(authorize_component, component_id=component_id)
    with pytest.raises(MusterdError) as caught:
        check(principal, method)
    return caught.value


def test_every_rpc_of_the_contract_says_what_it_needs() -> None:
    """I4."""
    files = (
        agent_service_pb2,
        hook_service_pb2,
        server_service_pb2,
        session_service_pb2,
        task_service_pb2,
        team_service_pb2,
        workflow_service_pb2,
    )
    services = [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]
    methods = {f"/{service.full_name}/{method.name}" for service in services for method in service.methods}
    assert methods == {method for method in RPC_ACCESS if method.startswith("/musterd.")}


@pytest.mark.parametrize(
    ("method", "scope"),
    [
        (f"{TASKS}/TaskStatus", "tasks:read"),
        (f"{TASKS}/ListTasks", "tasks:read"),
        (f"{TASKS}/WatchTask", "tasks:read"),
        (f"{TASKS}/WaitTasks", "tasks:read"),
        (f"{TASKS}/CancelTask", "tasks:cancel"),
        (f"{TASKS}/SteerTask", "tasks:write"),
        (f"{TASKS}/AnswerTask", "tasks:write"),
        (f"{SESSIONS}/ListSessions", "sessions:read"),
        (f"{SESSIONS}/GetSession", "sessions:read"),
        (f"{SESSIONS}/DeleteSession", "sessions:delete"),
        (f"{HOOKS}/ListHookRuns", "tasks:read"),
        (f"{HOOKS}/RetryHookRun", "tasks:write"),
        (f"{AGENTS}/GetAgent", "agents:read"),
        (f"{AGENTS}/GetAgent", "agents:run"),
        (f"{AGENTS}/RunAgent", "agents:run"),
    ],
)
def test_a_scope_for_all_of_a_kind_is_enough_without_the_request(method: str, scope: str) -> None:
    """I4."""
    resource, action = scope.split(":")
    for granted in (scope, f"{resource}:*:{action}", "musterd:admin"):
        assert authorize(caller(granted), method) is False


@pytest.mark.parametrize(
    "method", sorted(method for method, access in RPC_ACCESS.items() if not isinstance(access, Gate))
)
def test_a_caller_without_the_scope_is_refused_and_told_which(method: str) -> None:
    """I4 (refusal)."""
    error = refusal_of(caller("agents:delete", "sessions:run", "musterd:impersonate"), method)
    assert error.reason is Reason.SCOPE_MISSING
    assert error.metadata["scope"] in error.message
    resource, _, action = error.metadata["scope"].split(" or ")[0].partition(":")
    assert authorize(caller(f"{resource}:{action}"), method) is False


@pytest.mark.parametrize("scope", ["agents:shop:run", "agents:shop:read"])
def test_a_scope_for_one_agent_is_checked_against_the_request(scope: str) -> None:
    """I4."""
    principal = caller(scope)
    assert authorize(principal, f"{AGENTS}/GetAgent") is True
    authorize_component(principal, f"{AGENTS}/GetAgent", "shop")
    error = refusal_of(principal, f"{AGENTS}/GetAgent", "bank")
    assert error.reason is Reason.SCOPE_MISSING
    assert error.metadata["scope"] == "agents:bank:read or agents:bank:run"


def test_reading_an_agent_is_not_running_it() -> None:
    """I4."""
    assert refusal_of(caller("agents:read"), f"{AGENTS}/RunAgent").metadata["scope"] == "agents:run"
    assert refusal_of(caller("agents:shop:read"), f"{AGENTS}/RunAgent").metadata["scope"] == "agents:run"
    assert refusal_of(caller("agents:shop:read"), f"{AGENTS}/RunAgent", "shop").metadata["scope"] == "agents:shop:run"


@pytest.mark.parametrize("method", [f"{AGENTS}/ListAgents", "/musterd.v1.ServerService/GetServerInfo"])
def test_some_rpcs_need_a_token_and_no_scope(method: str) -> None:
    """I4."""
    assert authorize(caller(), method) is False
    assert not is_public(method, reflection_is_open=True)


@pytest.mark.parametrize("name", ["Check", "Watch", "List"])
def test_health_is_public(name: str) -> None:
    """I4."""
    assert is_public(f"/grpc.health.v1.Health/{name}")


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_needs_a_token_unless_it_is_open(version: str) -> None:
    """I4."""
    method = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    assert not is_public(method)
    assert is_public(method, reflection_is_open=True)
    assert authorize(caller(), method) is False


@pytest.mark.parametrize("method", ["", f"{AGENTS}/DropAgents", f"{AGENTS}/getagent", "/other.Service/Method"])
def test_an_rpc_that_is_not_in_the_table_is_refused_to_everyone(method: str) -> None:
    """I4 (refusal)."""
    assert not is_public(method, reflection_is_open=True)
    error = refusal_of(caller("musterd:admin"), method)
    assert error.reason is Reason.SCOPE_MISSING
    assert error.metadata == {"method": method}
