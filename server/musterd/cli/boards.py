"""What the commands print of teams and their boards."""

from collections.abc import Iterator

from musterd.cli.rendering import one_line, print_line, stdout
from musterd_client import BoardMember, Team, TeamBoard, TeamMessage, Todo


def print_team_line(team: Team) -> None:
    """Prints the team in one line: id, mode and members; of a factory neither is known."""
    about = "(factory)" if team.is_factory else f"{team.mode:<12}{', '.join(member.name for member in team.members)}"
    print_line(f"{team.team_id:<20}  {about}")


def print_board(board: TeamBoard) -> None:
    """Prints the board: members with their tasks, todos and messages, a line each."""
    console = stdout()
    console.out(one_line(f"team {board.team}, task {board.task_id}", console))
    sections = {
        "members": [line for member in board.members for line in _member_lines(member)],
        "todos": [_todo_line(todo) for todo in board.todos],
        "messages": [_message_line(message) for message in board.messages],
    }
    for title, lines in sections.items():
        console.out(f"\n{title}: {'' if lines else 'none'}".rstrip())
        for line in lines:
            console.out("  " + one_line(line, console))


def _member_lines(member: BoardMember) -> Iterator[str]:
    yield member.name + (f" ({member.role})" if member.role else "")
    for task in member.tasks:
        yield f"  {task.task_id}  {task.state:<14}  {task.description}".rstrip()


def _todo_line(todo: Todo) -> str:
    details = [f"by {todo.assigned_to}"] if todo.assigned_to else []
    details += [f"after {', '.join(todo.blocked_by)}"] if todo.blocked_by else []
    details += [todo.result] if todo.result else []
    about = f"  ({'; '.join(details)})" if details else ""
    return f"{todo.todo_id}  {todo.status:<11}  {todo.content}{about}"


def _message_line(message: TeamMessage) -> str:
    sent = message.create_time.isoformat(timespec="seconds") if message.create_time else ""
    return f"{sent}  {message.sender} to {message.receiver or 'all'}: {message.content}".lstrip()
