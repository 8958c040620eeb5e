"""What models read about the tools of this package."""

from collections.abc import Iterable, Mapping

REPEATABLE = {"musterd_repeatable": True}
"""Metadata of tools that a server may call again after it died in the middle of one: they do nothing twice."""

TASK_TOOL_DESCRIPTION = """\
Give a task to a subagent. It works on its own, sees nothing of this conversation, and reports back once.

Use it for work that stands alone, that needs its own expertise, or that would fill this conversation with detail. Do
small things yourself. Put into the description all that the subagent needs: the goal, what is known, what to return.

With mode "sync" you get the result at once. With "async" it works in the background and you get a task id: go on with
other work, then use wait_tasks or check_task. With "auto" that is decided for you.
"""

CHECK_TASK_DESCRIPTION = """\
Look at one background task: its status, and its result, its error, or the question that it waits with.
"""

ANSWER_SUBAGENT_DESCRIPTION = """\
Answer the question of a background task whose status is waiting_for_answer. It goes on with your answer.
"""

SEND_MESSAGE_TO_SUBAGENT_DESCRIPTION = """\
Send a message to a task that runs, to correct it or to tell it something new. It reads the message in its next step;
its work is not interrupted.
"""

LIST_ACTIVE_TASKS_DESCRIPTION = """\
List the background tasks that have not ended, with their ids.
"""

WAIT_TASKS_DESCRIPTION = """\
Wait for background tasks and get their results: for all of them, or with mode "any" for the first that ends.

Returns early when one of them asks a question, and when the time is over. The tasks go on in any case.
"""

SOFT_CANCEL_TASK_DESCRIPTION = """\
Ask a background task to stop. It finishes the step that it is in, as far as that does not take long.
"""

HARD_CANCEL_TASK_DESCRIPTION = """\
Stop a background task at once, in the middle of whatever it does. Use it when soft_cancel_task is too slow.
"""

ASK_PARENT_DESCRIPTION = """\
Ask whoever gave you the task, and wait for the answer. Ask only what you need to go on and cannot find out yourself.
"""

CREATE_AGENT_DESCRIPTION = """\
Make a new subagent for this work, when none of those that exist fits. Then give it tasks by its name with `task`.
"""

LIST_AGENTS_DESCRIPTION = """\
List the subagents that were made with create_agent.
"""

REMOVE_AGENT_DESCRIPTION = """\
Remove a subagent that was made with create_agent. Tasks that it works on go on.
"""

GET_AGENT_INFO_DESCRIPTION = """\
Show how a subagent was made with create_agent: its description, model and instructions.
"""

TOOL_DESCRIPTIONS: Mapping[str, str] = {
    "task": TASK_TOOL_DESCRIPTION,
    "check_task": CHECK_TASK_DESCRIPTION,
    "answer_subagent": ANSWER_SUBAGENT_DESCRIPTION,
    "send_message_to_subagent": SEND_MESSAGE_TO_SUBAGENT_DESCRIPTION,
    "list_active_tasks": LIST_ACTIVE_TASKS_DESCRIPTION,
    "wait_tasks": WAIT_TASKS_DESCRIPTION,
    "soft_cancel_task": SOFT_CANCEL_TASK_DESCRIPTION,
    "hard_cancel_task": HARD_CANCEL_TASK_DESCRIPTION,
}


def describe_tools(own: Mapping[str, str] | None, subagents: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the text of each tool: the author's `own` where there is one, else ours, with the subagents at `task`.

    Raises ValueError when `own` names a tool that is not there.
    """
    own = own or {}
    if unknown := own.keys() - TOOL_DESCRIPTIONS.keys():
        raise ValueError(
            f"descriptions name unknown tools: {', '.join(sorted(unknown))}. The tools are: "
            f"{', '.join(TOOL_DESCRIPTIONS)}"
        )
    lines = "".join(f"\n- {name}: {description}" for name, description in subagents)
    texts = {name: text.strip() for name, text in TOOL_DESCRIPTIONS.items()}
    if lines:
        texts["task"] += f"\n\nThe subagents:{lines}"
    return texts | dict(own)
