"""What a tool returned, as text for the model."""

from __future__ import annotations

from typing import Any


class UnspeakableError(TypeError):
    """A tool returned something that is neither text nor anything JSON can express."""


def as_text(result: Any, limit: int) -> tuple[str, int]:
    """The text of a result.

    Args:
        result: Text as it is, nothing as `done`, anything else as JSON: dataclasses and pydantic models too.
        limit: Characters beyond which it is cut.

    Returns:
        The text, and how many characters were cut off.

    Raises:
        UnspeakableError: There is none.
    """
    if result is None:
        return "done", 0
    text = result if isinstance(result, str) else _json(result)
    if len(text) <= limit:
        return text, 0
    lost = len(text) - limit
    return f"{text[:limit]}\n[cut here: {lost} more characters]", lost


def _json(result: Any) -> str:
    import pydantic_core

    try:
        return pydantic_core.to_json(result, inf_nan_mode="strings").decode()
    except (pydantic_core.PydanticSerializationError, ValueError, RecursionError) as error:
        raise UnspeakableError(f"a {type(result).__name__} is neither text nor JSON") from error
