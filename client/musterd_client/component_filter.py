"""Names the one component that a list is about."""

from musterd_client.codec import enum_name
from musterd_client.model import ComponentKind
from musterd_client.v1.component_pb2 import ComponentRef


def component_filter(agent_id: str, team_id: str, workflow_id: str) -> ComponentRef | None:
    """Returns the component whose id is given; None when there is none.

    Raises:
        ValueError: more than one is given.
    """
    given = {ComponentKind.AGENT: agent_id, ComponentKind.TEAM: team_id, ComponentKind.WORKFLOW: workflow_id}
    named = [(kind, component_id) for kind, component_id in given.items() if component_id]
    if not named:
        return None
    if len(named) > 1:
        raise ValueError("give one of agent_id, team_id and workflow_id, not more: it is about one component")
    ((kind, component_id),) = named
    return ComponentRef(kind=enum_name("COMPONENT_KIND_", kind), id=component_id)
