"""TeamService: finds teams, runs them, and takes part in their work."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from musterd.auth import Resource, viewer_of
from musterd.domain.task import ComponentKind
from musterd.runtime.boards import Boards
from musterd.runtime.components.registry import Registry
from musterd.transport.call import current_call
from musterd.transport.catalog import Catalog
from musterd.transport.codec import requests as decode
from musterd.transport.codec.boards import encode_board, encode_message, encode_todo
from musterd.transport.codec.components import encode_team
from musterd.transport.running import RunStreamer
from musterd_client.v1 import event_pb2, task_pb2
from musterd_client.v1 import team_service_pb2 as pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamServicer:
    """Serves TeamService."""

    registry: Registry
    runner: RunStreamer
    boards: Boards

    @property
    def _teams(self) -> Catalog:
        return Catalog(registry=self.registry, kind=ComponentKind.TEAM, resource=Resource.TEAMS, id_field="team_id")

    async def ListTeams(self, request: pb2.ListTeamsRequest) -> pb2.ListTeamsResponse:
        """Return a page of the teams that the caller may run."""
        page, token = self._teams.page(request, page_size=request.page_size, page_token=request.page_token)
        return pb2.ListTeamsResponse(teams=[encode_team(info) for info in page], next_page_token=token)

    async def GetTeam(self, request: pb2.GetTeamRequest) -> pb2.GetTeamResponse:
        """Return one team."""
        return pb2.GetTeamResponse(team=encode_team(self._teams.get(request.team_id)))

    def RunTeam(self, request: pb2.RunTeamRequest) -> AsyncIterator[pb2.RunTeamResponse]:
        """Run a team, and stream its events and those of its members."""
        return self.runner.stream(request, self._teams.ref(request.team_id), _run_response)

    async def GetTeamBoard(self, request: pb2.GetTeamBoardRequest) -> pb2.GetTeamBoardResponse:
        """Return what the members of a team share."""
        task_id = decode.required_id("task_id", request.task_id)
        board, turns = await self.boards.get(viewer_of(current_call().principal), task_id)
        return pb2.GetTeamBoardResponse(board=encode_board(task_id, board, turns))

    async def AddTodo(self, request: pb2.AddTodoRequest) -> pb2.AddTodoResponse:
        """Put an item on the todo list of a running team."""
        call = current_call()
        todo = await self.boards.add_todo(
            viewer_of(call.principal),
            task_id=decode.required_id("task_id", request.task_id),
            content=decode.todo_content(request.content),
            blocked_by=decode.blocked_by(request.blocked_by),
            user_id=call.principal.user_id,
            request=call.request_key(request),
        )
        return pb2.AddTodoResponse(todo=encode_todo(todo))

    async def SendTeamMessage(self, request: pb2.SendTeamMessageRequest) -> pb2.SendTeamMessageResponse:
        """Send a message to one member of a running team, or to all."""
        call = current_call()
        message = await self.boards.send(
            viewer_of(call.principal),
            task_id=decode.required_id("task_id", request.task_id),
            receiver=decode.optional_id("receiver", request.receiver),
            content=decode.team_message(request.content),
            user_id=call.principal.user_id,
            request=call.request_key(request),
        )
        return pb2.SendTeamMessageResponse(message=encode_message(message))


def _run_response(task: task_pb2.Task | None, events: Sequence[event_pb2.RunEvent]) -> pb2.RunTeamResponse:
    return pb2.RunTeamResponse(task=task, events=events)
