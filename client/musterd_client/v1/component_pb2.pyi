from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ComponentKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPONENT_KIND_UNSPECIFIED: _ClassVar[ComponentKind]
    COMPONENT_KIND_AGENT: _ClassVar[ComponentKind]
    COMPONENT_KIND_TEAM: _ClassVar[ComponentKind]
    COMPONENT_KIND_WORKFLOW: _ClassVar[ComponentKind]
    COMPONENT_KIND_SUBAGENT: _ClassVar[ComponentKind]
    COMPONENT_KIND_MEMBER: _ClassVar[ComponentKind]
    COMPONENT_KIND_STEP: _ClassVar[ComponentKind]

class TeamMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TEAM_MODE_UNSPECIFIED: _ClassVar[TeamMode]
    TEAM_MODE_COORDINATE: _ClassVar[TeamMode]
    TEAM_MODE_ROUTE: _ClassVar[TeamMode]
    TEAM_MODE_BROADCAST: _ClassVar[TeamMode]
    TEAM_MODE_TASKS: _ClassVar[TeamMode]

class WorkflowStepKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKFLOW_STEP_KIND_UNSPECIFIED: _ClassVar[WorkflowStepKind]
    WORKFLOW_STEP_KIND_AGENT: _ClassVar[WorkflowStepKind]
    WORKFLOW_STEP_KIND_TEAM: _ClassVar[WorkflowStepKind]
    WORKFLOW_STEP_KIND_FUNCTION: _ClassVar[WorkflowStepKind]
    WORKFLOW_STEP_KIND_WORKFLOW: _ClassVar[WorkflowStepKind]
    WORKFLOW_STEP_KIND_STEPS: _ClassVar[WorkflowStepKind]
    WORKFLOW_STEP_KIND_PARALLEL: _ClassVar[WorkflowStepKind]
    WORKFLOW_STEP_KIND_LOOP: _ClassVar[WorkflowStepKind]
    WORKFLOW_STEP_KIND_CONDITION: _ClassVar[WorkflowStepKind]
    WORKFLOW_STEP_KIND_ROUTER: _ClassVar[WorkflowStepKind]
COMPONENT_KIND_UNSPECIFIED: ComponentKind
COMPONENT_KIND_AGENT: ComponentKind
COMPONENT_KIND_TEAM: ComponentKind
COMPONENT_KIND_WORKFLOW: ComponentKind
COMPONENT_KIND_SUBAGENT: ComponentKind
COMPONENT_KIND_MEMBER: ComponentKind
COMPONENT_KIND_STEP: ComponentKind
TEAM_MODE_UNSPECIFIED: TeamMode
TEAM_MODE_COORDINATE: TeamMode
TEAM_MODE_ROUTE: TeamMode
TEAM_MODE_BROADCAST: TeamMode
TEAM_MODE_TASKS: TeamMode
WORKFLOW_STEP_KIND_UNSPECIFIED: WorkflowStepKind
WORKFLOW_STEP_KIND_AGENT: WorkflowStepKind
WORKFLOW_STEP_KIND_TEAM: WorkflowStepKind
WORKFLOW_STEP_KIND_FUNCTION: WorkflowStepKind
WORKFLOW_STEP_KIND_WORKFLOW: WorkflowStepKind
WORKFLOW_STEP_KIND_STEPS: WorkflowStepKind
WORKFLOW_STEP_KIND_PARALLEL: WorkflowStepKind
WORKFLOW_STEP_KIND_LOOP: WorkflowStepKind
WORKFLOW_STEP_KIND_CONDITION: WorkflowStepKind
WORKFLOW_STEP_KIND_ROUTER: WorkflowStepKind

class ComponentRef(_message.Message):
    __slots__ = ("kind", "id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    kind: ComponentKind
    id: str
    def __init__(self, kind: _Optional[_Union[ComponentKind, str]] = ..., id: _Optional[str] = ...) -> None: ...

class Agent(_message.Message):
    __slots__ = ("agent_id", "name", "description", "is_factory", "input_schema_json", "tools")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    IS_FACTORY_FIELD_NUMBER: _ClassVar[int]
    INPUT_SCHEMA_JSON_FIELD_NUMBER: _ClassVar[int]
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    name: str
    description: str
    is_factory: bool
    input_schema_json: str
    tools: _containers.RepeatedCompositeFieldContainer[Tool]
    def __init__(self, agent_id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., is_factory: _Optional[bool] = ..., input_schema_json: _Optional[str] = ..., tools: _Optional[_Iterable[_Union[Tool, _Mapping]]] = ...) -> None: ...

class Tool(_message.Message):
    __slots__ = ("name", "description", "parameters_schema_json")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_SCHEMA_JSON_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    parameters_schema_json: str
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., parameters_schema_json: _Optional[str] = ...) -> None: ...

class Team(_message.Message):
    __slots__ = ("team_id", "name", "description", "is_factory", "input_schema_json", "mode", "members")
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    IS_FACTORY_FIELD_NUMBER: _ClassVar[int]
    INPUT_SCHEMA_JSON_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    team_id: str
    name: str
    description: str
    is_factory: bool
    input_schema_json: str
    mode: TeamMode
    members: _containers.RepeatedCompositeFieldContainer[TeamMember]
    def __init__(self, team_id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., is_factory: _Optional[bool] = ..., input_schema_json: _Optional[str] = ..., mode: _Optional[_Union[TeamMode, str]] = ..., members: _Optional[_Iterable[_Union[TeamMember, _Mapping]]] = ...) -> None: ...

class TeamMember(_message.Message):
    __slots__ = ("name", "role", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    role: str
    description: str
    def __init__(self, name: _Optional[str] = ..., role: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class Workflow(_message.Message):
    __slots__ = ("workflow_id", "name", "description", "is_factory", "input_schema_json", "steps")
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    IS_FACTORY_FIELD_NUMBER: _ClassVar[int]
    INPUT_SCHEMA_JSON_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    workflow_id: str
    name: str
    description: str
    is_factory: bool
    input_schema_json: str
    steps: _containers.RepeatedCompositeFieldContainer[WorkflowStep]
    def __init__(self, workflow_id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., is_factory: _Optional[bool] = ..., input_schema_json: _Optional[str] = ..., steps: _Optional[_Iterable[_Union[WorkflowStep, _Mapping]]] = ...) -> None: ...

class WorkflowStep(_message.Message):
    __slots__ = ("name", "kind", "description", "steps", "else_steps", "max_iterations")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    ELSE_STEPS_FIELD_NUMBER: _ClassVar[int]
    MAX_ITERATIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: WorkflowStepKind
    description: str
    steps: _containers.RepeatedCompositeFieldContainer[WorkflowStep]
    else_steps: _containers.RepeatedCompositeFieldContainer[WorkflowStep]
    max_iterations: int
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[WorkflowStepKind, str]] = ..., description: _Optional[str] = ..., steps: _Optional[_Iterable[_Union[WorkflowStep, _Mapping]]] = ..., else_steps: _Optional[_Iterable[_Union[WorkflowStep, _Mapping]]] = ..., max_iterations: _Optional[int] = ...) -> None: ...
