"""The workflows that the end-to-end tests serve: their functions leave a trace which no crash undoes."""

from pydantic_ai import Agent
from shop import MODEL, note, wait_at

from musterd import Loop, Musterd, Parallel, RequestContext, Step, StepInput, Steps, Workflow, WorkflowFactory


def lay_out(given: StepInput) -> str:
    """Be done before the server dies."""
    note("layout")
    return f"pages for {given.request}"


def shoot(given: StepInput) -> str:
    """Take a photo, until the test lets go; that may be done twice."""
    note("photo begins")
    wait_at("photo")
    note("photo ends")
    return "a photo"


def draft(given: StepInput) -> str:
    """Write the draft of a turn."""
    note(f"draft {given.iteration}")
    return f"draft {given.iteration}"


def is_good(given: StepInput) -> bool:
    """End the revisions with the fourth."""
    return given.iteration == 4


def press(given: StepInput) -> str:
    """Print what there is."""
    note("print")
    assert given.previous is not None
    return f"printed: {given.previous.content}"


def build_issue(context: RequestContext) -> Workflow:
    """Build anew for each attempt, for the user who asked."""
    writer = Agent(MODEL, name="writer", instructions=f"You write for {context.user_id}.")
    article = Steps([Step("layout", lay_out), writer], name="article")
    return Workflow("any", [Parallel(article, Step("photo", shoot, repeatable=True), name="content"), press])


critic = Agent(MODEL, name="critic", instructions="You are the critic.")
revisions = Workflow("revisions", [Loop([draft, critic], 9, is_good, name="revise"), press])

app = Musterd(workflows=[WorkflowFactory("issue", build_issue), revisions])
