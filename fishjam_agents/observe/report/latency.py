"""The figures of a report, each by one definition. All are seconds, from the times of the timeline.

`at` is when the pipeline decided; `media_at` is the moment in the speaker's audio of which it speaks.

* Response latency: from the end of the user's speech (`user_turn_ended.media_at`) to the reply's first
  audio on the wire (`reply_first_audio.at`). An answer that waited because somebody else was speaking is
  listed, and not counted.
* End-of-turn delay: from the end of the speech to the decision that the turn is over (`user_turn_ended.at`).
* Model delay: from that decision to the reply's first audio. It is negative when a model that detects turns
  itself was faster than our own detection. End-of-turn delay and model delay add up to the response latency.
* Transcript delay: from where the last of a transcript's words ended in the speaker's audio to the transcript
  (`user_transcript.media_at` and `at`), partial ones too; of those that know where it was.
* Silence latency: from the onset of the sound over the bot (`barge_in_suspected.media_at`) to the decision
  to fall silent (`barge_in_suspected.at`), which is when `interrupt` goes out on the wire.
* Verdict time: from that onset to `barge_in_confirmed.at` or `barge_in_withdrawn.at`.
* Audible for: from that onset to the last sample of the bot in the recording, up to the verdict, that is
  louder than -60 dBFS. It is measured in the sound and includes what was on its way.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fishjam_agents.audio.samples import Samples
from fishjam_agents.observe.report.call import BargeIn, Call, Reply, UserTurn

AUDIBLE_PEAK = 32
"""Samples above this (-60 dBFS) count as sound."""
ENOUGH_FOR_P95 = 20
"""Below this number of values the 95th percentile is the greatest one, and called so."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Values in a few figures.

    Attributes:
        values: All of them, sorted.
        median: The middle one, or the mean of the two in the middle.
        high: The 95th percentile by nearest rank, or with fewer than 20 values the greatest.
        high_name: `p95` or `max`.
    """

    values: tuple[float, ...]
    median: float
    high: float
    high_name: str


def summary(values: Sequence[float]) -> Summary | None:
    """Sum values up; None when there are none."""
    if not values:
        return None
    ordered = tuple(sorted(values))
    many = len(ordered) >= ENOUGH_FOR_P95
    high = ordered[math.ceil(0.95 * len(ordered)) - 1] if many else ordered[-1]
    return Summary(ordered, statistics.median(ordered), high, "p95" if many else "max")


def response(turn: UserTurn, reply: Reply | None) -> float | None:
    """Response latency of an answer; None when it never sounded."""
    return None if reply is None or reply.first_audio is None else reply.first_audio - turn.span.end


def end_of_turn(turn: UserTurn) -> float:
    """End-of-turn delay."""
    return turn.decided - turn.span.end


def model(turn: UserTurn, reply: Reply | None) -> float | None:
    """Model delay; None when the answer never sounded."""
    return None if reply is None or reply.first_audio is None else reply.first_audio - turn.decided


def silence(barge_in: BargeIn) -> float | None:
    """Silence latency; None when the bot was silent already."""
    return None if barge_in.suspected is None else barge_in.suspected - barge_in.onset


def verdict(barge_in: BargeIn) -> float | None:
    """Verdict time; None without a verdict."""
    return None if barge_in.settled is None else barge_in.settled - barge_in.onset


def audible_for(barge_in: BargeIn, bot: Samples, sample_rate: int) -> float | None:
    """Measure the seconds the bot sounded after the onset in its recording: int16, shape (n,).

    Returns:
        Seconds; None when there was no sound of it between onset and verdict, or no verdict.
    """
    if barge_in.settled is None:
        return None
    first, last = (max(0, round(at * sample_rate)) for at in (barge_in.onset, barge_in.settled))
    loud = np.flatnonzero(np.abs(bot[first:last].astype(np.int32)) >= AUDIBLE_PEAK)
    return (int(loud[-1]) + 1) / sample_rate if len(loud) else None


def responses(call: Call) -> list[float]:
    """Response latencies that count."""
    found = (response(turn, call.reply(turn.reply)) for turn in call.turns if not turn.waited)
    return [seconds for seconds in found if seconds is not None]


def silences(call: Call) -> list[float]:
    """Silence latencies of all suspected barge-ins."""
    found = (silence(barge_in) for barge_in in call.barge_ins)
    return [seconds for seconds in found if seconds is not None]


def ends_of_turn(call: Call) -> list[float]:
    """End-of-turn delays of turns that ended in silence."""
    return [end_of_turn(turn) for turn in call.turns if turn.reason == "silence"]


def transcripts(call: Call) -> list[float]:
    """Transcript delays."""
    told = (event for event in call.events if event["kind"] == "user_transcript")
    return [event["at"] - event["media_at"] for event in told if event.get("media_at") is not None]


@dataclass(frozen=True, slots=True)
class Metric:
    """A latency of a call, shown as a distribution.

    Attributes:
        title: Its name for people.
        name: Its name in ids of the page.
        values: Its values in a call, seconds.
        least: Seconds that the axis of its histogram spans at least.
        waited: Answers it leaves out because somebody else was speaking; None where it has no tile of its own
            at the top of the page.
    """

    title: str
    name: str
    values: Callable[[Call], Sequence[float]]
    least: float
    waited: Callable[[Call], int] | None = None


def _none(call: Call) -> int:
    return 0


def _waited(call: Call) -> int:
    return sum(turn.waited and turn.reply is not None for turn in call.turns)


METRICS = (
    Metric("Response latency", "response", responses, 1.5, _waited),
    Metric("End-of-turn delay", "end-of-turn", ends_of_turn, 1.0),
    Metric("Transcript delay", "transcript", transcripts, 1.0),
    Metric("Silence latency", "silence", silences, 0.25, _none),
)
"""Latencies that a report shows, in the order of the page. A new one is a function and a line here."""
