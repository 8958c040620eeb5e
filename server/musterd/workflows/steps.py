"""The parts of a workflow: steps, and containers that say in which order and how often their steps run."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

from pydantic_ai.agent import AbstractAgent

from musterd.teams.team import Team
from musterd.workflows.checking import (
    check_function,
    check_name,
    checked_run,
    checked_steps,
    fields_of_template,
    function_name,
)
from musterd.workflows.flow import Flow
from musterd.workflows.passing import StepInput
from musterd.workflows.review import Review

MAX_LOOP_ITERATIONS = 1_000
"""How many turns a loop may be given."""

MAX_STEP_RETRIES = 100
"""How many retries a step may be given."""

MAX_RETRY_DELAY_SECONDS = 60.0
"""The longest time between two tries of a step: it doubles with each try up to here."""

StepFunction: TypeAlias = Callable[[StepInput], Any]
"""Takes the StepInput; returns a StepOutput, a text, anything that can be written as JSON, or an awaitable of it."""

Runnable: TypeAlias = AbstractAgent[Any, Any] | Team | Flow | StepFunction
Prompt: TypeAlias = str | Callable[[StepInput], str | Awaitable[str]]


class StepKind(StrEnum):
    """What a part of a workflow is."""

    AGENT = "agent"
    TEAM = "team"
    FUNCTION = "function"
    WORKFLOW = "workflow"
    STEPS = "steps"
    PARALLEL = "parallel"
    LOOP = "loop"
    CONDITION = "condition"
    ROUTER = "router"


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One piece of work, done by an agent, a team, another workflow, or a function.

    A function is called with a `StepInput`: a plain one in a thread, a coroutine function on the event loop, which it
    must not block. What it returns is stored, and not asked for again when the server restarts. An exception is a
    failed try.

    Args:
        name: The step's name, unique within its workflow.
        run: Who or what does it. No factories: a workflow that differs from run to run is built by a factory as a
            whole.
        prompt: What an agent, team or workflow is asked: a text with fields like `{request}`, `{previous}`,
            `{outputs[draft]}`, `{input}` and `{iteration}`, or a function of the StepInput. Without it the request,
            and what the step before gave.
        description: What the step is for.
        max_retries: How many more tries a failed one has.
        retry_delay_seconds: The time before the second try. It doubles with each further one, up to 60 s.
        timeout_seconds: The longest time of one try.
        skip_on_failure: Whether the workflow goes on without the step when its last try has failed.
        repeatable: Whether a function may run again that was cut off when the server stopped. One that is not is lost
            then, and the workflow with it. What agents, teams and workflows do always goes on where it was.
        review: Who looks at it.

    Raises:
        TypeError: `run` is none of these, or a function does not take one StepInput and return.
        ValueError: The name is empty, too long or not printable, a number is out of its range, or the prompt has a
            field that there is not, or is given for a function.
    """

    name: str
    run: Runnable
    _: KW_ONLY
    prompt: Prompt | None = None
    description: str = ""
    max_retries: int = 0
    retry_delay_seconds: float = 1.0
    timeout_seconds: float | None = None
    skip_on_failure: bool = False
    repeatable: bool = False
    review: Review | None = None

    def __post_init__(self) -> None:
        """Check what was given."""
        check_name(f"step {self.name!r}", self.name)
        checked_run(self.name, self.run)
        if not 0 <= self.max_retries <= MAX_STEP_RETRIES:
            raise ValueError(f"step {self.name!r}: max_retries is from 0 to {MAX_STEP_RETRIES}, not {self.max_retries}")
        if self.retry_delay_seconds < 0:
            raise ValueError(f"step {self.name!r}: retry_delay_seconds must not be negative")
        if self.timeout_seconds is not None and self.timeout_seconds <= 0:
            raise ValueError(f"step {self.name!r}: timeout_seconds must be more than 0, not {self.timeout_seconds:g}")
        if self.prompt is not None and self.kind is StepKind.FUNCTION:
            raise ValueError(f"step {self.name!r}: a function has no prompt, it reads its StepInput")
        if isinstance(self.prompt, str):
            fields_of_template(self.name, self.prompt)
        elif self.prompt is not None:
            check_function(f"step {self.name!r}: its prompt", self.prompt)

    @property
    def kind(self) -> StepKind:
        """Who or what does it."""
        match self.run:
            case AbstractAgent():
                return StepKind.AGENT
            case Team():
                return StepKind.TEAM
            case Flow():
                return StepKind.WORKFLOW
            case _:
                return StepKind.FUNCTION


class Container:
    """Steps that belong together. Use one of the classes made of it.

    In place of a `Step` a container takes an agent, a team, a workflow or a function as it is: that has a name, which
    is the step's. A container without a name is called by its kind, with a number when there are several.
    """

    kind: ClassVar[StepKind]

    def __init__(self, steps: object, *, name: str | None, description: str, others: object = ()) -> None:
        where = self.kind.value if name is None else f"{self.kind.value} {name!r}"
        if name is not None:
            check_name(where, name)
        self.name = name
        self.description = description
        self.steps = steps_of(where, "steps", steps)
        self.else_steps = steps_of(where, "else_steps", others) if others != () else ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name or ''!r}, {len(self.steps)} steps)"


class Steps(Container):
    """Steps one after the other, each with what the one before gave. What the last one gives is the result."""

    kind = StepKind.STEPS

    def __init__(self, *steps: "StepLike | Sequence[StepLike]", name: str | None = None, description: str = "") -> None:
        super().__init__(_listed(steps), name=name, description=description)


class Parallel(Container):
    """Steps at the same time. Each sees what was there before them; none sees what the others give.

    The result is a JSON object with what each of them gave by its name, and as text all of it together. When one fails
    the others are canceled.
    """

    kind = StepKind.PARALLEL

    def __init__(self, *steps: "StepLike | Sequence[StepLike]", name: str | None = None, description: str = "") -> None:
        super().__init__(_listed(steps), name=name, description=description)


class Loop(Container):
    """Steps again and again, at most `max_iterations` times.

    After each turn `end_condition` is called with a StepInput whose `previous` is what the turn gave; True ends the
    loop. It may be called again after a restart of the server, and must only decide. The result is that of the last
    turn. Raises ValueError unless `max_iterations` is from 1 to 1,000.
    """

    kind = StepKind.LOOP

    def __init__(
        self,
        steps: "StepLike | Sequence[StepLike]",
        max_iterations: int,
        end_condition: Callable[[StepInput], bool | Awaitable[bool]] | None = None,
        *,
        name: str | None = None,
        description: str = "",
    ) -> None:
        super().__init__(steps, name=name, description=description)
        if not 1 <= max_iterations <= MAX_LOOP_ITERATIONS:
            raise ValueError(f"a loop has from 1 to {MAX_LOOP_ITERATIONS} iterations, not {max_iterations}")
        if end_condition is not None:
            check_decider("a loop", "end_condition", end_condition)
        self.max_iterations = max_iterations
        self.end_condition = end_condition


class Condition(Container):
    """Steps that run when `evaluator` returns True, and others, if there are any, when it does not.

    The evaluator is called with the StepInput, once; after a restart of the server maybe again. It must only decide.
    """

    kind = StepKind.CONDITION

    def __init__(
        self,
        evaluator: Callable[[StepInput], bool | Awaitable[bool]],
        steps: "StepLike | Sequence[StepLike]",
        else_steps: "StepLike | Sequence[StepLike]" = (),
        *,
        name: str | None = None,
        description: str = "",
    ) -> None:
        super().__init__(steps, name=name, description=description, others=else_steps)
        check_decider("a condition", "evaluator", evaluator)
        self.evaluator = evaluator


class Router(Container):
    """Steps of which a function chooses those that run.

    `selector` is called with the StepInput, as an evaluator is. It returns the name of a choice, or a list of names:
    those run one after the other. An empty list leaves all of them out.
    """

    kind = StepKind.ROUTER

    def __init__(
        self,
        choices: "StepLike | Sequence[StepLike]",
        selector: Callable[[StepInput], str | Sequence[str] | Awaitable[str | Sequence[str]]],
        *,
        name: str | None = None,
        description: str = "",
    ) -> None:
        super().__init__(choices, name=name, description=description)
        check_decider("a router", "selector", selector)
        self.selector = selector


StepLike: TypeAlias = Step | Container | Runnable


def _listed(steps: Sequence[Any]) -> Any:
    return steps[0] if len(steps) == 1 else steps


def check_decider(owner: str, argument: str, function: object) -> None:
    """Raise TypeError for what cannot be called with a StepInput."""
    if isinstance(function, type) or not callable(function):
        raise TypeError(f"{owner} needs a function of a StepInput as its {argument}, not {function!r}")
    check_function(f"{owner}: its {argument}", function)


def steps_of(where: str, argument: str, given: object) -> tuple[Step | Container, ...]:
    """Return the steps that somebody gave, one or a list, each as a Step or a container.

    Raises TypeError for what is no step, ValueError for an empty list, and for what has no name.
    """
    return tuple(
        each if isinstance(each, Step | Container) else Step(function_name(f"{where}: {argument}[{index}]", each), each)
        for index, each in enumerate(checked_steps(where, argument, given, (Step, Container)))
    )
