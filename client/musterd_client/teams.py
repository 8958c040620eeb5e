"""The teams of a server, and the boards of those that run."""

from collections.abc import AsyncIterator, Sequence

from musterd_client.calls import Calls
from musterd_client.methods import ADD_TODO, GET_TEAM, GET_TEAM_BOARD, LIST_TEAMS, SEND_TEAM_MESSAGE
from musterd_client.request_ids import new_request_id
from musterd_client.team_codec import board_from, team_from, team_message_from, todo_from
from musterd_client.team_model import Team, TeamBoard, TeamMessage, Todo
from musterd_client.v1.team_service_pb2 import (
    AddTodoRequest,
    GetTeamBoardRequest,
    GetTeamRequest,
    ListTeamsRequest,
    SendTeamMessageRequest,
)


class Teams:
    """Finds teams, and takes part in the work of those that run. Reached as `client.teams`.

    A board belongs to the task of a run: it is visible to whoever sees the task, and stays readable after its end.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(self, *, page_size: int = 50) -> AsyncIterator[Team]:
        """Yields the teams that the caller may run, ordered by id, page after page."""
        page_token = ""
        while True:
            page = await self._calls.unary(LIST_TEAMS, ListTeamsRequest(page_size=page_size, page_token=page_token))
            for team in page.teams:
                yield team_from(team)
            if not (page_token := page.next_page_token):
                return

    async def get(self, team_id: str) -> Team:
        """Returns one team.

        Raises:
            NotFoundError: there is none with this id, or the caller may not run it.
        """
        response = await self._calls.unary(GET_TEAM, GetTeamRequest(team_id=team_id))
        return team_from(response.team)

    async def board(self, task_id: str) -> TeamBoard:
        """Returns what the members of a team share, as it stands now.

        Raises:
            NotFoundError: there is no such task.
            PreconditionFailedError: the task is no team's (BOARD_NOT_FOUND).
        """
        response = await self._calls.unary(GET_TEAM_BOARD, GetTeamBoardRequest(task_id=task_id))
        return board_from(response.board)

    async def add_todo(
        self, task_id: str, content: str, blocked_by: Sequence[str] = (), request_id: str | None = None
    ) -> Todo:
        """Puts an item on the todo list of a running team, and returns it. `blocked_by` must be completed first.

        Raises:
            CallError: its `reason` is TODO_REFUSED when the rules of the list do not allow it, TEAM_ENDED when the team
                has ended.
        """
        request = AddTodoRequest(
            task_id=task_id, content=content, blocked_by=blocked_by, request_id=request_id or new_request_id()
        )
        response = await self._calls.unary(ADD_TODO, request)
        return todo_from(response.todo)

    async def send_message(
        self, task_id: str, content: str, receiver: str = "", request_id: str | None = None
    ) -> TeamMessage:
        """Sends a message to one member of a running team or to its `leader`; without a receiver, to all of them.

        Raises:
            CallError: its `reason` is MEMBER_NOT_FOUND when the team has no such member, TEAM_ENDED when the team has
                ended.
        """
        request = SendTeamMessageRequest(
            task_id=task_id, receiver=receiver, content=content, request_id=request_id or new_request_id()
        )
        response = await self._calls.unary(SEND_TEAM_MESSAGE, request)
        return team_message_from(response.message)
