"""The sessions of a caller: conversations that several runs of one component make up."""

from collections.abc import AsyncIterator
from dataclasses import replace

from musterd_client.calls import Calls
from musterd_client.component_filter import component_filter
from musterd_client.methods import DELETE_SESSION, GET_SESSION, LIST_SESSIONS
from musterd_client.session_codec import session_entry_from, session_from
from musterd_client.session_model import Session, SessionEntry
from musterd_client.v1.session_service_pb2 import DeleteSessionRequest, GetSessionRequest, ListSessionsRequest


class Sessions:
    """Looks at the caller's sessions, and deletes them. Reached as `client.sessions`.

    A run belongs to a session when it is given its `session_id`. The same id with another component is another session:
    where an id is used with several, `agent_id`, `team_id` or `workflow_id` says which one. A session is its owner's
    alone; for everyone else each call raises NotFoundError. `user_id` says whose it is where the server asks for no
    token.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(
        self,
        *,
        session_id: str = "",
        agent_id: str = "",
        team_id: str = "",
        workflow_id: str = "",
        user_id: str = "",
        page_size: int = 50,
    ) -> AsyncIterator[Session]:
        """Yields the caller's sessions for which all given filters hold, latest first, page after page.

        Raises:
            ValueError: more than one component is given.
        """
        request = ListSessionsRequest(
            page_size=page_size,
            session_id=session_id,
            component=component_filter(agent_id, team_id, workflow_id),
            user_id=user_id,
        )
        while True:
            page = await self._calls.unary(LIST_SESSIONS, request)
            for session in page.sessions:
                yield session_from(session)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def get(
        self, session_id: str, *, agent_id: str = "", team_id: str = "", workflow_id: str = "", user_id: str = ""
    ) -> Session:
        """Returns the session as it stands now; `entries` has what was said in it.

        Raises:
            NotFoundError: there is no such session of the caller's.
            InvalidArgumentError: the id is used with several components.
            ValueError: more than one component is given.
        """
        component = component_filter(agent_id, team_id, workflow_id)
        request = GetSessionRequest(session_id=session_id, component=component, page_size=1, user_id=user_id)
        response = await self._calls.unary(GET_SESSION, request)
        return session_from(response.session)

    async def entries(
        self,
        session_id: str,
        *,
        agent_id: str = "",
        team_id: str = "",
        workflow_id: str = "",
        user_id: str = "",
        page_size: int = 50,
    ) -> AsyncIterator[SessionEntry]:
        """Yields what the session's runs added to it, oldest first, page after page. Raises what `get` does.

        Each entry is whole, also one that does not fit a page.
        """
        component = component_filter(agent_id, team_id, workflow_id)
        request = GetSessionRequest(session_id=session_id, component=component, page_size=page_size, user_id=user_id)
        begun: SessionEntry | None = None
        while True:
            page = await self._calls.unary(GET_SESSION, request)
            for entry in map(session_entry_from, page.entries):
                if begun is None:
                    begun = entry
                elif begun.position == entry.position:
                    begun = replace(begun, messages=begun.messages + entry.messages)
                else:
                    yield begun
                    begun = entry
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        if begun is not None:
            yield begun

    async def delete(
        self,
        session_id: str,
        *,
        agent_id: str = "",
        team_id: str = "",
        workflow_id: str = "",
        user_id: str = "",
        cancel_live_runs: bool = False,
    ) -> None:
        """Deletes the session, its messages, and the tasks of its runs with their logs.

        Raises:
            PreconditionFailedError: a run of it is under way, and is not to be canceled (SESSION_BUSY). The metadata
                names its task.
            NotFoundError: there is no such session; also when the answer to a call that deleted it was lost.
            ValueError: more than one component is given.
        """
        request = DeleteSessionRequest(
            session_id=session_id,
            component=component_filter(agent_id, team_id, workflow_id),
            cancel_live_runs=cancel_live_runs,
            user_id=user_id,
        )
        await self._calls.unary(DELETE_SESSION, request)
