"""Answers made of templates."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping

from fishjam_agents_local.intents.dates import spoken_date
from fishjam_agents_local.intents.dialogue import ERROR, RESULT
from fishjam_agents_local.intents.slots import Value

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")


def fill(template: str, known: Mapping[str, str]) -> str:
    """Fill a template.

    Args:
        template: Text with `{name}`; `{{` is a brace.
        known: What stands for each name.

    Raises:
        KeyError: A name is not known.
    """
    return _TOKEN.sub(lambda token: known[token[1]] if token[1] is not None else token[0][0], template)


def spoken(values: Mapping[str, Value], today: datetime.date) -> dict[str, str]:
    """Words that stand for slots, as they are spoken on a day."""
    return {
        name: value.spoken if value.day is None else spoken_date(value.day, today)
        for name, value in values.items()
    }


def outcome(tool: str, text: str, *, error: bool) -> dict[str, str]:
    """Words that stand for the answer of a tool, and for the entries of one that is a JSON object."""
    if error:
        return {ERROR: text.removeprefix(f"{tool}: ")}
    known = {RESULT: text}
    try:
        entries = json.loads(text)
    except ValueError:
        return known
    if isinstance(entries, dict):
        known |= {f"{RESULT}.{key}": _said(value) for key, value in entries.items()}
    return known


def _said(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "nothing"}[value]
    return ", ".join(map(_said, value)) if isinstance(value, list) else str(value)
