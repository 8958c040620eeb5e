"""What subagents read, and what their callers read about them."""

from collections.abc import Sequence

from musterd.subagents.types import SubAgentConfig

SUBAGENT_SYSTEM_PROMPT = """\
You work on one task for another agent. It does not see your steps: all that it gets is your last message, so put the
whole result there, with what it needs to judge it. Do what the task says and no more. If you cannot do it, say what is
missing instead of guessing.
"""

DUAL_MODE_SYSTEM_PROMPT = """\
A task runs in one of two ways. In sync mode you wait, and the result is the tool's answer: for short tasks, and when
you cannot go on without it. In async mode it runs in the background while you do other things: for long tasks, and to
have several done at a time. Watch background tasks with check_task and wait_tasks, and answer what they ask.
"""

GENERAL_PURPOSE = "general-purpose"
DEFAULT_GENERAL_PURPOSE_DESCRIPTION = (
    "Does any task of several steps that no other subagent is made for: research, analysis, writing."
)


def general_purpose_config() -> SubAgentConfig:
    """Return the subagent that every toolset has unless it is switched off."""
    return SubAgentConfig(
        name=GENERAL_PURPOSE,
        description=DEFAULT_GENERAL_PURPOSE_DESCRIPTION,
        instructions=SUBAGENT_SYSTEM_PROMPT,
    )


def get_subagent_system_prompt(configs: Sequence[SubAgentConfig], include_dual_mode: bool = False) -> str:  # noqa: FBT001, FBT002 - the promised signature
    """Return a section for a caller's instructions that lists its subagents."""
    lines = ["## Available Subagents", "", "You can give tasks to these subagents with the `task` tool:", ""]
    for config in configs:
        mute = "" if config.get("can_ask_questions", True) else " *(cannot ask clarifying questions)*"
        lines.append(f"- **{config['name']}**: {config['description']}{mute}")
    if include_dual_mode:
        lines += ["", DUAL_MODE_SYSTEM_PROMPT.strip()]
    return "\n".join(lines)


def get_task_instructions_prompt(
    task_description: str,
    can_ask_questions: bool = True,  # noqa: FBT001, FBT002 - the promised signature
    max_questions: int | None = None,
) -> str:
    """Return what a subagent reads first: its task, and whether it may ask."""
    if not can_ask_questions:
        rest = "## Note\n\nYou cannot ask anything. Where something is open, decide, and say how you did."
    else:
        rest = "## Asking Questions\n\nWhen you cannot go on without knowing something, ask with the `ask_parent` tool."
        if max_questions is not None:
            rest += f" You may ask up to {max_questions} questions."
    return f"## Your Task\n\n{task_description}\n\n{rest}"
