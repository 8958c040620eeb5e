"""What goes from step to step, and into prompts."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from musterd import RequestContext
from musterd.workflows import StepInput, StepOutput
from musterd.workflows.passing import dump_output, load_output, output_of
from musterd.workflows.prompts import default_prompt, filled

CONTEXT = RequestContext(user_id="ada", tenant_id="acme")


class Note(BaseModel):
    """Something structured."""

    title: str
    at: datetime


AT = datetime(2026, 1, 2, tzinfo=UTC)
RETURNED = [
    "a text",
    None,
    {"a": [1, 2.5, None, True]},
    Note(title="ü", at=AT),
    [Note(title="x", at=AT)],
    StepOutput("both", Note(title="x", at=AT), stop=True),
    StepOutput(value=0),
    7,
    False,
]


@pytest.mark.parametrize("returned", RETURNED)
def test_an_output_is_the_same_when_it_is_read_again(returned: Any) -> None:
    """W1: so a replay goes on with what the first run had."""
    output = output_of("it", returned)
    assert load_output("it", dump_output(output)) == output


def test_a_structured_output_is_a_value_and_its_text() -> None:
    """W1."""
    output = output_of("it", Note(title="ü", at=AT))
    assert output.value == {"title": "ü", "at": "2026-01-02T00:00:00Z"}
    assert output.content == output.json == '{"title": "ü", "at": "2026-01-02T00:00:00Z"}'
    assert output_of("it", "a text").json == ""


@pytest.mark.parametrize("returned", [object(), {"a": object()}, StepOutput(value=object()), "\ud800", ["\ud800"]])
def test_what_cannot_be_written_is_refused(returned: Any) -> None:
    """W1."""
    with pytest.raises(ValueError, match="cannot be written as"):
        output_of("it", returned)


def test_what_the_server_says_of_an_output_is_not_what_a_function_says() -> None:
    """W1: neither its name nor that it is skipped."""
    output = output_of("it", StepOutput("x", name="other", is_skipped=True, outputs={"y": StepOutput("y")}))
    assert output == StepOutput("x", name="it")


@pytest.mark.parametrize(
    ("given", "prompt"),
    [
        (StepInput(context=CONTEXT), ""),
        (StepInput(context=CONTEXT, request="go", input={"a": 1}), "go"),
        (StepInput(context=CONTEXT, input={"a": "ü"}), '{"a": "ü"}'),
        (StepInput(context=CONTEXT, input={}), ""),
        (
            StepInput(context=CONTEXT, request="go", previous=StepOutput("text", name="one"), feedback="shorter"),
            "go\n\nThe step 'one' before this one gave:\ntext\n\nWhat a reviewer said of your last answer:\nshorter",
        ),
    ],
)
def test_without_a_prompt_the_request_is_asked_and_what_came_before(given: StepInput, prompt: str) -> None:
    """W1."""
    assert default_prompt(given) == prompt


def test_a_template_is_filled_with_texts() -> None:
    """W1: what users wrote is never taken for a template."""
    given = StepInput(
        context=CONTEXT,
        request="{previous}",
        previous=StepOutput("{input}"),
        outputs={"a b": StepOutput("x")},
        input=Note(title="t", at=AT),
        iteration=2,
        feedback="f",
    )
    template = "{request} {previous} {outputs[a b]} {input.title} {iteration} {feedback} {{}}"
    assert filled(template, given) == "{previous} {input} x t 2 f {}"
    assert filled("{previous}", StepInput(context=CONTEXT)) == ""


def test_a_template_has_the_outputs_of_steps_whose_names_are_numbers() -> None:
    """W1."""
    given = StepInput(context=CONTEXT, outputs={"1": StepOutput("one"), "x": StepOutput("x")})
    assert filled("{outputs[1]} {outputs[x]}", given) == "one x"
    for missing in ("2", "y"):
        with pytest.raises(KeyError, match=missing):
            filled(f"{{outputs[{missing}]}}", given)
