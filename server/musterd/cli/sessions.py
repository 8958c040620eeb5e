"""`musterd sessions`: looks at conversations, and deletes them."""

from typing import Annotated

import typer

from musterd.cli.connection import DEFAULT_TARGET, AsJson, Connection, Target, TlsRoots, Token, perform
from musterd.cli.given import refuse_several_components
from musterd.cli.rendering import harmless, print_json, print_line, stdout
from musterd_client import MessageRole, MusterdClient, Session, SessionEntry

app = typer.Typer(no_args_is_help=True, help="Look at your conversations, and delete them.")

SessionId = Annotated[str, typer.Argument(metavar="ID", help="Id of the session.")]
Agent = Annotated[str, typer.Option(metavar="ID", help="With this agent.")]
Team = Annotated[str, typer.Option(metavar="ID", help="With this team.")]
Workflow = Annotated[str, typer.Option(metavar="ID", help="With this workflow.")]

User = Annotated[str, typer.Option(help="Of this user, where the server asks for no token.")]

_SPEAKERS = {MessageRole.REQUEST: ">", MessageRole.RESPONSE: "<"}


@app.command("list")
def list_sessions(
    agent: Agent = "",
    team: Team = "",
    workflow: Workflow = "",
    user: User = "",
    limit: Annotated[int, typer.Option(min=1, help="Most sessions to print.")] = 50,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """List your sessions, latest first."""
    refuse_several_components(agent, team, workflow)

    async def work(client: MusterdClient) -> int:
        left = limit
        listed = client.sessions.list(
            agent_id=agent, team_id=team, workflow_id=workflow, user_id=user, page_size=min(limit, 1000)
        )
        async for session in listed:
            print_json(session) if as_json else print_line(_line(session))
            left -= 1
            if left == 0:
                break
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


@app.command()
def show(
    session_id: SessionId,
    agent: Agent = "",
    team: Team = "",
    workflow: Workflow = "",
    user: User = "",
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Show a session and what was said in it."""
    refuse_several_components(agent, team, workflow)

    async def work(client: MusterdClient) -> int:
        session = await client.sessions.get(
            session_id, agent_id=agent, team_id=team, workflow_id=workflow, user_id=user
        )
        print_json(session) if as_json else print_line(_line(session))
        entries = client.sessions.entries(session_id, agent_id=agent, team_id=team, workflow_id=workflow, user_id=user)
        async for entry in entries:
            print_json(entry) if as_json else _print_entry(entry)
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


@app.command()
def delete(
    session_id: SessionId,
    agent: Agent = "",
    team: Team = "",
    workflow: Workflow = "",
    user: User = "",
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel a run that is under way.")] = False,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
) -> None:
    """Delete a session with its messages, and the tasks of its runs with their logs."""
    refuse_several_components(agent, team, workflow)

    async def work(client: MusterdClient) -> int:
        await client.sessions.delete(
            session_id,
            agent_id=agent,
            team_id=team,
            workflow_id=workflow,
            user_id=user,
            cancel_live_runs=cancel,
        )
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


def _line(session: Session) -> str:
    updated = session.update_time.isoformat(timespec="seconds") if session.update_time else ""
    counted = f"{session.run_count} runs, {session.message_count} messages, {session.size_bytes} bytes"
    live = f"  run by {session.live_task_id}" if session.live_task_id else ""
    return f"{session.session_id:<20}  {session.component.id:<20}  {updated}  {counted}{live}"


def _print_entry(entry: SessionEntry) -> None:
    console = stdout()
    console.out(f"\ntask {entry.task_id}")
    for message in entry.messages:
        if message.text:
            console.out(harmless(f"{_SPEAKERS.get(message.role, '?')} {message.text}", console))
