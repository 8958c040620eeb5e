import pytest
from tests.support.terminals import PROGRAM, PseudoTerminal
from tests.unit.client.messages import a_task, completed, run_message, text
from tests.unit.client.scripted import ScriptedServer


async def test_what_the_encoding_of_the_output_lacks_is_shown_as_an_escape(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T1."""
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    server.will("RunAgent", run_message(text(1, "5 → 6"), completed(2), task=a_task()))

    with PseudoTerminal.opened() as terminal:
        command = (*PROGRAM, "run", "agent", "greeter", "--target", server.target)
        code, written = await terminal.run(*command, term="dumb")

    assert code == 0
    assert r"5 \u2192 6" in written
