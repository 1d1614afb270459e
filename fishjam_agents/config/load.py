"""From a file and the environment to a `Config`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fishjam_agents.backends.port import Backend
from fishjam_agents.config.access import NO_TOKEN, can_be_token
from fishjam_agents.config.document import SMALLEST, Node, Scalar, Section, held_in, read_document
from fishjam_agents.config.imports import is_import_name
from fishjam_agents.config.overlay import overlay
from fishjam_agents.config.problems import Problems, alternatives
from fishjam_agents.config.renamed import rename
from fishjam_agents.config.sections import SectionReader
from fishjam_agents.config.settings import AGENT_KEYS, AgentSettings, Config, GreetingSettings
from fishjam_agents.errors import ConfigError
from fishjam_agents.fishjam.addressing import base_url
from fishjam_agents.loopback import is_loopback
from fishjam_agents.observe.settings import LogSettings, ObserveSettings
from fishjam_agents.pipeline.agent import SECTIONS
from fishjam_agents.secrecy import shown_url
from fishjam_agents.tools.builtin import BUILTIN
from fishjam_agents.tools.mcp_server import McpServer
from fishjam_agents.worker.settings import FishjamSettings, LimitSettings, RoomSettings

ID_VARIABLE = "FISHJAM_ID"
TOKEN_VARIABLE = "FISHJAM_MANAGEMENT_TOKEN"

_SECTIONS = ("fishjam", "room", "agent", "limits", "log", "observe")


def load_config(
    path: str | os.PathLike[str], environ: Mapping[str, str] = os.environ, *, over: Section | None = None
) -> Config:
    """Read a config.yaml.

    What the file leaves out of `fishjam` comes from `FISHJAM_ID` and `FISHJAM_MANAGEMENT_TOKEN`; without an
    id it is `local`. Relative paths in the file are relative to the file.

    Args:
        path: The file.
        environ: The environment.
        over: Settings of another file to lay over these (`overlay`).

    Raises:
        ConfigError: It cannot be used as written; one line for each mistake, each with file and line.
    """
    source = Path(path)
    problems = Problems(str(source))
    document = read_document(source, environ, problems)
    if over is not None:
        problems.hide(held_in(over))
        document = overlay(document, over)
    document = rename(document, problems)
    reader = SectionReader(problems)
    reader.mapping(document, "", _SECTIONS, {key: f"agent.{key}" for key in AGENT_KEYS})
    entries = document.entries
    fishjam = _fishjam(entries.get("fishjam"), environ, reader, problems)
    room = reader.read(RoomSettings, entries.get("room"), "room")
    if fishjam and fishjam.id == "local" and room and room.settings.id:
        problems.add(
            reader.lines["room.id"],
            "room.id names a room, but a local Fishjam starts without any: remove it, or set fishjam.id",
        )
    # Where `agent` may be misspelt, its unknown key says enough.
    unknown = entries.keys() - set(_SECTIONS)
    agent = _agent(entries.get("agent"), reader, problems, optional=bool(unknown))
    limits = reader.read(LimitSettings, entries.get("limits"), "limits")
    log = reader.read(LogSettings, entries.get("log"), "log")
    if log and log.settings.file and not log.settings.file.parent.is_dir():
        folder = log.settings.file.parent
        problems.add(reader.lines["log.file"], f"log.file: there is no folder {folder}: make it first")
    observe = reader.read(ObserveSettings, entries.get("observe"), "observe")
    problems.check()
    # What could not be read has been raised.
    assert fishjam is not None
    assert room is not None
    assert agent is not None
    assert limits is not None
    assert log is not None
    assert observe is not None
    return Config(
        source,
        fishjam,
        room.settings,
        agent,
        limits.settings,
        log.settings,
        observe.settings,
        reader.lines,
        problems.hidden,
    )


def _fishjam(
    node: Node | None, environ: Mapping[str, str], reader: SectionReader, problems: Problems
) -> FishjamSettings | None:
    given = reader.read(FishjamSettings, node, "fishjam")
    if given is None:
        return None
    settings = given.settings
    line = reader.lines.get("fishjam.id")
    name = "fishjam.id" if "id" in given.keys else ID_VARIABLE
    identity = (settings.id if "id" in given.keys else environ.get(ID_VARIABLE) or "local").strip()
    token: str | None = (settings.management_token or "").strip() or None
    if identity == "local":
        if token is None:
            _not_for_everybody(settings.host, reader, problems)
        _sendable(token, "fishjam.management_token", reader, problems)
        return replace(settings, id=identity, management_token=token)
    try:
        base_url(identity)
    except ConfigError as error:
        problems.add(line, f"{name}: {error}")
        return None
    source = "fishjam.management_token" if token else TOKEN_VARIABLE
    token = token or environ.get(TOKEN_VARIABLE, "").strip() or None
    if token is None:
        problems.add(
            line,
            f"{name} is {shown_url(identity)!r}, which needs a management token: set "
            f"fishjam.management_token or {TOKEN_VARIABLE}, or use local",
        )
        return None
    _sendable(token, source, reader, problems)
    return replace(settings, id=identity, management_token=token)


def _sendable(token: str | None, name: str, reader: SectionReader, problems: Problems) -> None:
    if token and not can_be_token(token):
        problems.add(reader.lines.get(name), f"{name} {NO_TOKEN}")


def _not_for_everybody(host: str, reader: SectionReader, problems: Problems) -> None:
    if not is_loopback(host):
        problems.add(
            reader.lines.get("fishjam.host"),
            f"fishjam.host {host} can be reached from other machines: set fishjam.management_token, too",
        )


def _agent(
    node: Node | None, reader: SectionReader, problems: Problems, *, optional: bool
) -> AgentSettings | None:
    section = reader.mapping(node, "agent", AGENT_KEYS)
    if section is None:
        return None
    entries = section.entries
    misspelt = entries.keys() - set(AGENT_KEYS)
    absent = node is None and optional
    if not absent and not misspelt and not {"pipeline", "backend"} & entries.keys():
        problems.add(section.line, f"agent has neither backend nor pipeline: {SMALLEST} is a complete file")
    sections = {
        name: given
        for name, kind in SECTIONS.items()
        if (given := reader.read(kind, entries.get(name), f"agent.{name}")) and given.keys
    }
    return AgentSettings(
        pipeline=_pipeline(entries.get("pipeline"), reader, problems),
        backend=reader.registered(Backend, entries.get("backend"), "agent.backend"),  # type: ignore[type-abstract]
        sections=sections,
        greeting=_recording("greeting", entries, reader, problems),
        apology=_recording("apology", entries, reader, problems),
        instructions=reader.text(entries.get("instructions"), "agent.instructions"),
        tools=_tools(entries.get("tools"), reader, problems),
        mcp=reader.value(tuple[McpServer, ...], entries.get("mcp"), "agent.mcp") or (),
    )


def _pipeline(node: Node | None, reader: SectionReader, problems: Problems) -> str | None:
    name = reader.text(node, "agent.pipeline")
    if name is not None and not is_import_name(name):
        problems.add(
            reader.lines["agent.pipeline"], f"agent.pipeline must be module:Class like bot:Bot, not {name!r}"
        )
    return name


def _tools(node: Node | None, reader: SectionReader, problems: Problems) -> tuple[str, ...]:
    names = reader.value(tuple[str, ...], node, "agent.tools") or ()
    for name in names:
        if name not in BUILTIN and not is_import_name(name):
            known = alternatives(["module:function like my_bot:get_weather", *BUILTIN])
            problems.add(reader.lines["agent.tools"], f"agent.tools: {name!r} is no tool: use {known}")
    return names


def _recording(
    name: str, entries: Mapping[str, Node], reader: SectionReader, problems: Problems
) -> GreetingSettings | None:
    node, key = entries.get(name), f"agent.{name}"
    if node is None or (isinstance(node, Scalar) and node.null):
        return None
    given = reader.read(GreetingSettings, node, key)
    if given is None:
        return None
    if not given.settings.wav.is_file():
        problems.add(
            reader.lines[f"{key}.wav"],
            f"{key}.wav: there is no file {given.settings.wav}: check the path",
        )
    return given.settings
