"""Rules of a file that many rooms get their bots by."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from fishjam_agents.config.document import Node, Scalar, Section, Sequence
from fishjam_agents.config.problems import Problems, SourceLocation, alternatives, nearest
from fishjam_agents.config.sections import SectionReader
from fishjam_agents.config.shorthand import expanded
from fishjam_agents.config.values import show
from fishjam_agents.worker.room_rules import RoomRule
from fishjam_agents.worker.settings import FishjamSettings, WorkersSettings


def read_rooms(
    document: Section, bots: Collection[str], reader: SectionReader, problems: Problems
) -> tuple[RoomRule, ...]:
    """The rules of a file, each with the name of its bot.

    Args:
        document: The file.
        bots: Names of its bots.
        reader: Reads its sections.
        problems: Takes what is wrong.
    """
    entries, lines = document.entries, document.lines
    rules = _rules(entries.get("rooms"), bots, reader, problems)
    if "room" in entries and "rooms" in entries:
        problems.add(lines["room"], "the file has both room and rooms: make room an entry of rooms")
    for key in ("room", "bots", "workers", "ray"):
        node = entries.get(key)
        if node is None or (isinstance(node, Scalar) and node.null) or "rooms" in entries:
            continue
        if key == "room" and "api" in entries:
            problems.add(lines[key], "a file with api is about many rooms: make room an entry of rooms")
        elif key != "room" and "api" not in entries:
            problems.add(
                lines[key],
                f"the file has {key}, and nothing that brings a bot into a room: add rooms "
                "(`rooms: every`) or api",
            )
    return rules


def check_shard(
    workers: WorkersSettings,
    rules: Iterable[RoomRule],
    fishjam: FishjamSettings,
    lines: Mapping[str, SourceLocation],
) -> Iterator[tuple[SourceLocation | None, str]]:
    """Yield the settings that do not go together with `workers.shard`, with their lines."""
    if workers.shard is None:
        return
    if fishjam.id == "local":
        yield lines.get("workers.shard"), "workers.shard is for machines that share a Fishjam: set fishjam.id"
    for index, rule in enumerate(rules):
        if rule.create is not None:
            key = f"rooms[{index}].create"
            yield (
                lines.get(key),
                f"{key} would make rooms on each machine of workers.shard: make them in your application",
            )


def _rules(
    node: Node | None, bots: Collection[str], reader: SectionReader, problems: Problems
) -> tuple[RoomRule, ...]:
    node = expanded(node, "rooms")
    if node is None or (isinstance(node, Scalar) and node.null):
        return ()
    if not isinstance(node, Sequence):
        if not (isinstance(node, Scalar) and node.broken):
            problems.add(node.line, f"rooms must be a list of rules, or every, not {show(node)}")
        return ()
    rules = []
    for index, item in enumerate(node.items):
        key = f"rooms[{index}]"
        reader.lines[key] = item.line
        given = reader.read(RoomRule, item, key)
        if given is not None:
            rules.append(_named(key, given.settings, bots, reader, problems))
    return tuple(rules)


def _named(
    key: str, rule: RoomRule, bots: Collection[str], reader: SectionReader, problems: Problems
) -> RoomRule:
    """A rule whose bot is one of the file's."""
    if rule.bot is None and len(bots) == 1:
        return replace(rule, bot=next(iter(bots)))
    if rule.bot is None:
        problems.add(reader.lines.get(key), f"{key}.bot is missing: use {alternatives(bots)}")
    elif rule.bot not in bots:
        problems.add(
            reader.lines[f"{key}.bot"], f"{key}.bot {rule.bot!r} is none of bots: {nearest(rule.bot, bots)}"
        )
    return rule
