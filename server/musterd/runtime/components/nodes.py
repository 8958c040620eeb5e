"""What an attempt executes: a registered component, or the part of one that a child stands for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic_ai.agent import AbstractAgent
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import UserContent
from pydantic_ai.models import Model
from pydantic_ai.toolsets import AbstractToolset, CombinedToolset, WrapperToolset
from pydantic_ai.usage import RunUsage
from pydantic_ai.usage import UsageLimits as AgentUsageLimits

from musterd.domain.context import RequestContext
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.task import Delegate
from musterd.subagents.host import ASK_TIMEOUT_SECONDS, Delegator, PreparedSubagent
from musterd.subagents.retry import RetryConfig
from musterd.subagents.types import AskUserCallback
from musterd.teams.member_tools import member_toolset
from musterd.teams.prompts import member_instructions
from musterd.teams.team import Team
from musterd.workflows.workflow import Workflow

Prompt: TypeAlias = str | Sequence[UserContent] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How the questions of a child are handled.

    `ask_user` answers what a child in sync mode asks; else a question stays open for `timeout_seconds`.
    """

    max_questions: int | None = None
    ask_user: AskUserCallback | None = None
    timeout_seconds: float = ASK_TIMEOUT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentNode:
    """An agent with what its run gets beside it. `model` is for an agent that has none of its own."""

    agent: AbstractAgent[Any, Any]
    deps: Any = None
    prompt: Prompt = None
    toolsets: tuple[AbstractToolset[Any], ...] = ()
    capabilities: tuple[AbstractCapability[Any], ...] = ()
    model: Model | str | None = None
    instructions: str | None = None
    usage_limits: AgentUsageLimits | None = None
    retry: RetryConfig | None = None
    asking: Asking | None = None
    report: Callable[[RunUsage], None] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamNode:
    """A team, its deps, and a model for a leader that has none of its own."""

    team: Team
    deps: Any = None
    prompt: Prompt = None
    model: Model | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowNode:
    """A workflow, the deps of its agents and teams, and the context of the run, which has its input."""

    workflow: Workflow
    context: RequestContext
    deps: Any = None


Node: TypeAlias = AgentNode | TeamNode | WorkflowNode


def node_of_prepared(prepared: PreparedSubagent) -> AgentNode:
    """Return a subagent as what a child executes."""
    return AgentNode(
        agent=prepared.agent,
        deps=prepared.deps,
        prompt=prepared.prompt,
        toolsets=prepared.toolsets,
        capabilities=prepared.capabilities,
        model=prepared.model,
        usage_limits=prepared.usage_limits,
        retry=prepared.retry,
        asking=_asking_of(prepared) if prepared.can_ask else None,
        report=prepared.report,
    )


def _asking_of(prepared: PreparedSubagent) -> Asking:
    return Asking(
        max_questions=prepared.max_questions,
        ask_user=prepared.ask_user,
        timeout_seconds=prepared.ask_timeout_seconds,
    )


def descend(node: Node, path: Sequence[Delegate], description: str, prompt: Prompt) -> Node:
    """Return the part of a component that a path leads to, prepared for a task.

    A member of a team and a step get the prompt as it is, a subagent what its toolset makes of the description.

    Raises MusterdError TASK_LOST when the component, as it is built today, has no such part.
    """
    for step in path:
        try:
            node = _part_of(node, step, description, prompt)
        except LookupError as error:
            raise MusterdError(
                reason=Reason.TASK_LOST,
                message=f"the component no longer has the part {step.name!r}, which this task runs",
                cause="COMPONENT_CHANGED",
            ) from error
    return node


def _part_of(node: Node, step: Delegate, description: str, prompt: Prompt) -> Node:
    if isinstance(node, WorkflowNode):
        return step_of(node, step.name, prompt)
    if isinstance(node, TeamNode) and not step.toolset_id:
        return member_of(node, step.name, prompt)
    own = node.team.toolsets if isinstance(node, TeamNode) else (*node.agent.toolsets, *node.toolsets)
    delegator = _find_delegator(own, step.toolset_id)
    prepared = delegator.prepare(
        step.name,
        description=description,
        definition_json=step.definition_json,
        deps=node.deps,
        model=model_of(node),
    )
    return node_of_prepared(prepared)


def model_of(node: AgentNode | TeamNode) -> Model | str | None:
    """Return the model that a node runs on, as far as that is known before it runs."""
    own = node.team.model if isinstance(node, TeamNode) else node.agent.model
    return own if own is not None else node.model


def member_of(node: TeamNode, name: str, prompt: Prompt) -> Node:
    """Return a member of a team, prepared for a turn. Raises LookupError when there is none with this name."""
    team = node.team
    member = team.members[name]
    if isinstance(member, Team):
        return TeamNode(team=member, deps=node.deps, prompt=prompt, model=model_of(node))
    return AgentNode(
        agent=member,
        deps=node.deps,
        prompt=prompt,
        toolsets=(member_toolset(),),
        instructions=member_instructions(team.name, team.roster, name),
        model=model_of(node),
        asking=Asking(),
    )


def step_of(node: WorkflowNode, name: str, prompt: Prompt) -> Node:
    """Return who does a step of a workflow. Raises LookupError when there is none with this name that is a task."""
    match node.workflow.find(name).run:
        case AbstractAgent() as agent:
            return AgentNode(agent=agent, deps=node.deps, prompt=prompt)
        case Team() as team:
            return TeamNode(team=team, deps=node.deps, prompt=prompt)
        case Workflow() as workflow:
            return WorkflowNode(workflow=workflow, context=node.context, deps=node.deps)
        case _:
            raise LookupError(f"a function does the step {name!r}")


def _find_delegator(toolsets: Iterable[AbstractToolset[Any]], toolset_id: str) -> Delegator:
    for toolset in toolsets:
        match toolset:
            case CombinedToolset():
                try:
                    return _find_delegator(toolset.toolsets, toolset_id)
                except LookupError:
                    continue
            case WrapperToolset():
                try:
                    return _find_delegator([toolset.wrapped], toolset_id)
                except LookupError:
                    continue
            case _ if toolset.id == toolset_id and isinstance(toolset, Delegator):
                return toolset
            case _:
                pass
    raise LookupError(f"no toolset {toolset_id!r} that has subagents")
