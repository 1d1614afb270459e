"""Results of a simulated call: two recordings, a timeline and a record to replay."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import write_wav
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.observe.timeline import to_json
from fishjam_agents.server.media.recorder import RECORDING_RATE
from fishjam_agents.simulation.scheduler import Missed

LAG_LIMIT = 0.02
"""Seconds the loop may be late, one frame: beyond, times in the timeline are not to be trusted to a frame."""


@dataclass(frozen=True, slots=True, eq=False)
class SimulationResult:
    """A simulated call. Sample 0 of both recordings and 0.0 of the timeline are the same moment.

    Attributes:
        seconds: Length of the call.
        heard: All that the first caller hears, int16 mono at 16 kHz, shape (n,).
        room: Everybody, int16 stereo at 16 kHz, shape (n, 2): callers left, bot right.
        timeline: What `timeline.json` holds: `version`, `duration`, `lag`, `stopped` if it was, and `events`.
        lag: How late the loop was at worst, in seconds.
        record: What `call.jsonl` holds: what the turn machines were fed, for `replay`.
        failure: What ended the call early, None if nothing did.
        missed: What of the scenario did not happen.
        errors: What hooks and stages did wrong, a line each.
        causes: Of each message of a `backend_failure`, why it was, without who failed and who stood in.
        late_errors: What they did wrong when the simulation was over, and the bot left: `on_stop`, say.
        stopped: Whether it was ended by a `StopRequest`, before all was said.
    """

    seconds: float
    heard: Samples
    room: Samples
    timeline: Mapping[str, Any]
    lag: float
    record: str = ""
    failure: FishjamAgentsError | None = None
    missed: Sequence[Missed] = ()
    errors: Sequence[str] = ()
    causes: Mapping[str, str] = field(default_factory=dict)
    late_errors: Sequence[str] = ()
    stopped: bool = False

    @property
    def lagged(self) -> bool:
        """True if the machine was too slow for times to be exact."""
        return self.lag > LAG_LIMIT

    @property
    def kinds(self) -> list[str]:
        """The kinds of the events, in order."""
        return [event["kind"] for event in self.timeline["events"]]

    def write(self, folder: Path) -> list[Path]:
        """Write `heard.wav`, `room.wav`, `timeline.json` and `call.jsonl`.

        Returns:
            The files.

        Raises:
            FishjamAgentsError: One cannot be written.
        """
        heard, room, timeline, record = (
            folder / name for name in ("heard.wav", "room.wav", "timeline.json", "call.jsonl")
        )
        write_wav(heard, self.heard, RECORDING_RATE)
        write_wav(room, self.room, RECORDING_RATE)
        for path, text in ((timeline, to_json(self.timeline)), (record, self.record)):
            try:
                path.write_text(text, encoding="utf-8")
            except OSError as error:
                raise FishjamAgentsError(
                    f"cannot write {path} ({error.strerror}): check the folder"
                ) from error
        return [heard, room, timeline, record]


def prepare_folder(folder: Path) -> None:
    """Make sure results can be written to a folder, before anything starts.

    Raises:
        FishjamAgentsError: They cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, probe = tempfile.mkstemp(dir=folder)
        os.close(descriptor)
        Path(probe).unlink()
    except FileExistsError as error:
        raise FishjamAgentsError(f"{folder} is a file: give a folder") from error
    except OSError as error:
        raise FishjamAgentsError(
            f"cannot write to {folder} ({error.strerror}): give a folder you may write to"
        ) from error
