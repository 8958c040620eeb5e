"""The steps of tasks."""

from collections.abc import Sequence

from musterd.domain.step import Journal, ModelStep, StepRecord, ToolStatus, ToolStep
from musterd.store.encoding import STEP_FORMAT, TEXTS, check_format
from musterd.store.postgres.connection import Connection, Row
from musterd.store.postgres.live import LiveTask
from musterd.store.postgres.statements import load_statement

_SAVE_MODEL_STEPS = load_statement("save_model_steps")
_SAVE_TOOL_STEPS = load_statement("save_tool_steps")
_READ_MODEL_STEPS = load_statement("read_model_steps")
_READ_TOOL_STEPS = load_statement("read_tool_steps")


async def save_steps(connection: Connection, steps: Sequence[tuple[LiveTask, StepRecord]]) -> None:
    """Store steps of tasks in their order, each in place of what was stored of it before."""
    # The same step may come twice, and a statement changes no row twice: the last is what stays.
    model_rows: dict[tuple[int, int], tuple[object, ...]] = {}
    tool_rows: dict[tuple[int, int, str], tuple[object, ...]] = {}
    for task, step in steps:
        match step:
            case ModelStep():
                model_rows[task.number, step.step] = _model_values(task, step)
            case ToolStep():
                key = (task.number, step.step, step.tool_call_id)
                tool_rows.pop(key, None)
                tool_rows[key] = _tool_values(task, step)
    if model_rows:
        await connection.execute(_SAVE_MODEL_STEPS, *zip(*model_rows.values(), strict=True), STEP_FORMAT)
    if tool_rows:
        await connection.execute(_SAVE_TOOL_STEPS, *zip(*tool_rows.values(), strict=True), STEP_FORMAT)


async def load_journal(connection: Connection, task_id: str) -> Journal:
    """Return all steps of a task."""
    model_steps = map(_to_model_step, await connection.fetch(_READ_MODEL_STEPS, task_id))
    tool_steps = map(_to_tool_step, await connection.fetch(_READ_TOOL_STEPS, task_id))
    return Journal(
        model_steps={step.step: step for step in model_steps},
        tool_steps={(step.step, step.tool_call_id): step for step in tool_steps},
    )


def _model_values(task: LiveTask, step: ModelStep) -> tuple[object, ...]:
    return (
        task.number,
        step.step,
        task.tree.tenant_id,
        step.response_json,
        step.extra_usage_json,
        TEXTS.encode(step.steer_ids),
        TEXTS.encode(step.known_tools),
    )


def _tool_values(task: LiveTask, step: ToolStep) -> tuple[object, ...]:
    return (
        task.number,
        step.step,
        step.tool_call_id.encode(),
        task.tree.tenant_id,
        step.tool_name.encode(),
        step.status.value,
        step.repeatable,
        step.outcome_json,
        step.enqueued_json,
    )


def _to_model_step(row: Row) -> ModelStep:
    check_format("model step", row["format"], STEP_FORMAT)
    return ModelStep(
        step=row["step"],
        response_json=row["response_json"],
        extra_usage_json=row["extra_usage_json"],
        steer_ids=TEXTS.decode(row["steer_ids"]),
        known_tools=TEXTS.decode(row["known_tools"]),
    )


def _to_tool_step(row: Row) -> ToolStep:
    check_format("tool step", row["format"], STEP_FORMAT)
    return ToolStep(
        step=row["step"],
        tool_call_id=row["tool_call_id"].decode(),
        tool_name=row["tool_name"].decode(),
        status=ToolStatus(row["status"]),
        repeatable=row["repeatable"],
        outcome_json=row["outcome_json"],
        enqueued_json=row["enqueued_json"],
    )
