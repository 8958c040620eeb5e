"""Which features have tests is found out from their docstrings."""

import pytest
from scripts.features import Proof, naming, problems_of, proofs_of, rows_of

PAGE = """
| id | rule |
|---|---|
| R1 | A run ends. It is not | R9 | here. |
| R2 | A run in the background goes on. |
"""
SOURCE = '''
def test_a_run_ends():
    """R1, R2: with its result."""

class RunTests:
    async def test_a_run_fails(self):
        """R1 (refusal), R2."""

    def helper(self):
        """R7: no test."""

def test_of_no_row():
    """A model is asked."""

def test_without_a_word():
    pass
'''


@pytest.mark.parametrize(
    ("text", "good", "refused"),
    [
        ("R8.", {"R8"}, set[str]()),
        ("R8: a call.", {"R8"}, set[str]()),
        ("R3, R11: a call.", {"R3", "R11"}, set[str]()),
        ("R8 (refusal).", set[str](), {"R8"}),
        ("R3, R8 (refusal): a call.", set[str](), {"R3", "R8"}),
        ("N2 (refusal), R5, R6: a call.", {"R5", "R6"}, {"N2"}),
        ("A call.", set[str](), set[str]()),
        ("", set[str](), set[str]()),
    ],
)
def test_the_head_of_a_docstring_names_the_rows(text: str, good: set[str], refused: set[str]) -> None:
    proof = Proof.from_docstring(text, place="here")
    assert (proof.good, proof.refused, proof.is_understood) == (good, refused, True)


@pytest.mark.parametrize("text", ["R8", "R8 a call.", "R8 (refused): a call.", "R8,R9: a call.", "A call (refusal)."])
def test_a_head_that_is_written_otherwise_is_a_problem(text: str) -> None:
    proof = Proof.from_docstring(text, place="a.py:1: test_it")
    assert list(problems_of([], [proof])) == [
        "a.py:1: test_it begins neither with `R8: …` nor with `R8 (refusal): …`",
    ]


def test_rows_are_found_in_the_page() -> None:
    assert rows_of(PAGE) == ["R1", "R2"]


def test_only_tests_prove_something() -> None:
    proofs = {proof.place: proof for proof in proofs_of(SOURCE, path="a.py") if proof.good | proof.refused}
    assert proofs.keys() == {"a.py:2: test_a_run_ends", "a.py:6: test_a_run_fails"}


def test_each_row_needs_a_good_case_and_a_refusal() -> None:
    assert list(problems_of(["R1", "R2", "R3"], proofs_of(SOURCE, path="a.py"))) == [
        "R3: no test names it",
        "R2: no test names a refusal of it",
        "R3: no test names a refusal of it",
    ]


def test_what_is_no_row_is_a_problem_with_its_place() -> None:
    assert list(problems_of(["R1"], proofs_of(SOURCE, path="a.py"))) == [
        "a.py:2: test_a_run_ends names R2, which docs/features.md does not have",
        "a.py:6: test_a_run_fails names R2, which docs/features.md does not have",
    ]


def test_the_tests_of_a_row_are_listed() -> None:
    assert list(naming("R1", proofs_of(SOURCE, path="a.py"))) == [
        "R1: a.py:2: test_a_run_ends",
        "R1 (refusal): a.py:6: test_a_run_fails",
    ]
    assert list(naming("R5", proofs_of(SOURCE, path="a.py"))) == []
