"""A software team that plans its work as todos, some of which wait for others, and works them off side by side.

`python examples/software_team.py` plays it and needs no key. With a key, serve it:
`musterd serve examples.software_team:app`. What the members write is in the folder `workspace` then.
"""

import asyncio
import re
import tempfile
from pathlib import Path
from typing import Any

from pydantic_ai import Agent, ModelRetry, Tool
from pydantic_ai.models import Model

from musterd import Musterd, Team
from musterd.testing import serve
from musterd.testing.model import ChatRequest, FakeModel, Turn, call, text
from musterd_client import TodoChanged

INSTRUCTIONS = "Plan the design first, then code and documentation, and tests last. Each todo fills one file: name it."
# A free todo goes to whoever has nothing to do, so each member must be able to do any of them.
MEMBERS = ("ada", "grace")


def make_app(model: Model | str, folder: Path) -> Musterd:
    """Return the app. The members write into `folder`, and use the model of their team."""

    def write_file(name: str, content: str) -> str:
        """Write a file of the project."""
        path = inside(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return f"{name} is written"

    def read_file(name: str) -> str:
        """Read a file of the project."""
        if not (path := inside(folder, name)).is_file():
            raise ModelRetry(f"there is no file {name!r}")
        return path.read_text()

    # To write the same again does no harm, so a member that a restart cut off may do it.
    repeatable = {"musterd_repeatable": True}
    tools: list[Tool[Any]] = [Tool(write_file, metadata=repeatable), Tool(read_file, metadata=repeatable)]
    members = [Agent(name=name, description="Writes software.", tools=tools) for name in MEMBERS]
    return Musterd(teams=[Team("software", members, model=model, mode="tasks", instructions=INSTRUCTIONS)])


def inside(folder: Path, name: str) -> Path:
    """Return the path of a file in the folder. What models say is not to be trusted: any other is refused."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ModelRetry(f"{name!r} is outside of the project")
    return path


app = make_app("openai:gpt-5", Path("workspace"))

PLAN = {"design.md": (), "code.py": ("design.md",), "readme.md": ("design.md",), "test_code.py": ("code.py",)}


def play(request: ChatRequest) -> Turn:
    """Play the model, of the leader or of a member."""
    if "You lead the team" not in request.instructions:
        return play_member(request)
    if request.prompt.startswith("The members have worked off the list"):
        return text("All files are written.")
    planned = {name: re.findall("ID: ([^)]+)", told)[0] for name, told in request.tool_results.items()}
    todos = [
        call("add_team_todo", {"content": f"Write {name}", "blocked_by": [planned[each] for each in blockers]}, id=name)
        for name, blockers in PLAN.items()
        if name not in planned and planned.keys() >= set(blockers)
    ]
    return sum(todos, text("")) if todos else text("Planned.")


def play_member(request: ChatRequest) -> Turn:
    """Write the file that the todo names, and say so."""
    (name,) = re.findall(r"^Your todo .*: Write (\S+)$", request.prompt, re.MULTILINE)
    if not request.tool_results:
        return call("write_file", {"name": name, "content": f"This is {name}."})
    return text(f"{name} is done")


async def main() -> None:
    """Run the team, and print what happens to its todos."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            FakeModel(play) as model,
            serve(make_app(model.as_model(), Path(folder))) as client,
            client.run_team("software", "Write a program that says hello.") as run,
        ):
            async for event in run:
                if isinstance(event, TodoChanged):
                    print(f"{event.change:<9}  {event.todo.content}  {event.todo.assigned_to}".rstrip())
            print((await run.result()).text)


if __name__ == "__main__":
    asyncio.run(main())
