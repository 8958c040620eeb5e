"""Translates the values of workflows from messages of the contract."""

from musterd_client import workflow_model
from musterd_client.codec import EnumDecoder
from musterd_client.v1 import component_pb2, event_pb2

workflow_step_kind_from = EnumDecoder(
    component_pb2.WorkflowStepKind, workflow_model.WorkflowStepKind, "WORKFLOW_STEP_KIND_"
)


def workflow_from(message: component_pb2.Workflow) -> workflow_model.Workflow:
    """Returns the workflow with its steps."""
    return workflow_model.Workflow(
        workflow_id=message.workflow_id,
        name=message.name,
        description=message.description,
        is_factory=message.is_factory,
        input_schema_json=message.input_schema_json,
        steps=tuple(workflow_step_from(step) for step in message.steps),
    )


def workflow_step_from(message: component_pb2.WorkflowStep) -> workflow_model.WorkflowStep:
    """Returns the step with those inside it."""
    return workflow_model.WorkflowStep(
        name=message.name,
        kind=workflow_step_kind_from(message.kind),
        description=message.description,
        steps=tuple(workflow_step_from(step) for step in message.steps),
        else_steps=tuple(workflow_step_from(step) for step in message.else_steps),
        max_iterations=message.max_iterations,
    )


def step_place_from(message: event_pb2.StepPlace) -> workflow_model.StepPlace:
    """Returns where in a workflow something happened."""
    return workflow_model.StepPlace(
        name=message.name, path=tuple(message.path), index=message.index, iteration=message.iteration
    )
