"""A replay and what it changes, in words for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from fishjam_agents.observe.replay.difference import Difference
from fishjam_agents.observe.replay.reader import Recording
from fishjam_agents.observe.replay.run import Happened
from fishjam_agents.observe.replay.settings import LostObjectError, setting_of
from fishjam_agents.turns.machine import TurnEnded
from fishjam_agents.turns.policies import BargeIn
from fishjam_agents.turns.settings import TurnSettings


def about(recording: Recording, before: Sequence[Happened]) -> list[str]:
    """Describe the call, and what its record lacks."""
    names = ", ".join(recording.name(number) for number in recording.microphones) or "none"
    length = f"{recording.ended:.1f} s, " if recording.ended is not None else ""
    lines = [f"{recording.source}: {length}microphones: {names}; {len(before)} events"]
    if recording.ended is None:
        lines.append("The record stops before the end of its call: the process was killed, or still writes.")
    if recording.header.redacted:
        lines.append(
            "Its words are as the bot's redact left them: what judges them may decide otherwise here."
        )
    if recording.cut:
        lines.append("Its last line was written in part and is left out.")
    return lines


def changed(recording: Recording, after: TurnSettings, names: Iterable[str]) -> list[str]:
    """Describe the settings that differ, with their values in the call."""
    lines: list[str] = []
    for name in sorted(names):
        try:
            before = _value(setting_of(name, recording.header.turns.get(name)))
        except LostObjectError as error:
            before = error.name
        lines.append(f"turns.{name}: {_value(getattr(after, name))} in place of {before}")
    return lines


def rows(recording: Recording, found: Sequence[Difference]) -> list[str]:
    """One row for each difference: `-` gone, `+` new, `~` changed."""
    cells: list[tuple[str, str, str, str]] = []
    for difference in found:
        shown = difference.before or difference.after
        assert shown is not None
        mark = "-" if difference.after is None else "+" if difference.before is None else "~"
        when = f"{mark} {shown.at + recording.header.zero:.2f}"
        cells.append((when, shown.kind, recording.name(shown.microphone), _what(recording, difference)))
    at, kind, name = (max(len(row[column]) for row in cells) for column in range(3))
    return [f"{row[0]:<{at}}  {row[1]:<{kind}}  {row[2]:<{name}}  {row[3]}" for row in cells]


def _what(recording: Recording, difference: Difference) -> str:
    zero, before, after = recording.header.zero, difference.before, difference.after
    if before is None or after is None:
        shown = after or before
        assert shown is not None
        event = shown.event
        if isinstance(event, TurnEnded):
            return f"of {event.start + zero:.2f} to {event.end + zero:.2f}, reason {event.reason}"
        return f"media_at {shown.media_at + zero:.2f}"
    parts = [_moved(difference.moved)] if round(difference.moved, 6) else []
    if round(after.media_at - before.media_at, 6):
        parts.append(f"media_at {before.media_at + zero:.2f} -> {after.media_at + zero:.2f}")
    if isinstance(before.event, TurnEnded) and isinstance(after.event, TurnEnded):
        if round(before.event.start - after.event.start, 6):
            parts.append(f"start {before.event.start + zero:.2f} -> {after.event.start + zero:.2f}")
        if before.event.reason != after.event.reason:
            parts.append(f"reason {before.event.reason} -> {after.event.reason}")
    return ", ".join(parts)


def _moved(seconds: float) -> str:
    return f"{abs(seconds) * 1000:.0f} ms {'later' if seconds > 0 else 'earlier'}"


def summary(before: Sequence[Happened], found: Sequence[Difference]) -> str:
    """Describe how many events differ, and how."""
    gone = sum(difference.after is None for difference in found)
    new = sum(difference.before is None for difference in found)
    later = [difference.moved for difference in found if difference.moved > 1e-6]
    earlier = [difference.moved for difference in found if difference.moved < -1e-6]
    parts = [f"{gone} gone", f"{new} new"]
    for moved, word in ((later, "later"), (earlier, "earlier")):
        middle = f" ({abs(median(moved)) * 1000:.0f} ms in the median)" if moved else ""
        parts.append(f"{len(moved)} {word}{middle}")
    return f"{len(before)} events in the call, {len(found)} differ: {', '.join(parts)}."


def counts(before: Sequence[Happened], after: Sequence[Happened]) -> list[str]:
    """Of which kinds there are more or fewer events."""
    kinds = sorted({each.kind for each in (*before, *after)})
    found = [(kind, *(sum(each.kind == kind for each in run) for run in (before, after))) for kind in kinds]
    return [f"  {kind:<24} {was} -> {now}" for kind, was, now in found if was != now]


def _value(value: object) -> str:
    if isinstance(value, BargeIn):
        return ", ".join(map(str, value.policies())) or "nothing more than voice"
    return "the default rule" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
