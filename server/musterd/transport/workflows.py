"""WorkflowService: finds workflows and runs them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from musterd.auth import Resource
from musterd.domain.task import ComponentKind
from musterd.runtime.components.registry import Registry
from musterd.transport.catalog import Catalog
from musterd.transport.codec.components import encode_workflow
from musterd.transport.running import RunStreamer
from musterd_client.v1 import event_pb2, task_pb2
from musterd_client.v1 import workflow_service_pb2 as pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowServicer:
    """Serves WorkflowService."""

    registry: Registry
    runner: RunStreamer

    @property
    def _workflows(self) -> Catalog:
        return Catalog(
            registry=self.registry,
            kind=ComponentKind.WORKFLOW,
            resource=Resource.WORKFLOWS,
            id_field="workflow_id",
        )

    async def ListWorkflows(self, request: pb2.ListWorkflowsRequest) -> pb2.ListWorkflowsResponse:
        """Return a page of the workflows that the caller may run."""
        page, token = self._workflows.page(request, page_size=request.page_size, page_token=request.page_token)
        return pb2.ListWorkflowsResponse(workflows=[encode_workflow(info) for info in page], next_page_token=token)

    async def GetWorkflow(self, request: pb2.GetWorkflowRequest) -> pb2.GetWorkflowResponse:
        """Return one workflow."""
        return pb2.GetWorkflowResponse(workflow=encode_workflow(self._workflows.get(request.workflow_id)))

    def RunWorkflow(self, request: pb2.RunWorkflowRequest) -> AsyncIterator[pb2.RunWorkflowResponse]:
        """Run a workflow, and stream its events and those of its steps."""
        return self.runner.stream(request, self._workflows.ref(request.workflow_id), _run_response)


def _run_response(task: task_pb2.Task | None, events: Sequence[event_pb2.RunEvent]) -> pb2.RunWorkflowResponse:
    return pb2.RunWorkflowResponse(task=task, events=events)
