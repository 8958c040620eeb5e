"""What goes into a step of a workflow, and what comes out of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai.messages import ModelMessage
from pydantic_core import PydanticSerializationError, from_json, to_json

from musterd.domain.context import RequestContext
from musterd.domain.task import Part


@dataclass(frozen=True, slots=True)
class StepOutput:
    """What a step gave: a text, and for a structured result its JSON value.

    A function may return one instead of a plain value, above all to end the workflow early: with `stop` no further step
    runs, and this is the workflow's result. The other fields are filled in by the server: `name` is the step's,
    `is_skipped` is true for a step that was left out, `outputs` are those of the steps inside a container.
    """

    content: str = ""
    value: Any = None
    stop: bool = False
    name: str = ""
    is_skipped: bool = False
    outputs: Mapping[str, "StepOutput"] = field(default_factory=dict[str, "StepOutput"])

    @property
    def json(self) -> str:
        """The value as JSON; empty for a plain text."""
        return "" if self.value is None else json.dumps(self.value, ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInput:
    """What a step may know. Handed to its function or `prompt`, and to whatever decides how the workflow goes on.

    `request` is the message of the run, `parts` what came beside it. `input` is the instance of the input_schema, or
    the raw object when there is none. `previous` is the output of the step before, leaving out those that were skipped;
    None for the first. `outputs` has those of all steps that are done, by name, from the latest turn of a loop.
    `iteration` is the turn of the innermost loop around the step, from 1; 0 outside of loops. `feedback` is why a
    reviewer wants another try. `history` is what was said in the session before.
    """

    request: str = ""
    parts: tuple[Part, ...] = ()
    input: Any = None
    previous: StepOutput | None = None
    outputs: Mapping[str, StepOutput] = field(default_factory=dict[str, StepOutput])
    iteration: int = 0
    feedback: str = ""
    context: RequestContext
    history: tuple[ModelMessage, ...] = ()


def output_of(name: str, returned: Any) -> StepOutput:
    """Return what a function returned as the output of its step: always what it would be when read from the store.

    Raises TypeError when the content is no text, ValueError when it cannot be written as JSON.
    """
    if isinstance(returned, StepOutput):
        content: Any = returned.content or ""
        if not isinstance(content, str):
            raise TypeError(f"the content of a StepOutput is a text, not a {type(content).__name__}: give it as value")
        value = _json_value(returned.value)
        return StepOutput(checked_text(content) or _text_of(value), value, stop=bool(returned.stop), name=name)
    if returned is None or isinstance(returned, str):
        return StepOutput(checked_text(returned or ""), name=name)
    value = _json_value(returned)
    return StepOutput(_text_of(value), value, name=name)


def _text_of(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json_value(value: Any) -> Any:
    try:
        return from_json(to_json(value, inf_nan_mode="null"))
    except (PydanticSerializationError, UnicodeError) as error:
        raise ValueError(f"a {type(value).__name__} cannot be written as JSON") from error


def checked_text(text: str) -> str:
    """Return a text that can be stored. Raises ValueError for any other."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("the text has characters that cannot be written as UTF-8") from error
    return text


def dump_output(output: StepOutput) -> bytes:
    """Return an output as it is stored. What is in `outputs` is stored with the steps inside."""
    return to_json(
        {"content": output.content, "value": output.value, "stop": output.stop, "is_skipped": output.is_skipped}
    )


def load_output(name: str, data: bytes) -> StepOutput:
    """Return the output that was stored of a step."""
    return StepOutput(name=name, **from_json(data))
