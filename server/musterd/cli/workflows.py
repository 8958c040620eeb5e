"""`musterd workflows`: finds workflows."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from musterd.cli.connection import DEFAULT_TARGET, AsJson, Connection, Target, TlsRoots, Token, perform
from musterd.cli.rendering import print_json, print_line
from musterd_client import MusterdClient, Workflow, WorkflowStep

app = typer.Typer(no_args_is_help=True, help="Find workflows.")


@app.command("list")
def list_workflows(
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """List the workflows that you may run, by id."""

    async def work(client: MusterdClient) -> int:
        async for workflow in client.workflows.list():
            print_json(workflow) if as_json else _print_line(workflow)
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


@app.command("get")
def get_workflow(
    workflow_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the workflow.")],
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Show a workflow and its steps."""

    async def work(client: MusterdClient) -> int:
        workflow = await client.workflows.get(workflow_id)
        print_json(workflow) if as_json else _print_steps(workflow)
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


def _print_line(workflow: Workflow) -> None:
    about = "(factory)" if workflow.is_factory else ", ".join(step.name for step in workflow.steps)
    print_line(f"{workflow.workflow_id:<20}  {about}")


def _print_steps(workflow: Workflow) -> None:
    head = f"workflow {workflow.workflow_id}{': ' if workflow.description else ''}{workflow.description}"
    steps = ["  (a factory builds its steps)"] if workflow.is_factory else _step_lines(workflow.steps, 1)
    for line in (head, *steps):
        print_line(line)


def _step_lines(steps: Sequence[WorkflowStep], depth: int) -> Iterator[str]:
    for step in steps:
        turns = f" at most {step.max_iterations} times" if step.max_iterations else ""
        about = f": {step.description}" if step.description else ""
        yield f"{'  ' * depth}{step.name}  {step.kind.lower()}{turns}{about}"
        yield from _step_lines(step.steps, depth + 1)
        if step.else_steps:
            yield f"{'  ' * depth}else"
            yield from _step_lines(step.else_steps, depth + 1)
