"""The tools of a pipeline: its methods marked with `tool`, and the functions it was given."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from fishjam_agents.errors import ConfigError
from fishjam_agents.tools.signature import function_tool
from fishjam_agents.tools.tool import MARK, Tool


def collect(pipeline: object, functions: Sequence[Callable[..., Any] | Tool]) -> list[Tool]:
    """Every tool, methods first.

    Args:
        pipeline: An instance whose methods may be marked.
        functions: What else is offered.

    Raises:
        ConfigError: One of them cannot be a tool, or two have the same name.
    """
    kind = type(pipeline)
    found = [
        (f"{kind.__name__}.{name}", function_tool(getattr(pipeline, name), f"{kind.__name__}.{name}"))
        for name in _marked(kind)
    ]
    for function in functions:
        label = function.name if isinstance(function, Tool) else label_of(function)
        found.append((label, function if isinstance(function, Tool) else function_tool(function, label)))
    labels: dict[str, str] = {}
    for label, tool in found:
        if tool.name in labels:
            other = labels[tool.name]
            if other == label:
                raise ConfigError(f"the tool {tool.name} ({label}) is given twice: keep one of them")
            raise ConfigError(
                f"two tools are called {tool.name} ({other} and {label}): rename one with @tool(name=...)"
            )
        labels[tool.name] = label
    return [tool for _, tool in found]


def label_of(function: object) -> str:
    """Return the name of a function in messages: `my_bot:get_weather`."""
    name = getattr(function, "__qualname__", None)
    return repr(function) if name is None else f"{getattr(function, '__module__', '?')}:{name}"


def _marked(kind: type) -> list[str]:
    """Names of the methods with a mark, in the order they were written, those of base classes first."""
    names = dict.fromkeys(name for base in reversed(kind.__mro__) for name in vars(base))
    marked = []
    for name in names:
        attribute = inspect.getattr_static(kind, name)
        function = attribute.__func__ if isinstance(attribute, (staticmethod, classmethod)) else attribute
        if inspect.isfunction(function) and hasattr(function, MARK):
            marked.append(name)
    return marked
