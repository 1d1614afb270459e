"""The file of a dialogue, read with the messages of config.yaml: each mistake with its file and line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from fishjam_agents.config.document import Node, Scalar, Section, Sequence, read_document
from fishjam_agents.config.problems import Problems
from fishjam_agents.config.sections import SectionReader
from fishjam_agents_local.intents.dialogue import Dialogue
from fishjam_agents_local.intents.words import plain_text

_SMALLEST = "`intents: {hours: {about: hear when we open, examples: [when do you open], answer: At nine.}}`"
LISTS = frozenset({"answer", "other", "examples", "keywords"})
"""Keys whose single value stands for a list of one."""


def read_dialogue(path: Path, environ: Mapping[str, str] = os.environ) -> Dialogue:
    """Read a dialogue.

    Args:
        path: The file.
        environ: Where `${VAR}` in it is looked up.

    Raises:
        ConfigError: It cannot be used as written; one line for each mistake, each with file and line.
    """
    problems = Problems(str(path))
    document = _with_lists(read_document(path, environ, problems, _SMALLEST))
    assert isinstance(document, Section)
    reader = SectionReader(problems)
    given = reader.read(Dialogue, document, "")
    if given is not None:
        _note_twice(given.settings, reader, problems)
    problems.check()
    # What could not be read has been raised.
    assert given is not None
    return given.settings


def _with_lists(node: Node, key: str = "") -> Node:
    if isinstance(node, Section):
        entries = {name: _with_lists(entry, name) for name, entry in node.entries.items()}
        return Section(entries, node.lines, node.line)
    if isinstance(node, Sequence):
        return Sequence(tuple(_with_lists(item) for item in node.items), node.line)
    if isinstance(node, Scalar) and key in LISTS and not node.null:
        return Sequence((node,), node.line)
    return node


def _note_twice(dialogue: Dialogue, reader: SectionReader, problems: Problems) -> None:
    """Note sentences that stand as examples of two things: nobody could tell which is meant."""
    seen: dict[str, str] = {}
    for key, examples in dialogue.samples():
        for example in examples:
            plain = plain_text(example)
            before = seen.setdefault(plain, key)
            if before != key:
                place = reader.lines.get(key)
                problems.add(
                    place, f"{key} has {example!r}, which stands in {before} as well: remove one of them"
                )
