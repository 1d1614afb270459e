"""Arguments of a tool call, as models and servers write them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

_STRING = r'"(?:[^"\\]|\\.)*"'
_COMMA = re.compile(rf"({_STRING})|,(?=\s*[}}\]])", re.DOTALL)
_FENCE = re.compile(r"\s*```(?:json)?\s*(.*?)\s*```\s*", re.DOTALL)
_LONGEST = 200_000
"""Characters beyond which arguments are not read."""
_QUOTED = 200


def read_arguments(given: object) -> tuple[dict[str, Any], str | None]:
    """Read the arguments of a tool call, whatever form they came in.

    Servers send JSON as text, as OpenAI does, or the object itself; nothing, `null` or an empty text for a
    tool without parameters. What models write around or into JSON (a fence, a comma too many, line breaks in
    strings, Python's quotes, JSON in a string) is read as what it means. Nothing is filled in: what is cut
    short is not read.

    Args:
        given: What came in place of `arguments`.

    Returns:
        The arguments, and None; or no arguments, and what is wrong with them in words for the model.
    """
    value, problem = _read(given) if isinstance(given, str) else (given, None)
    if problem is None:
        if value is None:
            return {}, None
        if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
            return dict(value), None
        problem = "they are no JSON object"
    text = given if isinstance(given, str) else repr(given)
    shown = text if len(text) <= _QUOTED else text[:_QUOTED] + "..."
    return {}, f"{problem}: {shown}"


def _read(text: str) -> tuple[Any, str | None]:
    if len(text) > _LONGEST:
        return None, f"they have more than {_LONGEST} characters"
    fence = _FENCE.fullmatch(text)
    text = (fence.group(1) if fence else text).strip()
    # What some proxies begin with, whatever comes.
    text = text.removeprefix("{}").strip() or text
    if not text:
        return None, None
    for attempt in (text, _COMMA.sub(lambda match: match.group(1) or "", text)):
        try:
            # Line breaks inside strings are what `strict` refuses.
            value = json.loads(attempt, strict=False)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, str) and value.lstrip().startswith("{"):
            return _read(value)
        return value, None
    try:
        return json.loads(json.dumps(ast.literal_eval(text))), None
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None, "they are no JSON"
