"""The teams that the end-to-end tests serve: their members have a tool that leaves a trace which no crash undoes."""

from pydantic_ai import Agent
from shop import MODEL, note, wait_at

from musterd import Musterd, RequestContext, Team, TeamFactory


def build(what: str) -> str:
    """Build something; what is heavy takes until the test lets go."""
    note(f"{what} begins")
    if what.startswith("heavy"):
        wait_at("heavy")
    note(f"{what} ends")
    return f"{what} is built"


def build_team(mode: str, context: RequestContext) -> Team:
    """Build a team anew for each attempt, for the user who asked."""
    members = [
        Agent(MODEL, name=name, tools=[build], instructions=f"You work for {context.user_id}.")
        for name in ("ann", "bob")
    ]
    return Team("any", members, model=MODEL, mode=mode)


app = Musterd(
    teams=[
        TeamFactory("workshop", lambda context: build_team("tasks", context)),
        TeamFactory("office", lambda context: build_team("coordinate", context)),
    ]
)
