"""Writes `report.png`: the call as one picture, for a README. Needs the extra `report` (matplotlib)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fishjam_agents.audio.samples import Samples
from fishjam_agents.errors import FishjamAgentsError, MissingExtraError
from fishjam_agents.observe.report import latency
from fishjam_agents.observe.report.call import Call
from fishjam_agents.observe.report.reading import read_call
from fishjam_agents.observe.report.sound import peaks

if TYPE_CHECKING:
    from matplotlib.axes import Axes  # type: ignore[import-not-found,unused-ignore]

_CALLER, _BOT, _QUIET, _INK, _MUTED = "#3b5bdb", "#0a6b50", "#c9c9d2", "#18181c", "#5f5f6b"
_VERDICTS = {"confirmed": "#c92a2a", "withdrawn": "#6b6b78", "open": "#6b6b78"}
_SIZE = (12.0, 4.2)
_DOTS = 160
_LINE = 0.5
_ROW = 0.35
_LETTER = 0.07
"""Width of a letter of a label, inches."""


def write_picture(folder: Path, *, room: Samples, sample_rate: int, timeline: Mapping[str, Any]) -> Path:
    """Write `report.png`: both waveforms with turns, replies, barge-ins and latencies, on white.

    Args:
        folder: Where to; it exists.
        room: The recording, int16, shape (n, 2): callers left, bot right.
        sample_rate: Hz.
        timeline: What `timeline.json` holds.

    Returns:
        The file.

    Raises:
        MissingExtraError: matplotlib is not installed.
        FishjamAgentsError: The file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # type: ignore[import-not-found,unused-ignore]
        from matplotlib.figure import Figure  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise MissingExtraError("report.png", "report") from error
    call = read_call(timeline)
    figure = Figure(figsize=_SIZE, dpi=_DOTS, layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True)
    _draw(upper, room[:, 0], sample_rate, "Callers")
    _draw(lower, room[:, 1], sample_rate, "Bot")
    _mark_callers(upper, call)
    _mark_bot(lower, call)
    for axes in (upper, lower):
        for barge_in in call.barge_ins:
            end = barge_in.onset if barge_in.settled is None else barge_in.settled
            axes.axvspan(barge_in.onset, end, color=_VERDICTS[barge_in.verdict], alpha=0.15, linewidth=0)
            axes.axvline(barge_in.onset, color=_VERDICTS[barge_in.verdict], linewidth=1)
    lower.set_xlim(0, max(call.seconds, 0.001))
    lower.set_xlabel("seconds", color=_MUTED, fontsize=9)
    path = folder / "report.png"
    try:
        figure.savefig(path)
    except OSError as error:
        raise FishjamAgentsError(f"cannot write {path} ({error.strerror}): check the folder") from error
    return path


def _draw(axes: Axes, samples: Samples, sample_rate: int, name: str) -> None:
    loud, width = peaks(samples, sample_rate)
    heights = loud / max(int(loud.max(initial=0)), 1)
    times = np.arange(len(heights)) * width
    axes.fill_between(times, -heights, heights, color=_CALLER if name == "Callers" else _BOT, linewidth=0)
    axes.set_ylim(-1.15, 1.75)
    axes.set_yticks([0], [name])
    axes.tick_params(colors=_MUTED, length=0, labelsize=9)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_QUIET)


def _mark_callers(axes: Axes, call: Call) -> None:
    speakers = list(dict.fromkeys(turn.peer for turn in call.turns))
    rows = _Rows(call.seconds)
    labels = []
    for barge_in in call.barge_ins:
        silence = latency.silence(barge_in)
        if silence is not None:
            words = f" suspected {silence * 1000:.0f} ms, {barge_in.verdict}"
            labels.append((barge_in, words, rows.place(barge_in.onset, words)))
    axes.set_ylim(-1.15 - _ROW * (rows.count - 1), 1.25 + _LINE * max(len(speakers), 1))
    for turn in call.turns:
        line = 1.25 + _LINE * speakers.index(turn.peer)
        axes.plot([turn.span.start, turn.span.end], [line, line], color=_CALLER, linewidth=3)
        # matplotlib would set what stands between dollar signs as mathematics.
        label = f"{turn.id}, {turn.peer}"
        axes.text(turn.span.start, line + 0.12, label, fontsize=8, color=_INK, parse_math=False, clip_on=True)
    for barge_in, words, row in labels:
        colour = _VERDICTS[barge_in.verdict]
        axes.text(barge_in.onset, -1.1 - _ROW * row, words, fontsize=8, color=colour, clip_on=True)


class _Rows:
    """Gives labels a row in which they overlap no earlier one."""

    def __init__(self, seconds: float) -> None:
        self._letter = _LETTER * max(seconds, 0.001) / _SIZE[0]
        self._ends: list[float] = []

    @property
    def count(self) -> int:
        """Rows in use, at least one."""
        return max(len(self._ends), 1)

    def place(self, start: float, words: str) -> int:
        """The row of a label that begins at `start`, in seconds, no earlier than the one before."""
        end = start + self._letter * len(words)
        for row, taken in enumerate(self._ends):
            if taken <= start:
                self._ends[row] = end
                return row
        self._ends.append(end)
        return len(self._ends) - 1


def _mark_bot(axes: Axes, call: Call) -> None:
    for reply in call.replies:
        for piece in reply.sounding:
            axes.plot([piece.start, piece.end], [1.25, 1.25], color=_BOT, linewidth=3)
        if reply.sounding and reply.unheard:
            end = reply.sounding[-1].end
            axes.plot([end, end + reply.unheard], [1.25, 1.25], color=_QUIET, linewidth=3, linestyle=":")
    for turn in call.turns:
        reply_of = call.reply(turn.reply)
        seconds = latency.response(turn, reply_of)
        if seconds is not None and reply_of is not None and reply_of.first_audio is not None:
            words = f"waited {seconds:.1f} s" if turn.waited else f"{seconds * 1000:.0f} ms"
            axes.text(reply_of.first_audio, 1.4, words, fontsize=8, color=_INK, clip_on=True)
