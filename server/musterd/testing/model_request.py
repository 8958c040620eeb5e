"""What the fake model was asked: one chat-completions request, read into values that tests and rules can ask about."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

_JSON_OBJECT = TypeAdapter(dict[str, JsonValue])


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class CalledFunction(_Wire):
    """Which function an earlier answer called, with which JSON text as arguments."""

    name: str
    arguments: str


class ToolCall(_Wire):
    """A tool call of an earlier answer, as the client repeats it."""

    id: str
    function: CalledFunction


class ContentPart(_Wire):
    """A part of a message; only text parts have text."""

    type: str
    text: str = ""


class ChatMessage(_Wire):
    """One message of the conversation so far."""

    role: str
    content: str | tuple[ContentPart, ...] | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""

    @property
    def text(self) -> str:
        """The message's text, its parts joined."""
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        return "".join(part.text for part in self.content)


class OfferedFunction(_Wire):
    """A function that the model may call, with the JSON Schema of its arguments."""

    name: str
    description: str = ""
    parameters: Mapping[str, JsonValue] = Field(default_factory=dict[str, JsonValue])


class OfferedTool(_Wire):
    """A tool of the request."""

    function: OfferedFunction


class StreamOptions(_Wire):
    """What the client wants of the stream."""

    include_usage: bool = False


class ChatRequest(_Wire):
    """One request to the model.

    `number` counts from 1, header names are lower-case, `body` is all of the request's JSON.
    """

    number: int
    headers: Mapping[str, str]
    body: Mapping[str, JsonValue]
    model: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[OfferedTool, ...] = ()
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()

    @property
    def prompt(self) -> str:
        """The text of the last user message, or nothing."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")

    @property
    def instructions(self) -> str:
        """The texts of the system and developer messages, a line break between them."""
        return "\n".join(message.text for message in self.messages if message.role in {"system", "developer"})

    @property
    def tool_names(self) -> tuple[str, ...]:
        """The names of the tools that the model may call, in their order."""
        return tuple(tool.function.name for tool in self.tools)

    @property
    def tool_results(self) -> dict[str, str]:
        """What the tools returned so far, by tool call id."""
        return {message.tool_call_id: message.text for message in self.messages if message.role == "tool"}


def read_request(number: int, headers: Mapping[str, str], content: bytes) -> ChatRequest:
    """Return the request that an HTTP body holds. ValidationError when it holds none."""
    body = _JSON_OBJECT.validate_json(content)
    return ChatRequest.model_validate({**body, "number": number, "headers": dict(headers), "body": body})
