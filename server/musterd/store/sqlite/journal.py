"""The steps of tasks."""

import sqlite3
from collections.abc import Sequence

from musterd.domain.step import Journal, ModelStep, StepRecord, ToolStatus, ToolStep
from musterd.store.encoding import STEP_FORMAT, TEXTS, check_format
from musterd.store.sqlite.transaction import Transaction

_SAVE_MODEL_STEP = """
INSERT OR REPLACE INTO model_step (task, step, format, response_json, extra_usage_json, steer_ids, known_tools)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_SAVE_TOOL_STEP = """
INSERT OR REPLACE INTO tool_step
    (task, step, tool_call_id, format, tool_name, status, repeatable, outcome_json, enqueued_json)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_READ_MODEL_STEPS = """
SELECT step, model_step.format, response_json, extra_usage_json, steer_ids, known_tools
FROM model_step JOIN task ON task.number = model_step.task
WHERE task_id = ?
ORDER BY step
"""
_READ_TOOL_STEPS = """
SELECT step, tool_step.format, tool_call_id, tool_name, status, repeatable, outcome_json, enqueued_json
FROM tool_step JOIN task ON task.number = tool_step.task
WHERE task_id = ?
ORDER BY step, tool_step.rowid
"""


def save_steps(transaction: Transaction, task_number: int, steps: Sequence[StepRecord]) -> None:
    """Store steps, each in place of what was stored of it before."""
    execute = transaction.connection.execute
    for step in steps:
        match step:
            case ModelStep():
                execute(_SAVE_MODEL_STEP, (task_number, *_model_columns(step)))
            case ToolStep():
                execute(_SAVE_TOOL_STEP, (task_number, *_tool_columns(step)))


def load_journal(connection: sqlite3.Connection, task_id: str) -> Journal:
    """Return all steps of a task."""
    model_steps = map(_to_model_step, connection.execute(_READ_MODEL_STEPS, (task_id,)).fetchall())
    tool_steps = map(_to_tool_step, connection.execute(_READ_TOOL_STEPS, (task_id,)).fetchall())
    return Journal(
        model_steps={step.step: step for step in model_steps},
        tool_steps={(step.step, step.tool_call_id): step for step in tool_steps},
    )


def _model_columns(step: ModelStep) -> tuple[object, ...]:
    return (
        step.step,
        STEP_FORMAT,
        step.response_json,
        step.extra_usage_json,
        TEXTS.encode(step.steer_ids),
        TEXTS.encode(step.known_tools),
    )


def _tool_columns(step: ToolStep) -> tuple[object, ...]:
    return (
        step.step,
        step.tool_call_id,
        STEP_FORMAT,
        step.tool_name,
        step.status.value,
        step.repeatable,
        step.outcome_json,
        step.enqueued_json,
    )


def _to_model_step(row: tuple[int, int, bytes, bytes, bytes, bytes]) -> ModelStep:
    step, row_format, response_json, extra_usage_json, steer_ids, known_tools = row
    check_format("model step", row_format, STEP_FORMAT)
    return ModelStep(
        step=step,
        response_json=response_json,
        extra_usage_json=extra_usage_json,
        steer_ids=TEXTS.decode(steer_ids),
        known_tools=TEXTS.decode(known_tools),
    )


def _to_tool_step(row: tuple[int, int, str, str, str, int, bytes, bytes]) -> ToolStep:
    step, row_format, tool_call_id, tool_name, status, repeatable, outcome_json, enqueued_json = row
    check_format("tool step", row_format, STEP_FORMAT)
    return ToolStep(
        step=step,
        tool_call_id=tool_call_id,
        tool_name=tool_name,
        status=ToolStatus(status),
        repeatable=bool(repeatable),
        outcome_json=outcome_json,
        enqueued_json=enqueued_json,
    )
