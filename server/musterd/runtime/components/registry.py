"""The components of an app by id, and what a client may learn of them without building any."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.toolsets import FunctionToolset

from musterd.domain.errors import FieldViolation, MusterdError, Reason
from musterd.domain.ids import MAX_ID_CHARS, NUL
from musterd.domain.principal import JsonValue
from musterd.domain.task import ComponentKind, ComponentRef
from musterd.runtime.components.definitions import (
    AgentFactory,
    AnyAgent,
    Component,
    ComponentFactory,
    Prototype,
    TeamFactory,
    WorkflowFactory,
)
from musterd.teams.team import Team
from musterd.workflows.plan import PlannedStep
from musterd.workflows.workflow import Workflow, steps_inside

RegistrableAgent = AnyAgent | Prototype | AgentFactory
RegistrableTeam = Team | Prototype | TeamFactory
RegistrableWorkflow = Workflow | Prototype | WorkflowFactory


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolInfo:
    """A tool of a prototype."""

    name: str
    description: str
    parameters_schema_json: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberInfo:
    """A member of a prototype team."""

    name: str
    role: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInfo:
    """A step of a prototype workflow, with those inside it."""

    name: str
    kind: str
    description: str
    steps: tuple["StepInfo", ...] = ()
    else_steps: tuple["StepInfo", ...] = ()
    max_iterations: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentInfo:
    """What a client may know of a component before it runs.

    `mode` and `members` are those of a prototype team, `steps` those of a prototype workflow.
    """

    ref: ComponentRef
    name: str
    description: str
    is_factory: bool
    input_schema_json: str
    tools: tuple[ToolInfo, ...]
    mode: str = ""
    members: tuple[MemberInfo, ...] = ()
    steps: tuple[StepInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class Registration:
    """A registered component with its description."""

    source: Prototype | ComponentFactory
    info: ComponentInfo

    @property
    def input_schema(self) -> type[BaseModel] | None:
        """The model that validates the input of a factory or a workflow; None takes any object."""
        match self.source:
            case ComponentFactory() as factory:
                return factory.input_schema
            case Prototype(component=Workflow() as workflow):
                return workflow.input_schema
            case _:
                return None

    def validate_input(self, value: Mapping[str, JsonValue]) -> str:
        """Return the input as JSON, once it is valid. Raises MusterdError INVALID_INPUT with a violation per error.

        What the model makes of it is not what is stored: not every model reads again what it dumps.
        """
        text = json.dumps(value)
        self.load_input(text)
        return text

    def load_input(self, text: str) -> Any:
        """Return the input as the factory reads it. Raises as `validate_input`: another process may have stored it."""
        if self.input_schema is None:
            return json.loads(text)
        try:
            return self.input_schema.model_validate_json(text)
        except ValidationError as error:
            violations = tuple(
                FieldViolation(
                    path=".".join(("factory_input", *map(str, detail["loc"]))),
                    rule=detail["type"],
                    message=detail["msg"],
                )
                for detail in error.errors(include_url=False, include_input=False)
            )
            raise MusterdError(
                reason=Reason.INVALID_INPUT,
                message=f"factory_input does not fit the schema of {self.info.ref.id!r}: {violations[0].path}: "
                f"{violations[0].message}",
                violations=violations,
            ) from None


class Registry:
    """All components of an app. Raises ValueError for two with one id, one that no caller could name, and none."""

    def __init__(
        self,
        agents: Sequence[RegistrableAgent] = (),
        teams: Sequence[RegistrableTeam] = (),
        workflows: Sequence[RegistrableWorkflow] = (),
    ) -> None:
        self._registrations: dict[ComponentRef, Registration] = {}
        for agent in agents:
            self._add(_register(agent, _AGENTS))
        for team in teams:
            self._add(_register(team, _TEAMS))
        for workflow in workflows:
            self._add(_register(workflow, _WORKFLOWS))

    def _add(self, registration: Registration) -> None:
        ref = registration.info.ref
        if len(ref.id) > MAX_ID_CHARS or NUL in ref.id:
            msg = f"nobody can name the {ref.kind} {ref.id!r}: ids have at most {MAX_ID_CHARS} characters, and no NUL"
            raise ValueError(msg)
        if ref in self._registrations:
            msg = f"two {ref.kind}s have the id {ref.id!r}: give each its own"
            raise ValueError(msg)
        self._registrations[ref] = registration

    def find(self, ref: ComponentRef) -> Registration:
        """Return what is registered. Raises MusterdError COMPONENT_NOT_FOUND."""
        if (registration := self._registrations.get(ref)) is None:
            raise MusterdError(
                reason=Reason.COMPONENT_NOT_FOUND,
                message=f"no {ref.kind} {ref.id!r} is registered here, or you may not run it",
                metadata={"component_id": ref.id},
            )
        return registration

    def list(self, kind: ComponentKind) -> Sequence[ComponentInfo]:
        """Return all components of a kind, ordered by id."""
        infos = (registration.info for registration in self._registrations.values())
        return sorted((info for info in infos if info.ref.kind is kind), key=lambda info: info.ref.id)


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Where components of one kind are registered, and what they may be."""

    kind: ComponentKind
    argument: str
    component_type: type[Any]
    factory_type: type[ComponentFactory]


_AGENTS = _Shelf(ComponentKind.AGENT, "agents", AbstractAgent, AgentFactory)
_TEAMS = _Shelf(ComponentKind.TEAM, "teams", Team, TeamFactory)
_WORKFLOWS = _Shelf(ComponentKind.WORKFLOW, "workflows", Workflow, WorkflowFactory)


def _register(source: Any, shelf: _Shelf) -> Registration:
    if isinstance(source, shelf.component_type):
        source = Prototype(source)
    if isinstance(source, shelf.factory_type):
        return Registration(source, _factory_info(source, shelf.kind))
    if isinstance(source, Prototype) and isinstance(source.component, shelf.component_type):
        return Registration(source, _prototype_info(source.component))
    allowed = f"{shelf.component_type.__name__.removeprefix('Abstract')}, Prototype and {shelf.factory_type.__name__}"
    found = source.component if isinstance(source, Prototype) else source
    msg = f"{shelf.argument}=[…] takes {allowed} objects, not {type(found).__name__}"
    raise TypeError(msg)


def _factory_info(factory: ComponentFactory, kind: ComponentKind) -> ComponentInfo:
    schema = factory.input_schema
    return ComponentInfo(
        ref=ComponentRef(kind=kind, id=factory.id),
        name=factory.name,
        description=factory.description,
        is_factory=True,
        input_schema_json=_schema_json(schema),
        tools=(),
    )


def _schema_json(schema: type[BaseModel] | None) -> str:
    return json.dumps(schema.model_json_schema()) if schema is not None else ""


def _prototype_info(component: Component) -> ComponentInfo:
    if isinstance(component, Workflow):
        return ComponentInfo(
            ref=ComponentRef(kind=ComponentKind.WORKFLOW, id=component.name),
            name=component.name,
            description=component.description,
            is_factory=False,
            input_schema_json=_schema_json(component.input_schema),
            tools=(),
            steps=_steps_of(component.plan),
        )
    if isinstance(component, Team):
        return ComponentInfo(
            ref=ComponentRef(kind=ComponentKind.TEAM, id=component.name),
            name=component.name,
            description=component.description,
            is_factory=False,
            input_schema_json="",
            tools=(),
            mode=component.mode.value,
            members=tuple(
                MemberInfo(name=member.name, role=member.role, description=member.description)
                for member in component.roster
            ),
        )
    if not component.name:
        msg = "a shared agent needs a name, which is its id: Agent(…, name='support')"
        raise ValueError(msg)
    description = getattr(component, "description", None)
    return ComponentInfo(
        ref=ComponentRef(kind=ComponentKind.AGENT, id=component.name),
        name=component.name,
        description=description if isinstance(description, str) else "",
        is_factory=False,
        input_schema_json="",
        tools=tuple(_tools_of(component)),
    )


def _steps_of(plan: Sequence[PlannedStep]) -> tuple[StepInfo, ...]:
    return tuple(
        StepInfo(
            name=planned.name,
            kind=planned.kind.value,
            description=planned.source.description,
            steps=_steps_of(steps_inside(planned)),
            else_steps=_steps_of(planned.else_steps),
            max_iterations=planned.max_iterations,
        )
        for planned in plan
    )


def _tools_of(agent: AnyAgent) -> Sequence[ToolInfo]:
    toolsets = [toolset for toolset in agent.toolsets if isinstance(toolset, FunctionToolset)]
    definitions = [tool.tool_def for toolset in toolsets for tool in toolset.tools.values()]
    return [
        ToolInfo(
            name=definition.name,
            description=definition.description or "",
            parameters_schema_json=json.dumps(definition.parameters_json_schema),
        )
        for definition in definitions
    ]
