"""What hooks are given of a run, and may change."""

from dataclasses import dataclass, field
from typing import Any

from pydantic_ai.messages import ModelMessage

from musterd.domain.task import Part, Usage


@dataclass(slots=True, kw_only=True)
class RunInput:
    """What a run is asked to do. A pre-hook may assign `content`, and for a workflow also `input`.

    `content` is the text of the request, and `parts` are what was sent beside it: files, images, and further texts,
    which the model reads as well. `input` is the `factory_input` of the request, as JSON has it. `messages` are those
    of the session before this run, `usage` what the run has spent so far; changes of these, of `parts` and of `run_id`,
    are not looked at.
    """

    run_id: str
    content: str
    parts: tuple[Part, ...] = ()
    input: Any = field(default_factory=dict[str, Any])
    messages: list[ModelMessage] = field(default_factory=list[ModelMessage])
    usage: Usage = field(default_factory=Usage)


@dataclass(slots=True, kw_only=True)
class RunOutput:
    """What a run came to. A post-hook may assign `content`.

    `content` is the text of the answer, or the JSON value of a structured one: what it is after the last hook is the
    task's output. `messages` are those that the run added to its conversation, `usage` what it has spent; changes of
    these, and of `run_id`, are not looked at.
    """

    run_id: str
    content: Any
    messages: list[ModelMessage] = field(default_factory=list[ModelMessage])
    usage: Usage = field(default_factory=Usage)
