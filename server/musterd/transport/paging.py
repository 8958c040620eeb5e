"""Page tokens: where the page before ended, bound to the caller, the method and the filters that made them."""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from google.protobuf.message import Message

from musterd.domain.errors import FieldViolation, MusterdError, Reason
from musterd.domain.principal import Viewer
from musterd.transport.codec.requests import NUL
from musterd.transport.codec.tasks import EPOCH, MICROSECOND

DIGEST_BYTES = 12
TOKEN_MAX_CHARS = 8_192


@dataclass(frozen=True, slots=True)
class PageScope:
    """What a token is good for: one method with one set of filters for one viewer."""

    digest: str

    @classmethod
    def of(cls, request: Message, viewer: Viewer, method: str) -> "PageScope":
        """Return the scope of a list request; its page_size and page_token do not count."""
        filters = type(request)()
        filters.CopyFrom(request)
        filters.ClearField("page_size")
        filters.ClearField("page_token")
        text = json.dumps([method, viewer.tenant_id, viewer.user_id]).encode()
        digest = hashlib.sha256(text + filters.SerializeToString(deterministic=True)).digest()
        return cls(base64.b64encode(digest[:DIGEST_BYTES]).decode())

    def token(self, *position: str) -> str:
        """Return the token of the page that begins after `position`."""
        return base64.urlsafe_b64encode(json.dumps([self.digest, *position]).encode()).decode()

    def position(self, token: str, length: int) -> tuple[str, ...] | None:
        """Return where the page before ended; None for the first page. Raises MusterdError PAGE_TOKEN_INVALID."""
        if not token:
            return None
        if len(token) <= TOKEN_MAX_CHARS:
            digest, *position = _decode(token)
            if digest == self.digest and len(position) == length:
                return tuple(position)
        raise page_token_invalid()

    def token_at(self, moment: datetime, *names: str) -> str:
        """Return the token of the page that begins after a row of a list that is ordered by time."""
        return self.token(str((moment - EPOCH) // MICROSECOND), *names)

    def position_at(self, token: str) -> tuple[datetime, str] | None:
        """Return the row that the page before ended with; None for the first page. Raises PAGE_TOKEN_INVALID."""
        place = self.place_at(token, 1)
        return None if place is None else (place[0], place[1][0])

    def place_at(self, token: str, names: int) -> tuple[datetime, Sequence[str]] | None:
        """Return the time and so many names of that row. Raises PAGE_TOKEN_INVALID."""
        if (position := self.position(token, names + 1)) is None:
            return None
        try:
            return EPOCH + int(position[0]) * MICROSECOND, position[1:]
        except (ValueError, OverflowError):
            raise page_token_invalid() from None


def _decode(token: str) -> Sequence[str]:
    """Return the digest and the position of a token; no position when it is none of ours."""
    try:
        decoded: Any = json.loads(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
        texts = [str(each) for each in cast("list[object]", decoded)] if isinstance(decoded, list) else []
        # No name has NUL, nor half of a surrogate pair.
        if NUL.encode() in "".join(texts).encode():
            texts = []
    except (binascii.Error, ValueError, RecursionError):
        texts = []
    return texts or [""]


def page_token_invalid() -> MusterdError:
    """Return the error for a token that this call has not made."""
    message = "take it from next_page_token of the same call with the same filters"
    return MusterdError(
        reason=Reason.PAGE_TOKEN_INVALID,
        message=f"page_token: {message}",
        violations=(FieldViolation(path="page_token", rule="page_token", message=message),),
    )
