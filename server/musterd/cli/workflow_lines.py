"""The line that tells people of an event of a workflow."""

from musterd_client import (
    BranchChosen,
    Event,
    LoopTurned,
    StepCompleted,
    StepFailed,
    StepPlace,
    StepSkipped,
    StepStarted,
)


def workflow_line(event: Event) -> str:
    """Returns the line of a step, a branch or a loop; nothing for any other event."""
    match event:
        case StepStarted():
            return f"▸ {_name_of(event.place, event.attempt)}"
        case BranchChosen():
            return f"⑂ {_name_of(event.place)} chose {', '.join(event.choices) or 'nothing'}"
        case LoopTurned():
            return f"⟳ {_name_of(event.place)} ended turn {event.turn}{', and goes on' if event.will_continue else ''}"
        case _:
            return _end_line(event)


def _end_line(event: Event) -> str:
    match event:
        case StepCompleted():
            made = f"({event.omitted_bytes} bytes)" if event.omitted_bytes else event.output
            stops = " stops the workflow" if event.stops_workflow else ""
            return f"✓ {_name_of(event.place)}{stops}: {made}".removesuffix(": ")
        case StepFailed():
            then = ", it is tried again" if event.will_retry else ", it is left out" if event.is_skipped else ""
            return f"✗ {_name_of(event.place, event.attempt)}: {event.message}{then}"
        case StepSkipped():
            return f"∅ {_name_of(event.place)} is left out: {event.reason}".removesuffix(": ")
        case _:
            return ""


def _name_of(place: StepPlace, attempt: int = 1) -> str:
    turn = f" in turn {place.iteration}" if place.iteration else ""
    again = f" (attempt {attempt})" if attempt > 1 else ""
    return f"{'/'.join(place.path) or place.name}{turn}{again}"
