"""HTML as values: what is not `Markup` is escaped, so no transcript and no name can become part of a page."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable

Attribute = str | int | float | bool | None


class Markup(str):
    """HTML that is right as it stands."""

    __slots__ = ()


def escaped(value: str) -> Markup:
    """Text as HTML: entities for what HTML reserves, U+FFFD for control characters and lone surrogates."""
    shown = "".join(
        character if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs") else "\ufffd"
        for character in value
    )
    return Markup(html.escape(shown, quote=True))


def tag(name: str, *children: str | None, **attributes: Attribute) -> Markup:
    """An element.

    Args:
        name: Of the element.
        children: Markup as it stands, other text escaped, None left out.
        attributes: `class_` is `class`, `data_at` is `data-at`; True is an attribute without a value, False
            and None leave it out.
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        parts.append(f" {key.rstrip('_').replace('_', '-')}")
        if value is not True:
            parts.append(f'="{escaped(str(value))}"')
    parts.append(">")
    parts.extend(child if isinstance(child, Markup) else escaped(child) for child in children if child)
    parts.append(f"</{name}>")
    return Markup("".join(parts))


def joined(pieces: Iterable[Markup], separator: str = "") -> Markup:
    """Pieces of markup, one after the other."""
    return Markup(separator.join(pieces))


def foreign(value: str) -> Markup:
    """Isolate words of a model or a peer, so that their direction of writing ends with them."""
    return tag("bdi", value)
