"""Takes the application's own events from tools into the log."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import CustomEvent
from pydantic_ai.toolsets import ToolsetTool, WrapperToolset
from pydantic_core import to_jsonable_python

from musterd.domain.event import Custom
from musterd.runtime.event_json import fitting

_OWN_FIELDS = frozenset(each.name for each in fields(CustomEvent))

Tell = Callable[[Custom], None]


@dataclass
class RelayToolset(WrapperToolset[Any]):
    """Tells the log of each CustomEvent that a tool emits through its context.

    pydantic-ai hands events to capabilities only in streaming mode, which costs several times a plain run: so the
    context that a tool gets is asked instead.
    """

    tell: Tell

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        """Call a tool, and relay what it emits."""
        _relay(ctx, self.tell)
        return await super().call_tool(name, tool_args, ctx, tool)


def _relay(ctx: RunContext[Any], tell: Tell) -> None:
    emit: Callable[[Any], Any] = ctx.emit

    async def emit_and_tell(event: Any, /) -> Any:
        if isinstance(event, CustomEvent):
            payload = {each.name: getattr(event, each.name) for each in fields(event) if each.name not in _OWN_FIELDS}
            made = to_jsonable_python(payload)
            tell(Custom(type=event.name, payload={name: fitting(value) for name, value in made.items()}))
        return await emit(event)

    setattr(ctx, "emit", emit_and_tell)  # noqa: B010 - a plain assignment to a method is not typed
