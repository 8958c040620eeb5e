"""Finds registered components for the services of their kinds: the id in a request, one by it, and pages of all."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.message import Message

from musterd.auth import Action, Resource, allows, viewer_of
from musterd.domain.task import ComponentKind, ComponentRef
from musterd.runtime.components.registry import ComponentInfo, Registry
from musterd.transport.call import current_call
from musterd.transport.codec import requests as decode
from musterd.transport.paging import PageScope


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The components of one kind, as the caller may see them. `id_field` is what requests call their id."""

    registry: Registry
    kind: ComponentKind
    resource: Resource
    id_field: str

    def ref(self, component_id: str) -> ComponentRef:
        """Return the component that a request names. Raises SCOPE_MISSING when the call may not be about it."""
        ref = ComponentRef(kind=self.kind, id=decode.required_id(self.id_field, component_id))
        current_call().check_component(ref.id)
        return ref

    def get(self, component_id: str) -> ComponentInfo:
        """Return one component. Raises SCOPE_MISSING and COMPONENT_NOT_FOUND."""
        return self.registry.find(self.ref(component_id)).info

    def page(self, request: Message, *, page_size: int, page_token: str) -> tuple[Sequence[ComponentInfo], str]:
        """Return a page of the components that the caller may run, ordered by id, and the token of the next page."""
        call = current_call()
        size = decode.page_size(page_size)
        scope = PageScope.of(request, viewer_of(call.principal), call.method)
        position = scope.position(page_token, 1)
        infos = [
            info
            for info in self.registry.list(self.kind)
            if allows(call.principal.scopes, self.resource, Action.RUN, info.ref.id)
            and (position is None or info.ref.id > position[0])
        ]
        page = infos[:size]
        return page, scope.token(page[-1].ref.id) if len(infos) > size else ""
