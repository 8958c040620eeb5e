"""What a caller may do: scopes, and the one table of what each RPC needs.

A scope is `resource:action`, `resource:<id>:action` or `resource:*:action`. The scope `musterd:admin` stands for all.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.principal import ADMIN_SCOPE, Principal


class Resource(StrEnum):
    """What scopes are about."""

    AGENTS = "agents"
    TEAMS = "teams"
    WORKFLOWS = "workflows"
    TASKS = "tasks"
    SESSIONS = "sessions"


class Action(StrEnum):
    """What scopes allow."""

    READ = "read"
    RUN = "run"
    CANCEL = "cancel"
    APPROVE = "approve"
    WRITE = "write"
    DELETE = "delete"


class Gate(StrEnum):
    """What an RPC needs that no scope opens."""

    PUBLIC = "public"
    AUTHENTICATED = "authenticated"
    REFLECTION = "reflection"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Any one of the actions on a resource. With `per_component` the request says on which, and its id counts."""

    resource: Resource
    actions: tuple[Action, ...]
    per_component: bool = False

    def text(self, component_id: str | None = None) -> str:
        """Return the scopes that would do, as a caller would have to be given them."""
        middle = "" if component_id is None else f"{component_id}:"
        return " or ".join(f"{self.resource}:{middle}{action}" for action in self.actions)


Access = Gate | Scope

_AGENT_READ = Scope(resource=Resource.AGENTS, actions=(Action.READ, Action.RUN), per_component=True)
_AGENT_RUN = Scope(resource=Resource.AGENTS, actions=(Action.RUN,), per_component=True)
_TEAM_READ = Scope(resource=Resource.TEAMS, actions=(Action.READ, Action.RUN), per_component=True)
_TEAM_RUN = Scope(resource=Resource.TEAMS, actions=(Action.RUN,), per_component=True)
_WORKFLOW_READ = Scope(resource=Resource.WORKFLOWS, actions=(Action.READ, Action.RUN), per_component=True)
_WORKFLOW_RUN = Scope(resource=Resource.WORKFLOWS, actions=(Action.RUN,), per_component=True)
_TASKS_READ = Scope(resource=Resource.TASKS, actions=(Action.READ,))
_TASKS_CANCEL = Scope(resource=Resource.TASKS, actions=(Action.CANCEL,))
_TASKS_WRITE = Scope(resource=Resource.TASKS, actions=(Action.WRITE,))
_TASKS_APPROVE = Scope(resource=Resource.TASKS, actions=(Action.APPROVE,))
_SESSIONS_READ = Scope(resource=Resource.SESSIONS, actions=(Action.READ,))
_SESSIONS_DELETE = Scope(resource=Resource.SESSIONS, actions=(Action.DELETE,))

RPC_ACCESS: Mapping[str, Access] = {
    "/grpc.health.v1.Health/Check": Gate.PUBLIC,
    "/grpc.health.v1.Health/List": Gate.PUBLIC,
    "/grpc.health.v1.Health/Watch": Gate.PUBLIC,
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Gate.REFLECTION,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Gate.REFLECTION,
    "/musterd.v1.AgentService/GetAgent": _AGENT_READ,
    "/musterd.v1.AgentService/ListAgents": Gate.AUTHENTICATED,
    "/musterd.v1.AgentService/RunAgent": _AGENT_RUN,
    "/musterd.v1.HookService/ListHookRuns": _TASKS_READ,
    "/musterd.v1.HookService/RetryHookRun": _TASKS_WRITE,
    "/musterd.v1.ServerService/GetServerInfo": Gate.AUTHENTICATED,
    "/musterd.v1.SessionService/DeleteSession": _SESSIONS_DELETE,
    "/musterd.v1.SessionService/GetSession": _SESSIONS_READ,
    "/musterd.v1.SessionService/ListSessions": _SESSIONS_READ,
    "/musterd.v1.TaskService/AnswerTask": _TASKS_WRITE,
    "/musterd.v1.TaskService/CancelTask": _TASKS_CANCEL,
    "/musterd.v1.TaskService/ListTasks": _TASKS_READ,
    "/musterd.v1.TaskService/ResolveTask": _TASKS_APPROVE,
    "/musterd.v1.TaskService/SteerTask": _TASKS_WRITE,
    "/musterd.v1.TaskService/TaskStatus": _TASKS_READ,
    "/musterd.v1.TaskService/WaitTasks": _TASKS_READ,
    "/musterd.v1.TaskService/WatchTask": _TASKS_READ,
    "/musterd.v1.TeamService/AddTodo": _TASKS_WRITE,
    "/musterd.v1.TeamService/GetTeam": _TEAM_READ,
    "/musterd.v1.TeamService/GetTeamBoard": _TASKS_READ,
    "/musterd.v1.TeamService/ListTeams": Gate.AUTHENTICATED,
    "/musterd.v1.TeamService/RunTeam": _TEAM_RUN,
    "/musterd.v1.TeamService/SendTeamMessage": _TASKS_WRITE,
    "/musterd.v1.WorkflowService/GetWorkflow": _WORKFLOW_READ,
    "/musterd.v1.WorkflowService/ListWorkflows": Gate.AUTHENTICATED,
    "/musterd.v1.WorkflowService/RunWorkflow": _WORKFLOW_RUN,
}
"""What each RPC needs. An RPC that is not here is refused to everyone."""


def allows(scopes: AbstractSet[str], resource: Resource, action: Action, id: str | None = None) -> bool:  # noqa: A002  the word of the scope's form
    """Whether the scopes allow an action on one thing of a kind, or on all of them when `id` is None."""
    return (
        ADMIN_SCOPE in scopes
        or f"{resource}:{action}" in scopes
        or f"{resource}:*:{action}" in scopes
        or (id is not None and f"{resource}:{id}:{action}" in scopes)
    )


def is_public(method: str, *, reflection_is_open: bool = False) -> bool:
    """Whether an RPC is served without a token."""
    access = RPC_ACCESS.get(method)
    return access is Gate.PUBLIC or (access is Gate.REFLECTION and reflection_is_open)


def authorize(principal: Principal, method: str) -> bool:
    """Check what can be checked before the request is read.

    True means that `authorize_component` must follow. Raises SCOPE_MISSING when no request could be allowed.
    """
    match RPC_ACCESS.get(method):
        case Gate():
            return False
        case Scope() as needed:
            if any(allows(principal.scopes, needed.resource, action) for action in needed.actions):
                return False
            if needed.per_component and _has_any_id(principal.scopes, needed):
                return True
            raise _scope_missing(method, needed.text())
        case None:
            raise MusterdError(
                reason=Reason.SCOPE_MISSING,
                message="this server serves no such RPC, and no scope opens it",
                metadata={"method": method},
            )


def authorize_component(principal: Principal, method: str, component_id: str) -> None:
    """Check the component that the request names. Raises SCOPE_MISSING, the same whether or not there is one."""
    needed = RPC_ACCESS[method]
    if not isinstance(needed, Scope) or not needed.per_component:
        raise ValueError(f"{method} is not about one component")
    if not any(allows(principal.scopes, needed.resource, action, component_id) for action in needed.actions):
        raise _scope_missing(method, needed.text(component_id))


def _has_any_id(scopes: AbstractSet[str], needed: Scope) -> bool:
    prefix = f"{needed.resource}:"
    suffixes = tuple(f":{action}" for action in needed.actions)
    return any(scope.startswith(prefix) and scope.endswith(suffixes) for scope in scopes)


def _scope_missing(method: str, scope: str) -> MusterdError:
    return MusterdError(
        reason=Reason.SCOPE_MISSING,
        message=f"your token lacks the scope {scope}",
        metadata={"method": method, "scope": scope},
    )
