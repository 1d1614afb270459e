"""Objects of the user's own modules, by the name a file gives them: `my_bot:Bot`."""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from fishjam_agents.backends.tracebacks import raised_at
from fishjam_agents.config.settings import Config
from fishjam_agents.errors import ConfigError

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def is_import_name(text: str) -> bool:
    """Return whether a text has the form `module:name`."""
    return _NAME.fullmatch(text) is not None


def folder_of(config: Config, key: str) -> Path:
    """The folder of the file that gives a key: a scenario's is its own."""
    place = config.lines.get(key)
    return Path(config.source if place is None else place.source).resolve().parent


def import_named(where: str, folder: Path, name: str) -> tuple[ModuleType, Any]:
    """The module that `module:name` names, and what it has under the name; None if nothing.

    Args:
        where: File, line and key, for messages.
        folder: The file's; it and the current one are on `sys.path` afterwards.
        name: `module:name`.

    Raises:
        ConfigError: The module cannot be imported.
    """
    module_name, _, attribute = name.partition(":")
    for entry in (str(Path.cwd()), str(folder)):
        if entry not in sys.path:
            sys.path.insert(0, entry)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"{where}: there is no module {module_name} in {folder} or installed: check the name"
            ) from error
        raise ConfigError(f"{where}: importing {module_name} failed: {describe_error(error)}") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{where}: importing {module_name} failed: {describe_error(error)}") from error
    return module, getattr(module, attribute, None)


def describe_error(error: BaseException, ours: str = __file__) -> str:
    """An error of the user's module with the line it came from.

    Args:
        error: What was raised.
        ours: A file of ours: an error whose last line lies in it came from no line of the user's.
    """
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {error.msg}"
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    last = traceback.extract_tb(error.__traceback__)[-1]
    # A class that wants arguments fails in the line that makes it, which is ours.
    return what if last.filename == ours else f"{raised_at(error, foreign=True)}: {what}"
