"""What the agents, teams and workflows of a workflow are asked."""

import json
from typing import Any

from pydantic_core import to_json

from musterd.workflows.passing import StepInput, checked_text


def filled(template: str, given: StepInput) -> str:
    """Return a prompt with its fields filled in. Raises LookupError and AttributeError for what is not there."""
    return template.format_map(
        {
            "request": given.request,
            "previous": given.previous.content if given.previous is not None else "",
            "outputs": _Contents({name: output.content for name, output in given.outputs.items()}),
            "input": given.input,
            "iteration": given.iteration,
            "feedback": given.feedback,
        }
    )


class _Contents(dict[str, str]):
    """What steps gave, by name. In a template a name of digits alone is a number."""

    def __missing__(self, name: str | int) -> str:
        if isinstance(name, int):
            return self[str(name)]
        raise KeyError(name)


def checked_prompt(prompt: object) -> str:
    """Return a prompt that an agent can be given. Raises TypeError or ValueError."""
    if not isinstance(prompt, str):
        raise TypeError(f"a prompt is a text, not a {type(prompt).__name__}")
    return checked_text(prompt)


def default_prompt(given: StepInput) -> str:
    """Return the request, what the step before gave, and what a reviewer said.

    A run without a message is about its input: then that is the request, as JSON.
    """
    paragraphs = [given.request or _input_text(given.input)]
    if (previous := given.previous) is not None:
        paragraphs.append(f"The step {previous.name!r} before this one gave:\n{previous.content}")
    if given.feedback:
        paragraphs.append(f"What a reviewer said of your last answer:\n{given.feedback}")
    return "\n\n".join(filter(None, paragraphs))


def _input_text(value: Any) -> str:
    text = to_json(value, fallback=str).decode()
    return "" if text in ("{}", "null") else json.dumps(json.loads(text), ensure_ascii=False)
