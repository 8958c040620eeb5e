"""Checks what authors make workflows of. Each refusal says where it is, what is wrong, and what to do instead."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from string import Formatter
from typing import Any, cast

from pydantic_ai.agent import AbstractAgent

from musterd.teams.team import Team
from musterd.workflows.flow import Flow

MAX_STEP_NAME_CHARS = 128
"""How long the name of a step may be: it is the id of the task that does it."""

TEMPLATE_FIELDS = ("request", "previous", "outputs", "input", "iteration", "feedback")
_OUTPUTS = "outputs["


def check_name(where: str, name: object) -> None:
    """Raise ValueError for a name that clients could not show or send back."""
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"{where} needs a name")
    if len(name) > MAX_STEP_NAME_CHARS:
        raise ValueError(f"{where}: a name has at most {MAX_STEP_NAME_CHARS} characters, not {len(name)}")
    if not name.isprintable():
        raise ValueError(f"{where}: a name has printable characters only")


def checked_run(step: str, run: object) -> None:
    """Raise TypeError for what no step can run."""
    if not _can_run(run):
        raise TypeError(f"step {step!r}: {_refusal(run)}")
    if not isinstance(run, AbstractAgent | Team | Flow):
        check_function(f"step {step!r}: its function", cast("Callable[..., object]", run))


def check_function(where: str, function: Callable[..., object]) -> None:
    """Raise TypeError for what cannot be called with a StepInput, or does not return what it gives."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{where} must return what it gives, and not yield it")
    try:
        signature = inspect.signature(function)
    except ValueError:
        # Some that are not written in Python do not tell.
        return
    try:
        signature.bind(None)
    except TypeError as error:
        raise TypeError(f"{where} must take one argument, a StepInput: {error}") from None


def checked_steps(where: str, argument: str, given: object, kinds: tuple[type, ...]) -> Sequence[Any]:
    """Return the list of what may become steps. Raises TypeError and ValueError."""
    steps = cast("Sequence[object]", given) if isinstance(given, list | tuple) else (given,)
    if not steps:
        raise ValueError(f"{where} has no {argument}: give it at least one")
    for index, each in enumerate(steps):
        if not isinstance(each, kinds) and not _can_run(each):
            raise TypeError(f"{where}: {argument}[{index}]: {_refusal(each)}")
    return steps


def function_name(where: str, run: object) -> str:
    """Return the name of what is to be a step as it is. Raises ValueError when it has none."""
    name = run.name if isinstance(run, AbstractAgent | Team | Flow) else getattr(run, "__name__", None)
    if not isinstance(name, str) or not name or name == "<lambda>":
        raise ValueError(f"{where} has no name: wrap it, Step('…', …)")
    return name


def fields_of_template(step: str, template: str) -> None:
    """Raise ValueError for a prompt with a field that there is not."""
    try:
        fields = [field for _, field, _, _ in Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise ValueError(f"step {step!r}: the prompt is no template: {error}; write {{{{ for a brace") from None
    for field in fields:
        name = field.partition(".")[0].partition("[")[0]
        if name not in TEMPLATE_FIELDS:
            known = ", ".join(f"{{{each}}}" for each in TEMPLATE_FIELDS)
            raise ValueError(f"step {step!r}: the prompt has no field {{{field}}}; there are {known}")


def outputs_of_template(template: str) -> Iterator[str]:
    """Go through the names of the steps whose outputs a prompt has."""
    for _, field, _, _ in Formatter().parse(template):
        if field is not None and field.startswith(_OUTPUTS):
            yield field.removeprefix(_OUTPUTS).partition("]")[0]


def _can_run(run: object) -> bool:
    if isinstance(run, AbstractAgent | Team | Flow):
        return True
    return isinstance(run, Callable) and not isinstance(run, type)


def _refusal(run: object) -> str:
    found = f"the class {run.__name__}" if isinstance(run, type) else f"a {type(run).__name__}"
    return (
        f"{found} is no step: a step is an agent, a team, a workflow or a function of a StepInput. A factory cannot be "
        "a step: register a WorkflowFactory that builds the whole workflow with the steps of this run"
    )
