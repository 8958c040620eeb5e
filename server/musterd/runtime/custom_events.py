"""Takes the application's own events from tools into the log."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import CustomEvent
from pydantic_core import to_jsonable_python

from musterd.domain.event import Custom

_OWN_FIELDS = frozenset(each.name for each in fields(CustomEvent))


def relay_custom_events(ctx: RunContext[Any], tell: Callable[[Custom], None]) -> None:
    """Tell the log of each CustomEvent that a tool emits through `ctx`, before listeners in the process hear of it.

    pydantic-ai hands events to capabilities only in streaming mode, which costs several times a plain run: so the one
    context that this tool call gets is asked instead.
    """
    emit: Callable[[Any], Any] = ctx.emit

    async def emit_and_tell(event: Any, /) -> Any:
        if isinstance(event, CustomEvent):
            payload = {each.name: getattr(event, each.name) for each in fields(event) if each.name not in _OWN_FIELDS}
            tell(Custom(type=event.name, payload=to_jsonable_python(payload)))
        return await emit(event)

    setattr(ctx, "emit", emit_and_tell)  # noqa: B010 - a plain assignment to a method is not typed
