"""SessionService: shows conversations, and deletes them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from musterd.auth import session_owner
from musterd.domain.principal import Principal, Viewer
from musterd.domain.session import Session, SessionEntry, SessionQuery
from musterd.domain.task import ComponentRef
from musterd.runtime.sessions import Sessions
from musterd.transport.call import Call, current_call
from musterd.transport.codec import requests as decode
from musterd.transport.codec.sessions import encode_entry, encode_message, encode_session, messages_of
from musterd.transport.codec.tasks import KIND_FROM_WIRE
from musterd.transport.paging import PageScope, page_token_invalid
from musterd_client.v1 import component_pb2
from musterd_client.v1 import session_service_pb2 as pb2

COMPONENT_KINDS = (
    component_pb2.COMPONENT_KIND_AGENT,
    component_pb2.COMPONENT_KIND_TEAM,
    component_pb2.COMPONENT_KIND_WORKFLOW,
)
"""What sessions are with."""

PAGE_MAX_BYTES = 1_048_576
"""A page of a session ends once its messages exceed this; only a single message may be larger."""

NUMBER_MAX_DIGITS = 18

Request = pb2.ListSessionsRequest | pb2.GetSessionRequest | pb2.DeleteSessionRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page of a session begins: with which message of which entry."""

    position: int
    message: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionServicer:
    """Serves SessionService. Nobody sees the sessions of others: neither administrators nor who may impersonate."""

    sessions: Sessions

    async def ListSessions(self, request: pb2.ListSessionsRequest) -> pb2.ListSessionsResponse:
        """Return a page of the caller's sessions, latest first."""
        call = current_call()
        scope = _page_scope(request, call)
        query = replace(
            _query(request, call.principal),
            limit=decode.page_size(request.page_size) + 1,
            before=_place(scope, request.page_token),
        )
        rows = await self.sessions.list(query)
        page = rows[: query.limit - 1]
        token = _token_after(scope, page[-1]) if len(rows) == query.limit else ""
        return pb2.ListSessionsResponse(sessions=[encode_session(session) for session in page], next_page_token=token)

    async def GetSession(self, request: pb2.GetSessionRequest) -> pb2.GetSessionResponse:
        """Return a session with a page of its history."""
        call = current_call()
        scope = _page_scope(request, call)
        limit = decode.page_size(request.page_size)
        begin = _begin(scope, request.page_token)
        session = await self.sessions.get(_only(request, call.principal))
        rows = await self.sessions.read(session.key, after_position=begin.position - 1, limit=limit + 1)
        entries, following = _fitting(rows, begin, limit)
        token = scope.token(str(following.position), str(following.message)) if following is not None else ""
        return pb2.GetSessionResponse(session=encode_session(session), entries=entries, next_page_token=token)

    async def DeleteSession(self, request: pb2.DeleteSessionRequest) -> pb2.DeleteSessionResponse:
        """Delete a session with all that its runs left."""
        session = await self.sessions.get(_only(request, current_call().principal))
        await self.sessions.delete(session.key, cancels=request.cancel_live_runs)
        return pb2.DeleteSessionResponse()


def _only(request: pb2.GetSessionRequest | pb2.DeleteSessionRequest, principal: Principal) -> SessionQuery:
    """Return what finds the one session that a request names."""
    query = _query(request, principal)
    decode.required_id("session_id", query.session_id)
    return query


def _query(request: Request, principal: Principal) -> SessionQuery:
    """Return which of the caller's sessions a request is about: only the one of its token, if that fixes one.

    Raises IDENTITY_MISMATCH when the request names another one, or another user.
    """
    user_id, session_id = session_owner(
        principal,
        decode.optional_id("user_id", request.user_id),
        decode.optional_id("session_id", request.session_id),
    )
    return SessionQuery(
        tenant_id=principal.tenant_id,
        user_id=user_id,
        session_id=session_id,
        component=_component(request.component) if request.HasField("component") else None,
        limit=1,
    )


def _component(message: component_pb2.ComponentRef) -> ComponentRef:
    kind = decode.enum_number("component.kind", message.kind, COMPONENT_KINDS)
    return ComponentRef(kind=KIND_FROM_WIRE[kind], id=decode.required_id("component.id", message.id))


def _page_scope(request: pb2.ListSessionsRequest | pb2.GetSessionRequest, call: Call) -> PageScope:
    owner = Viewer(tenant_id=call.principal.tenant_id, user_id=call.principal.user_id)
    return PageScope.of(request, owner, call.method)


def _token_after(scope: PageScope, session: Session) -> str:
    key = session.key
    return scope.token_at(session.update_time, key.session_id, key.component.kind.value, key.component.id)


def _place(scope: PageScope, token: str) -> tuple[datetime, str, str, str] | None:
    """Return the session that the page before ended with; None for the first page. Raises PAGE_TOKEN_INVALID."""
    if (place := scope.place_at(token, 3)) is None:
        return None
    update_time, (session_id, kind, component_id) = place
    return update_time, session_id, kind, component_id


def _begin(scope: PageScope, token: str) -> Place:
    """Return where a page begins. Raises PAGE_TOKEN_INVALID."""
    numbers = scope.position(token, 2) or ("1", "0")
    if not all(number.isdecimal() and len(number) <= NUMBER_MAX_DIGITS for number in numbers):
        raise page_token_invalid()
    position, message = map(int, numbers)
    return Place(position=position, message=message)


def _fitting(rows: Sequence[SessionEntry], begin: Place, limit: int) -> tuple[list[pb2.SessionEntry], Place | None]:
    """Return what fits a page of so many entries, and where the next one begins; None when all does."""
    entries: list[pb2.SessionEntry] = []
    size = 0
    for row in rows:
        if len(entries) == limit:
            return entries, Place(position=row.position)
        entry = encode_entry(row)
        skipped = begin.message if row.position == begin.position else 0
        for number, message in enumerate(messages_of(row)[skipped:], skipped):
            encoded = encode_message(message)
            size += encoded.ByteSize()
            if size > PAGE_MAX_BYTES and (entries or entry.messages):
                if entry.messages:
                    entries.append(entry)
                return entries, Place(position=row.position, message=number)
            entry.messages.append(encoded)
        entries.append(entry)
    return entries, None
