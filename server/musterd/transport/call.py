"""What the interceptors found out about the call that is being served."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from google.protobuf.message import Message

from musterd.auth import authorize_component
from musterd.domain.ports import RequestKey
from musterd.domain.principal import Principal
from musterd.transport.codec.requests import request_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The verified caller, the RPC's full name, and the allow-listed part of the caller's metadata.

    `is_bound_to_component` means that the caller may do this to some components only: the servicer must ask for each.
    """

    principal: Principal
    method: str
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    is_bound_to_component: bool = False

    def check_component(self, component_id: str) -> None:
        """Raise MusterdError SCOPE_MISSING when the caller may not do this to a component."""
        if self.is_bound_to_component:
            authorize_component(self.principal, self.method, component_id)

    def request_key(self, request: Message) -> RequestKey | None:
        """Return what makes this call repeatable for its caller, or None when the request carries no request_id."""
        principal = self.principal
        return request_key(request, tenant_id=principal.tenant_id, user_id=principal.user_id, method=self.method)


_current: ContextVar[Call] = ContextVar("musterd-call")


def current_call() -> Call:
    """Return the call that is being served. Raises LookupError outside of one: no identity, no service."""
    return _current.get()


def set_current_call(call: Call) -> None:
    """Note whom the current RPC serves."""
    _current.set(call)
