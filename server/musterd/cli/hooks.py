"""`musterd hooks`: looks at hooks that run in the background, and retries those that failed."""

from typing import Annotated

import typer

from musterd.cli.connection import DEFAULT_TARGET, AsJson, Connection, Target, TlsRoots, Token, perform
from musterd.cli.given import refuse_unknown
from musterd.cli.rendering import harmless, print_json, stdout
from musterd_client import HookRun, HookRunState, MusterdClient

app = typer.Typer(no_args_is_help=True, help="Look at hooks that run in the background, and retry them.")


@app.command("list")
def list_hook_runs(
    task: Annotated[str, typer.Option(metavar="ID", help="Only of this task.")] = "",
    state: Annotated[
        list[HookRunState] | None,
        typer.Option(case_sensitive=False, callback=refuse_unknown, help="Only in this state."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most runs to print.")] = 50,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """List the runs of background hooks, newest first."""

    async def work(client: MusterdClient) -> int:
        left = limit
        async for run in client.hooks.list(task_id=task, states=state or (), page_size=min(limit, 1000)):
            print_json(run) if as_json else _print_line(run)
            left -= 1
            if left == 0:
                break
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


@app.command()
def retry(
    hook_run_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the hook's run.")],
    request_id: Annotated[str | None, typer.Option(help="Makes the command safe to repeat.")] = None,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Let a run that is dead begin again."""

    async def work(client: MusterdClient) -> int:
        run = await client.hooks.retry(hook_run_id, request_id=request_id)
        print_json(run) if as_json else _print_line(run)
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


def _print_line(run: HookRun) -> None:
    console = stdout()
    fields = (run.hook_run_id, f"{run.state:<9}", f"{run.phase.lower()}-hook {run.name}", f"attempt {run.attempts}")
    line = "  ".join((*fields, f"task {run.task_id}", *([run.error] if run.error else [])))
    console.out(harmless(line, console).replace("\n", " "))
