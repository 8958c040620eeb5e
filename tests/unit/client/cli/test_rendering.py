from io import StringIO

from rich.console import Console

from musterd.cli.rendering import harmless

STEERING = "a\x1b[31mb\x07\x9bc\td\ne\r"


def test_what_would_steer_a_terminal_does_not_reach_it() -> None:
    assert harmless(STEERING, Console(file=StringIO(), force_terminal=True)) == "a[31mbc\td\ne"


def test_a_file_gets_the_text_as_it_is() -> None:
    assert harmless(STEERING, Console(file=StringIO())) == STEERING
