"""Hooks: functions of the application that the server calls before and after a run."""

from musterd.hooks.binding import Hook, HookCallable, check_hooks, prepare_hooks
from musterd.hooks.checks import CheckError, InputCheckError, OutputCheckError
from musterd.hooks.marking import hook
from musterd.hooks.values import RunInput, RunOutput

__all__ = [
    "CheckError",
    "Hook",
    "HookCallable",
    "InputCheckError",
    "OutputCheckError",
    "RunInput",
    "RunOutput",
    "check_hooks",
    "hook",
    "prepare_hooks",
]
