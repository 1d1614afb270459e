"""`report DIR`: the page of a simulated call again, and a picture of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fishjam_agents.cli.output import say
from fishjam_agents.errors import ConfigError

if TYPE_CHECKING:
    from fishjam_agents.audio.wav import Clip


def report(
    folder: Annotated[Path, typer.Argument(help="What simulate wrote with --out.", show_default=False)],
    png: Annotated[
        bool, typer.Option("--png", help="Write report.png too: the call as one picture (matplotlib).")
    ] = False,
) -> None:
    """Write report.html from the room.wav and timeline.json of a simulated call."""
    from fishjam_agents.audio.wav import read_wav
    from fishjam_agents.observe.report import write_picture, write_report

    timeline = _timeline(folder / "timeline.json")
    clip: Clip = read_wav(folder / "room.wav")
    if clip.samples.ndim != 2:
        raise ConfigError(f"{folder / 'room.wav'} is mono: give the folder that simulate wrote")
    call: dict[str, Any] = {"room": clip.samples, "sample_rate": clip.sample_rate, "timeline": timeline}
    try:
        files = [write_report(folder, **call)]
        if png:
            files.append(write_picture(folder, **call))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ConfigError(
            f"{folder / 'timeline.json'} is no timeline of this version ({error!r}): simulate the call again"
        ) from error
    for path in files:
        say(str(path))


def _timeline(path: Path) -> dict[str, Any]:
    try:
        timeline = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"cannot read {path} ({error.strerror}): give the folder that simulate wrote"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is damaged ({error}): simulate the call again") from error
    if not isinstance(timeline, dict) or not isinstance(timeline.get("events"), list):
        raise ConfigError(f"{path} is no timeline: give the folder that simulate wrote")
    return timeline
