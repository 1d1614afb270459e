"""Short forms: a word, a number or one entry where a file would else have a mapping or a list."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from fishjam_agents.config.document import Node, Scalar, Section, Sequence
from fishjam_agents.urls import REDIS_SCHEMES


def _mode(word: Scalar) -> Node:
    return _mapping(word, mode=word)


def _end_of_turn(word: Scalar) -> Node:
    if re.fullmatch(r"[0-9.]+", word.text):
        return _mapping(word, type=Scalar("fixed", word.line, False, "fixed"), seconds=word)
    return _mapping(word, type=word)


def _barge_in(word: Scalar) -> Node:
    return _mapping(word, **{word.text: Scalar("true", word.line, False, "true")})


def _one(node: Node) -> Node:
    return Sequence((node,), node.line)


def _wav(word: Scalar) -> Node:
    return _mapping(word, wav=word)


def _folder(word: Scalar) -> Node:
    return _mapping(word, folder=word)


def _words(word: Scalar) -> Node:
    return _wav(word) if word.text.lower().endswith(".wav") else _mapping(word, text=word)


def _processes(number: Scalar) -> Node:
    return _mapping(number, processes=number)


def _shard(text: Scalar) -> Node:
    """`2/3`, `${HOSTNAME}/3`."""
    index, slash, count = text.text.rpartition("/")
    if not slash:
        return _mapping(text, index=text)
    source = text.source.rpartition("/")
    return _mapping(
        text,
        index=replace(text, text=index, source=source[0], quoted=True),
        count=replace(text, text=count, source=source[2], quoted=True),
    )


def _port(number: Scalar) -> Node:
    return _mapping(number, port=number)


def _store(address: Scalar) -> Node:
    if not _is_url(address):
        return _mapping(address, path=address)
    return _mapping(address, type=Scalar("redis", address.line, False, "redis"), url=address)


def _claims(address: Scalar) -> Node:
    return _mapping(address, url=address) if _is_url(address) else _mapping(address, path=address)


def _is_url(address: Scalar) -> bool:
    return address.text.partition("://")[0] in REDIS_SCHEMES


def _rooms(word: Scalar) -> Node:
    if word.text != "every":
        return word
    return _one(_mapping(word, every=Scalar("true", word.line, False, "true")))


_BOT_OR_INDEX = re.compile(r"^agent\.|^bots\.[^.]+\.|\[\d+\](?=\.)")
"""Parts of a key that say which bot or which entry of a list it belongs to."""


@dataclass(frozen=True, slots=True)
class ShortForm:
    """A short form of one setting.

    Attributes:
        expand: Makes the long form of it.
        keys: The keys of the long form whose values it may be; none where it is one entry of a list.
        words: Words that it may be besides.
        number: Whether it may be a number besides.
    """

    expand: Callable[[Scalar], Node]
    keys: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    number: bool = False


_WAV = ShortForm(_wav, ("wav",))
_WORDS = ShortForm(_words, ("wav", "text"))
_ONE = ShortForm(_one)
_MODE = ShortForm(_mode, ("mode",))

FORMS: Mapping[str, ShortForm] = MappingProxyType(
    {
        "api": ShortForm(_port, ("port",)),
        "apology": _WORDS,
        "farewell": _WORDS,
        "fishjam.allowed_hosts": _ONE,
        "fishjam.allowed_origins": _ONE,
        "fishjam.tls": _MODE,
        "greeting": _WORDS,
        "hearing": _MODE,
        "idle.goodbye": _WORDS,
        "idle.prompt": _WORDS,
        "journal": ShortForm(_store, ("path", "url")),
        "observe.record": ShortForm(_folder, ("folder",)),
        "rooms": ShortForm(_rooms, words=("every",)),
        "rooms.id": _ONE,
        "tools": _ONE,
        "turns.end_of_turn": ShortForm(_end_of_turn, ("type",), number=True),
        "turns.barge_in": ShortForm(_barge_in, words=("never", "after_first_reply")),
        "turns.barge_in.backchannel": _ONE,
        "background_audio.ambient": _WAV,
        "background_audio.thinking": _WAV,
        "workers": ShortForm(_processes, ("processes",)),
        "workers.shard": ShortForm(_shard, ("index",)),
        "workers.claims": ShortForm(_claims, ("path", "url")),
    }
)
"""By the key, without `agent.` or `bots.NAME.`. What they look like: `hearing: mix`, `end_of_turn: 0.8`,
`end_of_turn: punctuation`, `barge_in: never`, `backchannel: en`, `greeting: hello.wav`,
`idle.prompt: Are you still there?`, `tools: end_call`, `rooms: every`, `workers: 4`, `api: 8081`,
`journal: calls.db`, `journal: redis://store`, `workers.claims: redis://store`, `tls: off`, `shard: 2/3`,
`record: calls`."""
LISTS = frozenset({"mcp", "rooms"})
"""Lists of mappings, of which one may stand alone."""


def form_key(path: str) -> str:
    """The key of `FORMS` and `LISTS` for a key of a file: `tools` for `bots.clerk.tools`."""
    return _BOT_OR_INDEX.sub("", path)


def expanded(node: Node | None, path: str) -> Node | None:
    """The long form of a setting.

    Args:
        node: What the file says at `path`.
        path: The key, as messages name it.
    """
    path = form_key(path)
    if isinstance(node, Section) and path in LISTS:
        return _one(node)
    if not isinstance(node, Scalar) or node.null or node.broken or path not in FORMS:
        return node
    return FORMS[path].expand(node)


def _mapping(word: Scalar, **entries: Node) -> Section:
    return Section(entries, {key: word.line for key in entries}, word.line)
