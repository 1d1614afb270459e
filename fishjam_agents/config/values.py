"""One value of a file as the Python type its setting wants."""

from __future__ import annotations

import math
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import pydantic
import yaml

from fishjam_agents.config.document import Node, Scalar, Section, Sequence
from fishjam_agents.config.problems import alternatives, nearest

_SHOWN = 40


class WrongValueError(ValueError):
    """A value is not of the type its setting wants."""


def read_value(hint: Any, node: Node, folder: Path) -> Any:
    """The value of a setting.

    Args:
        hint: The type of the setting.
        node: What the file says.
        folder: What relative paths are relative to.

    Raises:
        WrongValueError: It is something else: `must be a number, not 'soon'`.
    """
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(
        hint, config=pydantic.ConfigDict(arbitrary_types_allowed=True)
    )
    try:
        value = adapter.validate_python(_raw(hint, node, folder))
    except pydantic.ValidationError as error:
        raise WrongValueError(_sentence(hint, node, error)) from error
    if isinstance(value, float) and not math.isfinite(value):
        raise WrongValueError(f"must be a finite number, not {show(node)}")
    return value


def accepts_none(hint: Any) -> bool:
    """Return whether a setting may be None."""
    return hint is None or type(None) in members(hint)


def members(hint: Any) -> tuple[Any, ...]:
    """The members of a union; a type that is none is its own only member."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def show(node: Node) -> str:
    """A value as a message shows it; never what a variable holds."""
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Section):
        return "a mapping"
    if node.source != node.text:
        return f"the value of {node.source}"
    return repr(node.text if len(node.text) <= _SHOWN else node.text[:_SHOWN] + "…")


def _raw(hint: Any, node: Node, folder: Path) -> Any:
    # Scalars stay text wherever the type can read it: `007` is an id for one setting and a number for
    # another.
    kinds = [kind for kind in members(hint) if kind is not type(None)]
    if isinstance(node, Scalar):
        return _raw_scalar(kinds, node, folder)
    kind = kinds[0] if len(kinds) == 1 else Any
    arguments = get_args(kind)
    if isinstance(node, Sequence):
        hints = [argument for argument in arguments if argument is not Ellipsis] or [Any]
        return [
            _raw(hints[min(index, len(hints) - 1)], item, folder) for index, item in enumerate(node.items)
        ]
    inner = arguments[1] if len(arguments) == 2 and _is_a(kind, Mapping) else Any
    return {key: _raw(inner, value, folder) for key, value in node.entries.items()}


def _raw_scalar(kinds: Iterable[Any], node: Scalar, folder: Path) -> Any:
    if node.null:
        return None
    for kind in kinds:
        if get_origin(kind) is Literal:
            for choice in get_args(kind):
                if str(choice) == node.text:
                    return choice
        elif kind is Path:
            return folder / Path(node.text).expanduser()
        elif kind in (Any, object):
            return node.text if node.quoted else _typed(node.text)
    return node.text


def _typed(text: str) -> Any:
    """Return the value YAML takes a scalar for, without a setting's type: number, true, false or text."""
    loader = yaml.SafeLoader("")
    tag: str = loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    if tag.rpartition(":")[2] not in ("int", "float", "bool"):
        return text
    return loader.construct_object(yaml.ScalarNode(tag, text))


def _sentence(hint: Any, node: Node, error: pydantic.ValidationError) -> str:
    choices = [str(c) for kind in members(hint) if get_origin(kind) is Literal for c in get_args(kind)]
    if choices:
        sentence = f"must be {alternatives(choices)}, not {show(node)}"
        advice = nearest(node.text, choices) if isinstance(node, Scalar) and not node.text.isdigit() else ""
        return f"{sentence}: {advice}" if advice.startswith("did") else sentence
    names = [_name(kind) for kind in members(hint) if kind is not type(None)]
    found = error.errors()[0]
    if not isinstance(node, Scalar) and any(name and name.startswith(show(node)) for name in names):
        place = ".".join(map(str, found["loc"])) or "its end"
        return f"is wrong at {place} ({found['msg']})"
    if all(names):
        return f"must be {alternatives(map(str, names))}, not {show(node)}"
    return f"is not right ({found['msg']})"


def _name(kind: Any) -> str | None:
    simple = {str: "text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}
    if kind in simple:
        return simple[kind]
    if _is_a(kind, (list, tuple, set, frozenset)):
        inner = _name(next(iter(get_args(kind)), Any))
        return f"a list, each of it {inner}" if inner else "a list"
    return "a mapping" if _is_a(kind, Mapping) else None


def _is_a(kind: Any, of: type | tuple[type, ...]) -> bool:
    origin = get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, of)
