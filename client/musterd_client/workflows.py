"""The workflows of a server."""

from collections.abc import AsyncIterator

from musterd_client.calls import Calls
from musterd_client.methods import GET_WORKFLOW, LIST_WORKFLOWS
from musterd_client.v1.workflow_service_pb2 import GetWorkflowRequest, ListWorkflowsRequest
from musterd_client.workflow_codec import workflow_from
from musterd_client.workflow_model import Workflow


class Workflows:
    """Finds workflows. Reached as `client.workflows`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(self, *, page_size: int = 50) -> AsyncIterator[Workflow]:
        """Yields the workflows that the caller may run, ordered by id, page after page."""
        page_token = ""
        while True:
            request = ListWorkflowsRequest(page_size=page_size, page_token=page_token)
            page = await self._calls.unary(LIST_WORKFLOWS, request)
            for workflow in page.workflows:
                yield workflow_from(workflow)
            if not (page_token := page.next_page_token):
                return

    async def get(self, workflow_id: str) -> Workflow:
        """Returns one workflow.

        Raises:
            NotFoundError: there is none with this id, or the caller may not run it.
        """
        response = await self._calls.unary(GET_WORKFLOW, GetWorkflowRequest(workflow_id=workflow_id))
        return workflow_from(response.workflow)
