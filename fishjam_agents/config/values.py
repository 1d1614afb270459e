"""One value of a file: as data for its setting's type, and as messages speak of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml

from fishjam_agents.config.document import Node, Scalar, Section, Sequence
from fishjam_agents.config.problems import alternatives, near_word
from fishjam_agents.settings_codec import members

_SHOWN = 40


def plain_value(hint: Any, node: Node) -> Any:
    """A value as the data that pydantic makes the setting's type of.

    Scalars stay text wherever the type can read it: `007` is an id for one setting and a number for another.
    Relative paths are relative to the file they stand in.

    Args:
        hint: The type of the setting.
        node: What the file says.
    """
    kinds = [kind for kind in members(hint) if kind is not type(None)]
    if isinstance(node, Scalar):
        return _scalar(kinds, node)
    kind = kinds[0] if len(kinds) == 1 else Any
    arguments = get_args(kind)
    if isinstance(node, Sequence):
        hints = [argument for argument in arguments if argument is not Ellipsis] or [Any]
        return [plain_value(hints[min(index, len(hints) - 1)], item) for index, item in enumerate(node.items)]
    inner = arguments[1] if len(arguments) == 2 and _is_a(kind, Mapping) else Any
    return {key: plain_value(inner, value) for key, value in node.entries.items()}


def mistake_sentence(hint: Any, node: Node, mistake: Mapping[str, Any], within: Iterable[str | int]) -> str:
    """The mistake of a value as a message goes on after its key: `must be a number, not 'soon'`.

    Args:
        hint: The type of the setting.
        node: What the file says.
        mistake: One of `ValidationError.errors()`.
        within: Where in the value it is, as its `loc`.
    """
    if mistake["type"] == "finite_number" and isinstance(node, Scalar):
        return f"must be a finite number, not {show(node)}"
    choices = [str(c) for kind in members(hint) if get_origin(kind) is Literal for c in get_args(kind)]
    if choices:
        sentence = f"must be {alternatives(choices)}, not {show(node)}"
        near = near_word(node.text, choices) if isinstance(node, Scalar) and not node.text.isdigit() else None
        return f"{sentence}: did you mean {near}?" if near else sentence
    names = [_name(kind) for kind in members(hint) if kind is not type(None)]
    if not isinstance(node, Scalar) and any(name and name.startswith(show(node)) for name in names):
        return f"is wrong at {'.'.join(map(str, within)) or 'its end'} ({mistake['msg']})"
    if all(names):
        return f"must be {alternatives(map(str, names))}, not {show(node)}"
    return f"is not right ({mistake['msg']})"


def show(node: Node) -> str:
    """A value as a message shows it; never what a variable holds."""
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Section):
        return "a mapping"
    if node.source != node.text:
        return f"the value of {node.source}"
    return repr(node.text if len(node.text) <= _SHOWN else node.text[:_SHOWN] + "…")


def _scalar(kinds: Iterable[Any], node: Scalar) -> Any:
    if node.null:
        return None
    for kind in kinds:
        if get_origin(kind) is Literal:
            for choice in get_args(kind):
                if str(choice) == node.text:
                    return choice
        elif kind is Path:
            return Path(node.line.source).parent / Path(node.text).expanduser()
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
