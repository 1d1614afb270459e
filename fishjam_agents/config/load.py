"""From a file and the environment to a `Config`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fishjam_agents.config.access import NO_TOKEN, can_be_token
from fishjam_agents.config.bots import read_agent, read_bots
from fishjam_agents.config.document import Node, Scalar, Section, held_in, read_document
from fishjam_agents.config.overlay import overlay
from fishjam_agents.config.problems import Problems
from fishjam_agents.config.renamed import rename
from fishjam_agents.config.rooms import check_shard, read_rooms
from fishjam_agents.config.sections import SectionReader
from fishjam_agents.config.settings import AGENT_KEYS, AgentSettings, Config
from fishjam_agents.config.shorthand import expanded
from fishjam_agents.errors import ConfigError
from fishjam_agents.fishjam.addressing import base_url
from fishjam_agents.journal.settings import JournalSettings
from fishjam_agents.loopback import is_loopback
from fishjam_agents.observe.settings import LogSettings, ObserveSettings
from fishjam_agents.secrecy import shown_url
from fishjam_agents.worker.ray_settings import RaySettings
from fishjam_agents.worker.settings import (
    ApiSettings,
    FishjamSettings,
    LimitSettings,
    RoomSettings,
    WorkersSettings,
)

ID_VARIABLE = "FISHJAM_ID"
TOKEN_VARIABLE = "FISHJAM_MANAGEMENT_TOKEN"

SECTIONS = (
    "fishjam",
    "room",
    "agent",
    "bots",
    "rooms",
    "limits",
    "workers",
    "api",
    "journal",
    "ray",
    "log",
    "observe",
)
"""Keys of a file."""


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
    reader = SectionReader(problems, environ)
    reader.mapping(document, "", SECTIONS, {key: f"agent.{key}" for key in AGENT_KEYS})
    entries = document.entries
    fishjam = _fishjam(entries.get("fishjam"), environ, reader, problems)
    room = reader.read(RoomSettings, entries.get("room"), "room")
    if fishjam and fishjam.id == "local" and room and room.settings.id:
        problems.add(
            reader.lines["room.id"],
            "room.id names a room, but a local Fishjam starts without any: remove it, or set fishjam.id",
        )
    # Where `agent` may be misspelt, its unknown key says enough.
    unknown = entries.keys() - set(SECTIONS)
    agent: AgentSettings | None
    if "bots" in entries:
        agent, bots = AgentSettings(), read_bots(document, reader, problems)
    else:
        agent, bots = read_agent(entries.get("agent"), reader, problems, optional=bool(unknown)), {}
    rooms = read_rooms(document, tuple(bots) or ("agent",), reader, problems)
    for index, rule in enumerate(rooms):
        if fishjam and fishjam.id == "local" and rule.id:
            key = f"rooms[{index}].id"
            problems.add(
                reader.lines[key],
                f"{key} names a room, but a local Fishjam starts without any: use create, or set fishjam.id",
            )
    workers = reader.read(WorkersSettings, entries.get("workers"), "workers")
    if workers and fishjam:
        for place, problem in check_shard(workers.settings, rooms, fishjam, reader.lines):
            problems.add(place, problem)
    api = reader.read(ApiSettings, entries.get("api"), "api")
    journal = reader.read(JournalSettings, expanded(entries.get("journal"), "journal"), "journal")
    ray = reader.read(RaySettings, entries.get("ray"), "ray")
    most = workers.settings.max_calls if workers else None
    if _is_given(entries.get("ray")) and ray and most is not None and most <= ray.settings.target:
        problems.add(
            reader.lines["workers.max_calls"],
            f"workers.max_calls is {most}, with which no replica gets beyond ray.target "
            f"({ray.settings.target}) and there are never more of them: raise one, or lower the other",
        )
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
    assert workers is not None
    assert api is not None
    assert journal is not None
    assert ray is not None
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
        bots,
        rooms,
        workers.settings,
        api.settings if _is_given(entries.get("api")) else None,
        journal.settings if _is_given(entries.get("journal")) else None,
        ray.settings if _is_given(entries.get("ray")) else None,
        lines=reader.lines,
        hidden=problems.hidden,
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


def _is_given(node: Node | None) -> bool:
    return node is not None and not (isinstance(node, Scalar) and node.null)
