"""The text of a task, gathered from its events."""

from musterd_client.events import Event, StepRestarted, TextDelta


class TextCollector:
    """Keeps the text of each step, and drops that of a step which begins again."""

    def __init__(self) -> None:
        self._steps: dict[int, list[str]] = {}

    def take(self, event: Event) -> None:
        """Takes in one event of the task."""
        match event:
            case TextDelta():
                self._steps.setdefault(event.step, []).append(event.text)
            case StepRestarted():
                self._steps.pop(event.step, None)
            case _:
                pass

    @property
    def text(self) -> str:
        """All text that is valid so far, in the order of the steps."""
        return "".join(piece for step in sorted(self._steps) for piece in self._steps[step])
