"""Loads the app that `musterd serve` is to serve."""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from musterd.app import Musterd

EXAMPLE = 'app = Musterd(agents=[Agent("openai:gpt-5", name="support")])'


class AppNotFoundError(Exception):
    """The app to serve cannot be loaded; the text says what to change."""


def load_app(target: str) -> "Musterd":
    """Return the app that `module:attribute` names, looked up from the working directory. Raises AppNotFoundError."""
    from musterd.app import Musterd

    module_name, _, attribute = target.partition(":")
    if not module_name or module_name.startswith(".") or not attribute:
        raise AppNotFoundError(f"{target!r} names no app: write module:attribute, for example shop:app")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # Another one that is missing is missed by the module.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise AppNotFoundError(f"there is no module {module_name!r} in {here} or among the installed ones") from error
    found = getattr(module, attribute, None)
    if not isinstance(found, Musterd):
        what = "missing" if found is None else f"of type {type(found).__name__}"
        raise AppNotFoundError(f"{module_name}.{attribute} is {what}; it must be a Musterd app, like\n    {EXAMPLE}")
    return found
