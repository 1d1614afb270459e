"""`replay call.jsonl`: a call's turn-taking over again, also with other settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fishjam_agents.cli.console import say
from fishjam_agents.errors import ConfigError

if TYPE_CHECKING:
    from fishjam_agents.config.settings import Given
    from fishjam_agents.turns.settings import TurnSettings


def replay(
    record: Annotated[Path, typer.Argument(help="The call.jsonl.", show_default=False)],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="What would have been different with turns.x=y? Give it again for another setting.",
            metavar="turns.x=y",
        ),
    ] = None,
) -> None:
    """Run the turn machines of a recorded call over again, and show what differs.

    Exits with 1 when the same settings do not give the events of the call.
    """
    from fishjam_agents.observe.replay import differences, read_recording, recorded, replayed
    from fishjam_agents.observe.replay.words import about, changed, counts, rows, summary

    given = _settings(changes or [])
    recording = read_recording(record)
    before = recorded(recording)
    try:
        turns = recording.turns if given is None else given.over(recording.turns)
    except ValueError as error:
        raise ConfigError(f"--set: {error}") from error
    after = replayed(recording, turns)
    found = differences(before, after)
    lines = about(recording, before)
    if given is not None:
        lines += changed(recording.turns, turns, given.keys)
    if found:
        lines += ["", *rows(recording, found), ""]
    elif given is None:
        lines.append(f"The same settings give the same {len(before)} events.")
    if found or given is not None:
        lines += [summary(before, found), *counts(before, after)]
    say("\n".join(lines))
    if found and given is None:
        raise typer.Exit(1)


def _settings(changes: Sequence[str]) -> Given[TurnSettings] | None:
    """What --set asks for; None without any.

    Raises:
        ConfigError: It cannot be used; every mistake at once.
    """
    from fishjam_agents.config.document import Scalar, Section
    from fishjam_agents.config.problems import Place, Problems
    from fishjam_agents.config.sections import SectionReader
    from fishjam_agents.observe.replay import check_replayed
    from fishjam_agents.turns.settings import TurnSettings

    class _Options(Problems):
        def add(self, place: Place | None, sentence: str) -> None:
            super().add(None, sentence)

    if not changes:
        return None
    problems = _Options("--set")
    entries: dict[str, Scalar] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        part, _, name = key.strip().removeprefix("agent.").partition(".")
        if not equals or not name or part != "turns":
            problems.add(None, f"{change!r} is no setting of turn-taking: write turns.end_silence=0.8")
            continue
        text = text.strip()
        entries[name] = Scalar(text, problems.start, quoted=False, source=text)
    reader = SectionReader(problems)
    section = Section(dict(entries), dict.fromkeys(entries, problems.start), problems.start)
    given = reader.read(TurnSettings, section, "turns")
    problems.check()
    # What could not be read has been raised.
    assert given is not None
    check_replayed(entries)
    return given
