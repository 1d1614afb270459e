"""Short forms: a word or a number where a file would else have a mapping."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from fishjam_agents.config.document import Node, Scalar, Section, Sequence


def _hearing(word: Scalar) -> Node:
    return _mapping(word, mode=word)


def _end_of_turn(word: Scalar) -> Node:
    if re.fullmatch(r"[0-9.]+", word.text):
        return _mapping(word, type=Scalar("fixed", word.line, False, "fixed"), seconds=word)
    return _mapping(word, type=word)


def _barge_in(word: Scalar) -> Node:
    return _mapping(word, **{word.text: Scalar("true", word.line, False, "true")})


def _one(word: Scalar) -> Node:
    return Sequence((word,), word.line)


_FORMS: Mapping[str, Callable[[Scalar], Node]] = MappingProxyType(
    {
        "hearing": _hearing,
        "turns.end_of_turn": _end_of_turn,
        "turns.barge_in": _barge_in,
        "turns.barge_in.backchannel": _one,
    }
)
"""`hearing: mix`, `end_of_turn: 0.8`, `end_of_turn: punctuation`, `barge_in: never`, `backchannel: en`."""


def expanded(node: Node | None, path: str) -> Node | None:
    """The long form of a setting.

    Args:
        node: What the file says at `path`.
        path: The key, as messages name it.
    """
    path = path.removeprefix("agent.")
    if not isinstance(node, Scalar) or node.null or node.broken or path not in _FORMS:
        return node
    return _FORMS[path](node)


def _mapping(word: Scalar, **entries: Node) -> Section:
    return Section(entries, {key: word.line for key in entries}, word.line)
