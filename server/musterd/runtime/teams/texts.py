"""What the server tells leaders and members, beside their instructions."""

from collections.abc import Collection, Sequence

from musterd.domain.board import Todo, Todos, TodoStatus
from musterd.domain.task import Task, TaskState
from musterd.runtime.components.nodes import Prompt


def with_text(prompt: Prompt, text: str) -> Prompt:
    """Return a prompt with a text after it."""
    if prompt is None:
        return text
    return f"{prompt}\n\n{text}" if isinstance(prompt, str) else [*prompt, text]


def answers_text(turns: Sequence[Task]) -> str:
    """Return what the members said, for the leader."""
    return "\n\n".join(["What the members said:", *(f"## {turn.component.id}\n{_answer_of(turn)}" for turn in turns)])


def _answer_of(turn: Task) -> str:
    if turn.state is TaskState.COMPLETED and turn.output is not None:
        return turn.output.text
    return f"(no answer: {turn.error.message if turn.error is not None else turn.state.value})"


def turn_text(request: str, todos: Todos, todo: Todo) -> str:
    """Return the task of a member that is given a todo."""
    lines = [f"Your todo ({todo.id}): {todo.content}", "", f"It is part of this request: {request}"]
    done = [todos[each] for each in todo.blocked_by if each in todos and todos[each].result]
    if done:
        lines += ["", "What came of the todos before it:", *(f"- {each.content}: {each.result}" for each in done)]
    return "\n".join(lines)


def round_text(todos: Todos, reported: Collection[str]) -> str:
    """Return what became of the todos that the leader has not heard of yet."""
    lines = ["The members have worked off the list. Answer the request, or add the todos that are still missing."]
    for todo in todos.values():
        if todo.id not in reported:
            outcome = todo.result or ("done" if todo.status is TodoStatus.COMPLETED else "nobody could do it")
            lines.append(f"- {todo.content} [{todo.status.value}]: {outcome}")
    return "\n".join(lines)
