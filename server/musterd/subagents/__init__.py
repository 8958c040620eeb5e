"""Agents that delegate to other agents: toolsets that work in any pydantic-ai agent, and durably under the server."""

from musterd.subagents.descriptions import (
    ANSWER_SUBAGENT_DESCRIPTION,
    CHECK_TASK_DESCRIPTION,
    HARD_CANCEL_TASK_DESCRIPTION,
    LIST_ACTIVE_TASKS_DESCRIPTION,
    SEND_MESSAGE_TO_SUBAGENT_DESCRIPTION,
    SOFT_CANCEL_TASK_DESCRIPTION,
    TASK_TOOL_DESCRIPTION,
    WAIT_TASKS_DESCRIPTION,
)
from musterd.subagents.factory_toolset import create_agent_factory_toolset
from musterd.subagents.handle import TaskHandle
from musterd.subagents.manager import TaskManager
from musterd.subagents.message_bus import AgentMessage, InMemoryMessageBus, MessageType, create_message_bus, utcnow
from musterd.subagents.prompts import (
    DEFAULT_GENERAL_PURPOSE_DESCRIPTION,
    DUAL_MODE_SYSTEM_PROMPT,
    SUBAGENT_SYSTEM_PROMPT,
    get_subagent_system_prompt,
    get_task_instructions_prompt,
)
from musterd.subagents.registry import DynamicAgentRegistry
from musterd.subagents.retry import RetryConfig, compute_backoff_delay, is_transient_error
from musterd.subagents.retrying import run_with_retry
from musterd.subagents.slots import QueueFullError
from musterd.subagents.status import TERMINAL_STATUSES, TaskPriority, TaskStatus
from musterd.subagents.toolset import SubagentFailedError, SubAgentToolset, create_subagent_toolset
from musterd.subagents.types import (
    AgentFactory,
    AskUserCallback,
    CompiledSubAgent,
    ExecutionMode,
    SubAgentConfig,
    SubAgentDepsProtocol,
    TaskCharacteristics,
    ToolsetFactory,
    UsageLimitsFactory,
    decide_execution_mode,
)

__all__ = [
    "ANSWER_SUBAGENT_DESCRIPTION",
    "CHECK_TASK_DESCRIPTION",
    "DEFAULT_GENERAL_PURPOSE_DESCRIPTION",
    "DUAL_MODE_SYSTEM_PROMPT",
    "HARD_CANCEL_TASK_DESCRIPTION",
    "LIST_ACTIVE_TASKS_DESCRIPTION",
    "SEND_MESSAGE_TO_SUBAGENT_DESCRIPTION",
    "SOFT_CANCEL_TASK_DESCRIPTION",
    "SUBAGENT_SYSTEM_PROMPT",
    "TASK_TOOL_DESCRIPTION",
    "TERMINAL_STATUSES",
    "WAIT_TASKS_DESCRIPTION",
    "AgentFactory",
    "AgentMessage",
    "AskUserCallback",
    "CompiledSubAgent",
    "DynamicAgentRegistry",
    "ExecutionMode",
    "InMemoryMessageBus",
    "MessageType",
    "QueueFullError",
    "RetryConfig",
    "SubAgentConfig",
    "SubAgentDepsProtocol",
    "SubAgentToolset",
    "SubagentFailedError",
    "TaskCharacteristics",
    "TaskHandle",
    "TaskManager",
    "TaskPriority",
    "TaskStatus",
    "ToolsetFactory",
    "UsageLimitsFactory",
    "compute_backoff_delay",
    "create_agent_factory_toolset",
    "create_message_bus",
    "create_subagent_toolset",
    "decide_execution_mode",
    "get_subagent_system_prompt",
    "get_task_instructions_prompt",
    "is_transient_error",
    "run_with_retry",
    "utcnow",
]
