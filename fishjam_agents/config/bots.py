"""Settings of bots: `agent`, or several of them under `bots`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from fishjam_agents.backends.port import Backend
from fishjam_agents.config.document import SMALLEST, Node, Scalar, Section
from fishjam_agents.config.imports import is_import_name
from fishjam_agents.config.instructions import read_instructions
from fishjam_agents.config.problems import Problems, alternatives
from fishjam_agents.config.sections import SectionReader
from fishjam_agents.config.settings import AGENT_KEYS, AgentSettings, GreetingSettings, OwnWordsSettings
from fishjam_agents.pipeline.agent import SECTIONS
from fishjam_agents.tools.builtin import BUILTIN
from fishjam_agents.tools.mcp_server import McpServer

WordsT = TypeVar("WordsT", GreetingSettings, OwnWordsSettings)


def read_agent(
    node: Node | None,
    reader: SectionReader,
    problems: Problems,
    path: str = "agent",
    *,
    optional: bool = False,
    complete: bool = True,
) -> AgentSettings | None:
    """The bot at a key; None if anything about it cannot be read on.

    Args:
        node: The value of the key, None where the file has none.
        reader: Reads its sections.
        problems: Takes what is wrong.
        path: The key: `agent`, `bots.NAME`.
        optional: Whether it may be missing.
        complete: Whether it has to have a backend.
    """
    section = reader.mapping(node, path, AGENT_KEYS)
    if section is None:
        return None
    entries = section.entries
    misspelt = entries.keys() - set(AGENT_KEYS)
    absent = node is None and optional
    if complete and not absent and not misspelt and not {"pipeline", "backend"} & entries.keys():
        example = (
            f"{SMALLEST} is a complete file" if path == "agent" else "write {backend: {type: parrot}} in it"
        )
        problems.add(section.line, f"{path} has neither backend nor pipeline: {example}")
    sections = {
        name: given
        for name, kind in SECTIONS.items()
        if (given := reader.read(kind, entries.get(name), f"{path}.{name}")) and given.keys
    }
    instructions, instructions_file = read_instructions(section, path, reader, problems)
    return AgentSettings(
        pipeline=_pipeline(entries.get("pipeline"), f"{path}.pipeline", reader, problems),
        backend=reader.registered(Backend, entries.get("backend"), f"{path}.backend"),  # type: ignore[type-abstract]
        sections=sections,
        greeting=_own_words(GreetingSettings, entries.get("greeting"), f"{path}.greeting", reader, problems),
        apology=_own_words(OwnWordsSettings, entries.get("apology"), f"{path}.apology", reader, problems),
        farewell=_own_words(OwnWordsSettings, entries.get("farewell"), f"{path}.farewell", reader, problems),
        instructions=instructions,
        instructions_file=instructions_file,
        tools=_tools(entries.get("tools"), f"{path}.tools", reader, problems),
        mcp=reader.value(tuple[McpServer, ...], entries.get("mcp"), f"{path}.mcp") or (),
        handoffs=_handoffs(entries.get("handoffs"), f"{path}.handoffs", reader, problems),
    )


HANDOFF_KEYS = ("pipeline", "backend", "instructions", "instructions_file", "tools", "mcp")
"""Keys of a bot that a call is handed over to; all other settings are those of the bot that began."""


def _handoffs(
    node: Node | None, path: str, reader: SectionReader, problems: Problems
) -> Mapping[str, AgentSettings]:
    names = node.entries if isinstance(node, Section) else ()
    section = reader.mapping(node, path, names)
    made: dict[str, AgentSettings] = {}
    for name, entry in () if section is None else section.entries.items():
        assert section is not None
        key = f"{path}.{name}"
        if not name or "." in name:
            problems.add(section.lines[name], f"{path} has the name {name!r}: use one without dots")
            continue
        if isinstance(entry, Section):
            for more in entry.entries.keys() & set(AGENT_KEYS) - set(HANDOFF_KEYS):
                sentence = f"of a bot that takes a call over count {', '.join(HANDOFF_KEYS)}: remove it"
                problems.add(entry.lines[more], f"{key}.{more}: {sentence}")
        bot = read_agent(entry, reader, problems, key, complete=False)
        if bot is not None:
            made[name] = bot
    return made


def _pipeline(node: Node | None, key: str, reader: SectionReader, problems: Problems) -> str | None:
    name = reader.text(node, key)
    if name is not None and not is_import_name(name):
        problems.add(reader.lines[key], f"{key} must be module:Class like bot:Bot, not {name!r}")
    return name


def _tools(node: Node | None, key: str, reader: SectionReader, problems: Problems) -> tuple[str, ...]:
    names = reader.value(tuple[str, ...], node, key) or ()
    for name in names:
        if name not in BUILTIN and not is_import_name(name):
            known = alternatives(["module:function like my_bot:get_weather", *BUILTIN])
            problems.add(reader.lines[key], f"{key}: {name!r} is no tool: use {known}")
    return names


def _own_words(
    kind: type[WordsT], node: Node | None, key: str, reader: SectionReader, problems: Problems
) -> WordsT | None:
    if node is None or (isinstance(node, Scalar) and node.null):
        return None
    given = reader.read(kind, node, key)
    if given is None:
        return None
    if given.settings.wav is not None:
        _check_file(given.settings.wav, f"{key}.wav", reader, problems)
    return given.settings


def _check_file(wav: Path, key: str, reader: SectionReader, problems: Problems) -> None:
    if not wav.is_file():
        problems.add(reader.lines.get(key), f"{key}: there is no file {wav}: check the path")


def read_bots(document: Section, reader: SectionReader, problems: Problems) -> Mapping[str, AgentSettings]:
    """The bots of a file that has `bots`; those that could be read.

    Args:
        document: The file.
        reader: Reads its sections.
        problems: Takes what is wrong.
    """
    if "agent" in document.entries:
        problems.add(document.lines["agent"], "the file has both agent and bots: make agent an entry of bots")
    node = document.entries["bots"]
    names = node.entries if isinstance(node, Section) else ()
    section = reader.mapping(node, "bots", names)
    if section is None:
        return {}
    if not section.entries:
        problems.add(document.lines["bots"], "bots is empty: write {parrot: {backend: {type: parrot}}} in it")
    made = {}
    for name, entry in section.entries.items():
        if not name or "." in name:
            problems.add(section.lines[name], f"bots has the name {name!r}: use one without dots")
        elif (bot := read_agent(entry, reader, problems, f"bots.{name}")) is not None:
            made[name] = bot
    return made
