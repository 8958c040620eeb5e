"""How hooks are read: what each one is called with, and which are refused."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from pydantic_ai import Agent

from musterd import AgentFactory, Musterd, Prototype, Team, TeamFactory, Workflow, WorkflowFactory
from musterd.domain.hook_run import HookPhase
from musterd.hooks import Hook, hook, prepare_hooks

AGENT = Agent("test", name="agent")


def read(call: Callable[..., Any], phase: HookPhase = HookPhase.PRE) -> Hook:
    """Return a hook as it was read."""
    (one,) = prepare_hooks("owner", [call], phase)
    return one


class Checker:
    """A hook that has settings."""

    def __init__(self, words: int = 3) -> None:
        self.words = words

    async def __call__(self, run_input: object) -> None:
        del run_input


def everything(
    run_input: object,
    *,
    context: object,
    component: object,
    agent: object,
    team: object,
    workflow: object,
    session: object,
    task: object,
) -> None:
    del run_input, context, component, agent, team, workflow, session, task


def any_names(*others: object, **values: object) -> None:
    del others, values


def some(task: object, verbose: bool = False, *, session: object) -> None:
    del task, verbose, session


def nothing() -> None:
    """Want nothing of the run."""


NAMES = {"run_input", "context", "component", "agent", "team", "workflow", "session", "task"}


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (everything, NAMES),
        (any_names, NAMES),
        (some, {"task", "session"}),
        (nothing, set[str]()),
        (Checker(), {"run_input"}),
        (partial(some, verbose=True), {"task", "session"}),
        (partial(some, session="mine"), {"task"}),
        (partial(some, "mine"), {"session"}),
    ],
)
def test_a_hook_gets_what_it_names(call: Callable[..., Any], names: set[str]) -> None:
    """H1: and nothing that the author has bound already."""
    assert read(call).arguments == names


def test_a_post_hook_gets_the_output() -> None:
    """H1."""
    assert read(wants_output, HookPhase.POST).arguments == {"run_output", "task"}


@pytest.mark.parametrize(
    ("call", "name"),
    [(nothing, "nothing"), (Checker(), "Checker"), (partial(some), "some"), (Checker(2).__call__, "__call__")],
)
def test_a_hook_has_the_name_of_its_function_or_class(call: Callable[..., Any], name: str) -> None:
    """H4."""
    assert read(call).name == name


def wants_unknown(run_input: object, user: object) -> None:
    del run_input, user


def wants_output(run_output: object, task: object) -> None:
    del run_output, task


def by_position(run_input: object, /) -> None:
    del run_input


def yielding(run_input: object) -> Iterator[object]:
    yield run_input


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (wants_unknown, r"pre_hooks\[0\], 'wants_unknown', wants 'user', which no hook is given. There are agent, "),
        (wants_output, "wants 'run_output', which is not for pre-hooks"),
        (by_position, "takes 'run_input' by its position alone"),
        (yielding, "is a generator"),
        (Checker, r"is the class Checker: give an instance of it"),
        ("audit", "is a str, which cannot be called"),
    ],
)
def test_what_cannot_be_called_as_a_hook_is_refused(given: Any, problem: str) -> None:
    """H1 (refusal): where it is given, with what is wrong."""
    for build in (
        lambda: Musterd(pre_hooks=[given]),
        lambda: Prototype(AGENT, pre_hooks=[given]),
        lambda: AgentFactory("one", lambda _: AGENT, pre_hooks=[given]),
        lambda: TeamFactory("one", lambda _: AGENT, pre_hooks=[given]),
        lambda: WorkflowFactory("one", lambda _: AGENT, pre_hooks=[given]),
        lambda: Team("one", [AGENT], pre_hooks=[given]),
        lambda: Workflow("one", [AGENT], pre_hooks=[given]),
    ):
        with pytest.raises(TypeError, match=problem):
            build()


def test_hooks_are_given_as_a_list() -> None:
    """H1."""
    single: Any = nothing
    with pytest.raises(TypeError, match="post_hooks is a list of functions, not a function"):
        Musterd(post_hooks=single)


def test_a_guardrail_cannot_run_in_the_background() -> None:
    """H2 (refusal)."""
    with pytest.raises(ValueError, match="a guardrail cannot run in the background"):
        hook(run_in_background=True, guardrail=True)


@pytest.mark.parametrize("moves", [True, False])
def test_the_switch_of_the_app_is_for_hooks_that_do_not_say_it(moves: bool) -> None:
    """H2: and never for guardrails."""
    guardrail = hook(guardrail=True)(lambda: None)
    stays = hook(run_in_background=False)(lambda: None)
    goes = hook(run_in_background=True)(lambda: None)
    found = [read(one).is_in_background(unless_marked=moves) for one in (guardrail, stays, goes, nothing)]
    assert found == [False, False, True, moves]


@hook(guardrail=True)
class Guard(Checker):
    """A class of guardrails."""


class Marked:
    """A class whose call is marked."""

    @hook(run_in_background=True)
    def __call__(self) -> None:
        """Do nothing."""

    @hook(guardrail=True)
    def check(self, task: object) -> None:
        del task

    @hook(guardrail=True)
    @staticmethod
    def check_alone(task: object) -> None:
        del task


def test_a_mark_is_found_on_functions_classes_methods_and_partials() -> None:
    """H2, H3."""
    marked = hook(guardrail=True)(Checker())
    assert isinstance(marked, Checker)
    guards = [
        Guard(),
        marked,
        Marked().check,
        Marked.check_alone,
        partial(Marked().check),
        hook(guardrail=True)(partial(some)),
    ]
    assert [read(one).is_guardrail for one in guards] == [True] * 6
    assert read(Marked()).run_in_background is True
    assert not read(Checker()).is_guardrail


def test_what_takes_no_mark_is_refused() -> None:
    """H2 (refusal)."""
    for given in (len, "audit"):
        unmarkable: Any = given
        with pytest.raises(TypeError, match=r"put @hook\(…\) on|marks a function"):
            hook(guardrail=True)(unmarkable)
