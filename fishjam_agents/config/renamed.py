"""Keys of config.yaml that have another name now."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fishjam_agents.config.document import Node, Section, Sequence
from fishjam_agents.config.problems import Problems, SourceLocation

RENAMED: Mapping[str, str] = MappingProxyType(
    {
        "agent.backend.backends.stand_in_after": "fallback_after",
        "agent.backend.stand_in_after": "fallback_after",
        "agent.background_audio.background": "ambient",
        "agent.idle.away": "after",
        "agent.silence": "idle",
        "agent.turns.owner": "mode",
        "agent.voice": "background_audio",
    }
)
"""New name of a key by its old path, in which the sections above it have their new names."""


def rename(section: Section, problems: Problems, path: str = "", shown: str = "") -> Section:
    """A section with the names of today. Each old one is a mistake: `agent.voice is now ...: rename it`.

    Reading goes on with the new names, so that what is wrong below an old one is told as well.

    Args:
        section: As the file has it.
        problems: Takes the mistakes.
        path: The key of `config.yaml` that the section belongs to.
        shown: The same as messages name it, "" as `path`.
    """
    return _renamed(section, problems, path, (shown or path, shown or path))


def _renamed(section: Section, problems: Problems, path: str, names: tuple[str, str]) -> Section:
    old_name, new_name = names
    entries: dict[str, Node] = {}
    lines: dict[str, SourceLocation] = {}
    for key, node in section.entries.items():
        new = RENAMED.get(_join(path, key), key)
        below = (_join(old_name, key), _join(new_name, new))
        if new != key:
            problems.add(section.lines[key], f"{below[0]} is now {below[1]}: rename it")
            if new in section.entries:
                continue
        entries[new] = _descend(node, problems, _join(path, new), below)
        lines[new] = section.lines[key]
    return Section(entries, lines, section.line)


def _descend(node: Node, problems: Problems, path: str, names: tuple[str, str]) -> Node:
    # No deeper than the table: aliases may unfold without end.
    if not any(old.startswith(f"{path}.") for old in RENAMED):
        return node
    if isinstance(node, Section):
        return _renamed(node, problems, path, names)
    if isinstance(node, Sequence):
        items = (
            _renamed(item, problems, path, (f"{names[0]}[{index}]", f"{names[1]}[{index}]"))
            if isinstance(item, Section)
            else item
            for index, item in enumerate(node.items)
        )
        return Sequence(tuple(items), node.line)
    return node


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
