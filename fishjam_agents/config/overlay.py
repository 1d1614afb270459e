"""A file's settings with those of another one laid over them."""

from __future__ import annotations

from fishjam_agents.config.document import Node, Scalar, Section
from fishjam_agents.config.problems import SourceLocation

_BACKEND = "agent.backend"


def overlay(base: Section, top: Section, path: str = "") -> Section:
    """`base` with what `top` says.

    Mappings are merged key by key; anything else in `top` takes the place of what `base` has. A key without a
    value (`greeting:`) takes the setting away. A backend of another type takes the place of the whole one,
    since its settings are others.

    Args:
        base: The settings below.
        top: The settings above.
        path: The key both belong to, "" for the whole file.
    """
    if path == _BACKEND and _type(top) not in (None, _type(base)):
        return top
    entries: dict[str, Node] = dict(base.entries)
    lines: dict[str, SourceLocation] = dict(base.lines)
    for key, node in top.entries.items():
        below = entries.pop(key, None)
        lines.pop(key, None)
        if isinstance(node, Scalar) and node.null:
            continue
        if isinstance(node, Section) and isinstance(below, Section):
            node = overlay(below, node, f"{path}.{key}" if path else key)
        entries[key] = node
        lines[key] = top.lines[key]
    return Section(entries, lines, top.line)


def _type(section: Section) -> str | None:
    node = section.entries.get("type")
    return node.text if isinstance(node, Scalar) and not node.null else None
