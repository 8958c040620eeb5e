"""What a workflow is to its parts: they must know one when they see it, and it is made of them."""


class Flow:
    """A named thing that has steps of its own, and may be a step of another: a `Workflow`."""

    name: str
    description: str
