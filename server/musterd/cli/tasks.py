"""`musterd tasks`: looks at tasks and controls them."""

from typing import Annotated

import typer

from musterd.cli.connection import DEFAULT_TARGET, AsJson, Connection, Target, TlsRoots, Token, perform
from musterd.cli.display import display_for
from musterd.cli.following import follow
from musterd.cli.given import json_object, json_value, refuse_several_components, refuse_unknown
from musterd.cli.rendering import print_json, print_task, print_task_line, stdout
from musterd.cli.tree import in_order, tree_of
from musterd.cli.tree_rendering import print_tasks
from musterd_client import CancelMode, MusterdClient, Resolution, TaskState, WaitMode, WatchUntil

app = typer.Typer(no_args_is_help=True, help="Look at tasks and control them.")

TaskId = Annotated[str, typer.Argument(metavar="ID", help="Id of the task.")]
RequestId = Annotated[str | None, typer.Option(help="Makes the command safe to repeat.")]


@app.command("list")
def list_tasks(
    state: Annotated[
        list[TaskState] | None,
        typer.Option(case_sensitive=False, callback=refuse_unknown, help="Only in this state."),
    ] = None,
    agent: Annotated[str, typer.Option(metavar="ID", help="Only of this agent.")] = "",
    team: Annotated[str, typer.Option(metavar="ID", help="Only of this team.")] = "",
    workflow: Annotated[str, typer.Option(metavar="ID", help="Only of this workflow.")] = "",
    session: Annotated[str, typer.Option(help="Only of this conversation.")] = "",
    parent: Annotated[str, typer.Option(metavar="ID", help="Only started by this task.")] = "",
    root: Annotated[str, typer.Option(metavar="ID", help="Only of this tree.")] = "",
    open_approvals: Annotated[
        bool, typer.Option("--open-approvals", help="Only trees in which an approval is open, also those of others.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most tasks to print.")] = 50,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """List tasks, newest first."""
    refuse_several_components(agent, team, workflow)

    async def work(client: MusterdClient) -> int:
        listed = client.tasks.list(
            states=state or (),
            agent_id=agent,
            team_id=team,
            workflow_id=workflow,
            session_id=session,
            parent_task_id=parent,
            root_task_id=root,
            has_open_approvals=open_approvals,
            page_size=min(limit, 1000),
        )
        left = limit
        async for task in listed:
            print_json(task) if as_json else print_task_line(task)
            left -= 1
            if left == 0:
                break
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


@app.command()
def status(
    task_id: TaskId,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Show a task as it stands now."""

    async def work(client: MusterdClient) -> int:
        task = await client.tasks.status(task_id)
        print_json(task) if as_json else print_task(task)
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


@app.command()
def tree(
    task_id: TaskId,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Show a task and all tasks below it, as they stand now."""

    async def work(client: MusterdClient) -> int:
        top = await client.tasks.status(task_id)
        tasks = {task.task_id: task async for task in client.tasks.list(root_task_id=top.root_task_id, page_size=1000)}
        rows = list(in_order(tree_of(top, list(tasks.values()))))
        console = stdout()
        if as_json:
            for _, row in rows:
                print_json(top if row.task_id == task_id else tasks[row.task_id])
        else:
            print_tasks(rows, console)
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


@app.command()
def watch(
    task_id: TaskId,
    after: Annotated[int, typer.Option(min=0, metavar="SEQUENCE", help="Only events after this one.")] = 0,
    until: Annotated[WatchUntil, typer.Option(case_sensitive=False, help="When to stop.")] = WatchUntil.TASK,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Show a task's events from the log, then live. Exits as `musterd run` does."""
    connection = Connection(target=target, token=token, tls=tls)

    async def work(client: MusterdClient) -> int:
        stream = client.tasks.watch(task_id, after_sequence=after, until=until)
        return await follow(stream, display_for(connection.options(), as_json=as_json), connection)

    perform(connection, work)


@app.command()
def wait(
    task_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of the tasks.")],
    any_of_them: Annotated[bool, typer.Option("--any", help="Until one has ended, not all.")] = False,
    timeout_seconds: Annotated[float, typer.Option(min=0, max=3600, help="Longest time to wait.")] = 60,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Wait for tasks. Exits with 0 when they have ended, with 1 when time ran out or one needs input."""

    async def work(client: MusterdClient) -> int:
        mode = WaitMode.ANY if any_of_them else WaitMode.ALL
        waited = await client.tasks.wait(task_ids, mode=mode, timeout_seconds=timeout_seconds)
        if as_json:
            print_json(waited)
        else:
            for task in waited.tasks:
                print_task_line(task)
        pending = len(waited.pending_task_ids)
        return 0 if pending == 0 or (any_of_them and pending < len(waited.tasks)) else 1

    perform(Connection(target=target, token=token, tls=tls), work)


@app.command()
def cancel(
    task_id: TaskId,
    hard: Annotated[bool, typer.Option("--hard", help="Interrupt the current step at once.")] = False,
    grace_seconds: Annotated[float | None, typer.Option(min=0, help="How long that step may still take.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the log.")] = "",
    cascade: Annotated[bool, typer.Option(help="Cancel what it started, too.")] = True,
    request_id: RequestId = None,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a task, and say what really happened."""

    async def work(client: MusterdClient) -> int:
        result = await client.tasks.cancel(
            task_id,
            mode=CancelMode.HARD if hard else CancelMode.SOFT,
            grace_seconds=grace_seconds,
            reason=reason,
            cascade=cascade,
            request_id=request_id,
        )
        print_json(result) if as_json else typer.echo(result.outcome)
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


@app.command()
def steer(
    task_id: TaskId,
    message: Annotated[str, typer.Argument(metavar="TEXT", help="The message.")],
    wait_seconds: Annotated[float | None, typer.Option(min=0, help="How long to wait until it is applied.")] = None,
    request_id: RequestId = None,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Put a message into the next request that a running task sends to its model."""

    async def work(client: MusterdClient) -> int:
        result = await client.tasks.steer(task_id, message, wait_timeout_seconds=wait_seconds, request_id=request_id)
        print_json(result) if as_json else typer.echo(result.outcome)
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


@app.command()
def answer(
    task_id: TaskId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The answer. None to renew the identity alone.")] = "",
    question: Annotated[str, typer.Option(metavar="QID", help="Id of the question, if several are open.")] = "",
    request_id: RequestId = None,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Give a waiting task what it waits for."""

    async def work(client: MusterdClient) -> int:
        task = await client.tasks.answer(task_id, text, question, request_id=request_id)
        print_json(task) if as_json else print_task_line(task)
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


@app.command()
def resolve(
    task_id: TaskId,
    approval: Annotated[str, typer.Option(metavar="ID", help="Id of the approval, if several are open.")] = "",
    approve: Annotated[bool, typer.Option("--approve", help="Let it happen.")] = False,
    deny: Annotated[bool, typer.Option("--deny", help="Do not let it happen.")] = False,
    result: Annotated[str | None, typer.Option(metavar="JSON", help="It is done, and this is the result.")] = None,
    arguments: Annotated[
        str | None, typer.Option(metavar="JSON", help="With --approve: an object in place of the tool's arguments.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the model and the log.")] = "",
    request_id: RequestId = None,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Decide about an approval of a task, or of a task below it."""
    if [approve, deny, result is not None].count(True) != 1:
        raise typer.BadParameter("give one of --approve, --deny and --result", param_hint="--approve")
    if arguments is not None and not approve:
        raise typer.BadParameter("goes with --approve", param_hint="--arguments")
    if approve:
        new_arguments = None if arguments is None else json_object(arguments, "--arguments")
        resolution = Resolution.approve(approval, arguments=new_arguments, reason=reason)
    elif result is not None:
        resolution = Resolution.give(json_value(result, "--result"), approval, reason=reason)
    else:
        resolution = Resolution.deny(approval, reason=reason)

    async def work(client: MusterdClient) -> int:
        task = await client.tasks.resolve(task_id, [resolution], request_id=request_id)
        print_json(task) if as_json else print_task_line(task)
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)
