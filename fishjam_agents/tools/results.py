"""Conversion of a tool's result to text for the model."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

_DEEPEST = 100
"""Levels of lists and mappings within one another; what contains itself has no end of them."""


class UnspeakableError(TypeError):
    """A tool returned something that is neither text nor anything JSON can express."""


def as_text(result: Any, limit: int) -> tuple[str, bool]:
    """The text of a result.

    Args:
        result: See `written`.
        limit: Characters beyond which it is cut.

    Returns:
        The text, and whether it was cut.

    Raises:
        UnspeakableError: There is none.
    """
    text = written(result, limit + 1)
    if len(text) <= limit:
        return text, False
    return f"{text[:limit]}\n[cut here: there is more]", True


def written(result: Any, most: int) -> str:
    """The beginning of the text of a result.

    Nothing is written that is cut off anyway: this happens between two frames of audio of all calls, and five
    megabytes of JSON take 35 ms.

    Args:
        result: Text as it is, nothing as `done`, anything else as JSON: dataclasses, pydantic models and
            iterators, too.
        most: Characters of it.

    Raises:
        UnspeakableError: There is none.
    """
    if result is None:
        return "done"
    if isinstance(result, str):
        return result[:most]
    pieces: list[str] = []
    length = 0
    for piece in _pieces(result, most, _DEEPEST):
        pieces.append(piece)
        length += len(piece)
        if length >= most:
            break
    return "".join(pieces)[:most]


def _pieces(value: Any, most: int, levels: int) -> Iterator[str]:
    """JSON in pieces, each no longer than what is wanted of all, but for those of dataclasses and models."""
    if isinstance(value, str):
        yield _json(value[:most])
    elif isinstance(value, Mapping):
        yield from _members(value, most, _inside(levels))
    elif isinstance(value, (list, tuple, set, frozenset, deque, Iterator)):
        levels = _inside(levels)
        yield "["
        for index, item in enumerate(value):
            if index:
                yield ","
            yield from _pieces(item, most, levels)
        yield "]"
    else:
        yield _json(value)


def _members(value: Mapping[Any, Any], most: int, levels: int) -> Iterator[str]:
    yield "{"
    for index, (key, item) in enumerate(value.items()):
        # Pydantic knows what a key that is no text is called.
        yield ("," if index else "") + _json({key: 0})[1:-2]
        yield from _pieces(item, most, levels)
    yield "}"


def _inside(levels: int) -> int:
    if levels == 0:
        raise UnspeakableError(f"it has more than {_DEEPEST} lists or mappings in one another")
    return levels - 1


def _json(value: Any) -> str:
    import pydantic_core

    try:
        return pydantic_core.to_json(value, inf_nan_mode="strings").decode()
    except (pydantic_core.PydanticSerializationError, ValueError, RecursionError) as error:
        raise UnspeakableError(f"a {type(value).__name__} is neither text nor JSON") from error
