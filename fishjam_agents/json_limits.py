"""JSON that comes from elsewhere: how deeply it may be nested to be kept, and how it is written to a file.

Python reads JSON as deep as the stack happens to allow at that moment, and can then neither write nor compare
it where the stack is a little higher. So what is kept is bounded where it comes in.
"""

from __future__ import annotations

import json
import re
from typing import Any

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

MAX_JSON_DEPTH = 64
"""Objects and lists within each other. Metadata of peers is two or three deep."""


def depth_of(value: Any, limit: int = MAX_JSON_DEPTH) -> int:
    """Depth at which decoded JSON is nested; anything beyond `limit` counts as `limit + 1`."""
    depth = 0
    level = [value]
    while level:
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list | tuple)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list | tuple)
        ]
        depth += 1
        if depth > limit:
            break
    return depth if isinstance(value, dict | list | tuple) else 0


def read_json(text: str | bytes, limit: int = MAX_JSON_DEPTH) -> Any:
    """Decode JSON.

    Raises:
        ValueError: It is none, or nested deeper than `limit`.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"JSON is nested deeper than {limit}") from error
    if depth_of(value, limit) > limit:
        raise ValueError(f"JSON is nested deeper than {limit}")
    return value


def strict_json(value: Any) -> str:
    """`value` as JSON text that every client can read.

    Python reads NaN and lone surrogates that other parsers refuse: one room's metadata would spoil the
    listing of all rooms.

    Raises:
        ValueError: `value` holds such a thing, or is nested deeper than `MAX_JSON_DEPTH`.
    """
    if depth_of(value) > MAX_JSON_DEPTH:
        raise ValueError(f"JSON is nested deeper than {MAX_JSON_DEPTH}")
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    text.encode()
    return text


def readable_json(value: Any, **options: Any) -> str:
    r"""Encode JSON with its words as they are, not as `\u00eb`.

    Half a surrogate pair, which a service may send and no UTF-8 can hold, stays escaped.

    Args:
        value: What to encode.
        options: Further ones of `json.dumps`.
    """
    text = json.dumps(value, ensure_ascii=False, **options)
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def pruned(value: Any, limit: int = MAX_JSON_DEPTH) -> Any:
    """Decoded JSON without what is nested deeper than `limit`: null stands there. Changed in place."""
    level: list[Any] = [value] if isinstance(value, dict | list) else []
    for _ in range(limit - 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    for outer in level:
        items = outer.items() if isinstance(outer, dict) else enumerate(outer)
        for key, inner in tuple(items):
            if isinstance(inner, dict | list):
                outer[key] = None
    return value
