"""Reference of config.yaml: a heading for each mapping, a row for each key."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from docsite.markdown import code, table
from fishjam_agents.backends.cascade.components import LanguageModel, SpeechToText, TextToSpeech
from fishjam_agents.backends.port import Backend, Registered
from fishjam_agents.config.catalogue import (
    REQUIRED,
    Setting,
    described,
    implementations,
    prose,
    registered_base,
    settings_of,
)
from fishjam_agents.config.load import SECTIONS as FILE_SECTIONS
from fishjam_agents.config.settings import AgentSettings, Config
from fishjam_agents.config.shorthand import FORMS, LISTS
from fishjam_agents.pipeline.agent import SECTIONS, AgentPipeline
from fishjam_agents.settings_codec import dump, members, variants

LEFT_OUT = frozenset({"template"})
"""Backends that are there to be copied."""

_HEAD = ("key", "type", "default", "what it says")
_INTRODUCTION = """# config.yaml

Every key, from the classes that hold the settings. Relative paths are relative to the file. `${VAR}` and
`${VAR:-default}` stand for variables of the environment, in any value. A key without a value is as if it were
not there. An editor completes and checks the file with the [JSON Schema](cli.md#schema) of it.
"""
_KINDS: Sequence[tuple[str, str, type[Registered]]] = (
    ("Backends", "backend", Backend),
    ("Speech to text of a cascade", "stt", SpeechToText),
    ("Language models of a cascade", "llm", LanguageModel),
    ("Voices of a cascade", "tts", TextToSpeech),
)
_SCALARS: Mapping[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true`, `false`",
    Path: "path",
}


def page() -> str:
    """The page, in Markdown."""
    lines = [_INTRODUCTION]
    top = settings_of(Config)
    lines += table(("section", "what it is"), [(_link(name), top[name].text) for name in FILE_SECTIONS])
    for name in FILE_SECTIONS:
        lines += [f"## {name}", ""]
        if name == "agent":
            lines += [prose(AgentSettings), "", *_agent()]
        elif name == "bots":
            lines += ["A mapping from the names of bots to settings as those of [agent](#agent).", ""]
        else:
            lines += _section(name, _kind(top[name].hint), 3)
    for title, what, base in _KINDS:
        lines += [f"## {title}", ""]
        for name, kind in implementations(base).items():
            if name not in LEFT_OUT:
                lines += [f"### {what}: {name}", "", *_section(f"{what} {name}", kind, 4)]
    return "\n".join(lines)


def _agent() -> list[str]:
    own = [setting for name, setting in settings_of(AgentSettings).items() if name != "sections"]
    texts = described(AgentPipeline)
    sections = [Setting(name, kind, REQUIRED, "", texts[name]) for name, kind in SECTIONS.items()]
    rows = [_row(one, f"agent.{one.name}") for one in (*own, *sections)]
    lines = table(
        _HEAD,
        [(key, kind, "" if default == "required" else default, text) for key, kind, default, text in rows],
    )
    for setting in (*own, *sections):
        lines += _nested(setting, f"agent.{setting.name}", 3)
    return lines


def _section(path: str, kind: type[Any], level: int) -> list[str]:
    """The docstring of a settings class, its short form, its keys, and the mappings in it."""
    lines = [prose(kind), "", *_short(path)]
    settings = settings_of(kind)
    lines += table(_HEAD, [_row(setting, f"{path}.{setting.name}") for setting in settings.values()])
    for setting in settings.values():
        lines += _nested(setting, f"{path}.{setting.name}", level)
    return lines


def _nested(setting: Setting, path: str, level: int) -> list[str]:
    lines: list[str] = []
    heading = "#" * min(level, 6)
    element = _element(setting.hint)
    inner = variants(setting.hint) or ({} if element is None else {"": element})
    for name, kind in inner.items():
        shown = path.partition("agent.")[2] or path
        title = f"{path}: {name}" if name else path
        lines += [
            f"{heading} {title}",
            "",
            *_section(shown if not name else f"{shown}.{name}", kind, level + 1),
        ]
    return lines


def _short(path: str) -> list[str]:
    form = FORMS.get(path.removeprefix("agent."))
    if form is None:
        return []
    key = path.rpartition(".")[2]
    kinds = [f"{key}: {name.upper()}" for name in form.keys] + [f"{key}: {word}" for word in form.words]
    return [f"In short: {' or '.join(map(code, kinds))}.", ""] if kinds else []


def _row(setting: Setting, path: str) -> tuple[str, str, str, str]:
    unit = f", {setting.unit}" if setting.unit else ""
    short = path.removeprefix("agent.")
    alone = ", or one alone" if short in LISTS or (short in FORMS and not FORMS[short].keys) else ""
    return (
        code(setting.name),
        f"{_type(setting.hint)}{unit}{alone if 'list' in _type(setting.hint) else ''}",
        _default(setting),
        setting.text,
    )


def _type(hint: Any) -> str:
    """A type in words: `text`, ``active_speaker` or `mix``, `list of text`, `mapping`."""
    kinds = [kind for kind in members(hint) if kind is not type(None)]
    return " or ".join(dict.fromkeys(filter(None, map(_one_type, kinds)))) or "anything"


def _one_type(kind: Any) -> str:
    if kind in _SCALARS:
        return _SCALARS[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(map(code, arguments))
    if registered_base(kind) is not None:
        return "mapping with a `type`" if origin is None else "list of mappings with a `type`"
    if origin in (Union, types.UnionType):
        return _type(kind)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "mapping"
    if isinstance(origin, type) and issubclass(origin, Sequence):
        element = arguments[0]
        return "list of mappings" if _dataclass(element) else f"list of {_type(element)}"
    named = getattr(kind, "types", None)
    if named:
        return f"mapping with a `type`: {', '.join(map(code, named))}"
    return "mapping" if _dataclass(kind) else ""


def _default(setting: Setting) -> str:
    if setting.default is REQUIRED:
        return "required"
    value = setting.default
    if value is None or value == () or value == {} or _dataclass(type(value)):
        return "" if not isinstance(value, tuple | dict) else "none"
    shown = dump(value, setting.hint)
    if isinstance(shown, bool):
        return code(str(shown).lower())
    if isinstance(shown, list):
        return code(f"[{', '.join(map(str, shown))}]")
    return code(f"{shown:g}" if isinstance(shown, float) else shown)


def _kind(hint: Any) -> type[Any]:
    found = variants(hint).get("") or _element(hint)
    assert found is not None, hint
    return found


def _element(hint: Any) -> type[Any] | None:
    """The settings class that the entries of a list have."""
    for kind in members(hint):
        for argument in get_args(kind):
            if (
                _dataclass(argument)
                and argument is not AgentSettings
                and not issubclass(argument, Registered)
            ):
                return argument if not getattr(argument, "needs_words", None) else None
    return None


def _dataclass(kind: Any) -> bool:
    return isinstance(kind, type) and hasattr(kind, "__dataclass_fields__")


def _link(name: str) -> str:
    return f"[{code(name)}](#{name})"
