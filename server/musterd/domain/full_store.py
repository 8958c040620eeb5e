"""All that a database does for the server, as one port."""

from typing import Protocol

from musterd.domain.approval_store import ApprovalStore
from musterd.domain.hook_store import HookStore
from musterd.domain.ports import Store
from musterd.domain.session_store import SessionStore


class FullStore(Store, ApprovalStore, SessionStore, HookStore, Protocol):
    """What an adapter implements. Each part of the runtime asks for no more of it than it uses."""
