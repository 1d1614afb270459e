"""`replay call.jsonl`: a call's turn-taking over again, also with other settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fishjam_agents.cli.output import say

if TYPE_CHECKING:
    from fishjam_agents.config.document import Section
    from fishjam_agents.config.problems import SourceLocation


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
    from fishjam_agents.observe.replay import check_replayed, differences, read_recording, recorded, replayed
    from fishjam_agents.observe.replay.formatting import about, changed, counts, rows, summary

    wanted = _settings(changes or [])
    check_replayed(wanted)
    recording = read_recording(record)
    turns = recording.turns(wanted)
    before = recorded(recording)
    after = replayed(recording, turns)
    found = differences(before, after)
    lines = about(recording, before)
    lines += changed(recording, turns, wanted)
    if found:
        lines += ["", *rows(recording, found), ""]
    elif not wanted:
        lines.append(f"The same settings give the same {len(before)} events.")
    if found or wanted:
        lines += [summary(before, found), *counts(before, after)]
    say("\n".join(lines))
    if found and not wanted:
        raise typer.Exit(1)


def _settings(changes: Sequence[str]) -> Mapping[str, Any]:
    """Return the settings that --set asks for, by the names of `TurnSettings`.

    Raises:
        ConfigError: It cannot be used; every mistake at once.
    """
    from fishjam_agents.config.document import Scalar
    from fishjam_agents.config.problems import Problems
    from fishjam_agents.config.renamed import rename
    from fishjam_agents.config.sections import SectionReader
    from fishjam_agents.turns.settings import TurnSettings

    class _Options(Problems):
        def add(self, place: SourceLocation | None, sentence: str) -> None:
            super().add(None, sentence)

    if not changes:
        return {}
    problems = _Options("--set")
    tree: dict[str, Any] = {}
    for change in changes:
        key, equals, text = (part.strip() for part in change.partition("="))
        part, *names = key.removeprefix("agent.").split(".")
        if not equals or not names or part != "turns":
            problems.add(None, f"{change!r} is no setting of turn-taking: write turns.end_silence=0.8")
            continue
        branch = tree
        for name in names[:-1]:
            deeper = branch.setdefault(name, {})
            branch = deeper if isinstance(deeper, dict) else branch
        branch[names[-1]] = Scalar(text, problems.start, quoted=False, source=text)
    section = rename(_section(tree, problems.start), problems, "agent.turns", "turns")
    given = SectionReader(problems).read(TurnSettings, section, "turns")
    problems.check()
    # What could not be read has been raised.
    assert given is not None
    return {name: getattr(given.settings, name) for name in given.keys}


def _section(tree: Mapping[str, Any], place: SourceLocation) -> Section:
    from fishjam_agents.config.document import Section

    entries = {key: _section(node, place) if isinstance(node, dict) else node for key, node in tree.items()}
    return Section(entries, dict.fromkeys(entries, place), place)
