"""Page tokens: where the page before ended, bound to the caller, the method and the filters that made them."""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any, cast

from google.protobuf.message import Message

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.principal import Viewer

DIGEST_BYTES = 12


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
        try:
            decoded: Any = json.loads(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
        except (binascii.Error, ValueError):
            decoded = None
        if isinstance(decoded, list):
            digest, *position = map(str, cast("list[object]", decoded) or [""])
            if digest == self.digest and len(position) == length:
                return tuple(position)
        raise MusterdError(
            reason=Reason.PAGE_TOKEN_INVALID,
            message="page_token: take it from next_page_token of the same call with the same filters",
        )
