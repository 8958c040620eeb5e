"""The components of an app by id, and what a client may learn of them without building any."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.toolsets import FunctionToolset

from musterd.domain.errors import FieldViolation, MusterdError, Reason
from musterd.domain.principal import JsonValue
from musterd.domain.task import ComponentKind, ComponentRef
from musterd.runtime.components.definitions import AgentFactory, AnyAgent, Prototype

Registrable = AnyAgent | Prototype | AgentFactory


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolInfo:
    """A tool of a prototype."""

    name: str
    description: str
    parameters_schema_json: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentInfo:
    """What a client may know of a component before it runs."""

    ref: ComponentRef
    name: str
    description: str
    is_factory: bool
    input_schema_json: str
    tools: tuple[ToolInfo, ...]


@dataclass(frozen=True, slots=True)
class Registration:
    """A registered component with its description."""

    source: Prototype | AgentFactory
    info: ComponentInfo

    @property
    def input_schema(self) -> type[BaseModel] | None:
        """The model that validates the factory's input; None takes any object."""
        return self.source.input_schema if isinstance(self.source, AgentFactory) else None

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
    """All components of an app. Raises ValueError when two share an id, or a prototype has no name."""

    def __init__(self, agents: Sequence[Registrable]) -> None:
        self._registrations: dict[ComponentRef, Registration] = {}
        for agent in agents:
            self._add(_register_agent(agent))

    def _add(self, registration: Registration) -> None:
        ref = registration.info.ref
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


def _register_agent(agent: Registrable) -> Registration:
    match agent:
        case AgentFactory():
            schema = agent.input_schema
            info = ComponentInfo(
                ref=ComponentRef(kind=ComponentKind.AGENT, id=agent.id),
                name=agent.name,
                description=agent.description,
                is_factory=True,
                input_schema_json=json.dumps(schema.model_json_schema()) if schema is not None else "",
                tools=(),
            )
            return Registration(agent, info)
        case Prototype():
            return _register_prototype(agent)
        case AbstractAgent():
            return _register_prototype(Prototype(agent))
        case _:
            msg = f"agents=[…] takes Agent, Prototype and AgentFactory objects, not {type(agent).__name__}"
            raise TypeError(msg)


def _register_prototype(prototype: Prototype) -> Registration:
    agent = prototype.agent
    if not agent.name:
        msg = "a shared agent needs a name, which is its id: Agent(…, name='support')"
        raise ValueError(msg)
    description = getattr(agent, "description", None)
    info = ComponentInfo(
        ref=ComponentRef(kind=ComponentKind.AGENT, id=agent.name),
        name=agent.name,
        description=description if isinstance(description, str) else "",
        is_factory=False,
        input_schema_json="",
        tools=tuple(_tools_of(agent)),
    )
    return Registration(prototype, info)


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
