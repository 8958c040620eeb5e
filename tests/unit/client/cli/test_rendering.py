import json
from io import StringIO

import pytest
from rich.console import Console

from musterd.cli.rendering import harmless, print_json

STEERING = "a\x1b[31mb\x07\x9bc\td\ne\r\u202e\u2066"


def test_what_would_steer_a_terminal_does_not_reach_it() -> None:
    assert harmless(STEERING, Console(file=StringIO(), force_terminal=True)) == "a[31mbc\td\ne"


def test_a_file_gets_the_text_as_it_is() -> None:
    assert harmless(STEERING, Console(file=StringIO())) == STEERING


def test_json_steers_no_terminal_either_and_keeps_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(f"{STEERING}\x7f→")

    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == f"{STEERING}\x7f→"
    assert line.isprintable()
    assert line.endswith('→"')
