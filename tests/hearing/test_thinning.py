"""What a process near its capacity does not judge, and that nobody is heard any later for it."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishjam_agents.audio.detection import Detection
from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.mixing import mix
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.vad import Decision
from fishjam_agents.hearing.microphone import Microphone
from fishjam_agents.hearing.thinning import SETTLED, SKIPPED, Silence, Thinning
from fishjam_agents.turns.machine import TurnEnded, TurnEvent, TurnStarted
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech

RATE = 16000
QUIET = Decision(-1.0, False, False, -60.0, -60.0, 0.0)
VOICED = QUIET._replace(score=2.0, voiced=True)


def noise(seconds: float, level: float, seed: int = 1) -> Samples:
    """White noise at a level in dBFS."""
    wave = np.random.default_rng(seed).normal(0.0, 32768 * 10 ** (level / 20), round(seconds * RATE))
    return np.clip(np.rint(wave), -32768, 32767).astype(np.int16)


def frames_of(sound: Samples) -> list[Samples]:
    return [sound[at : at + 320] for at in range(0, len(sound) - 319, 320)]


def settled(level: float = -60.0) -> Silence:
    """A silence of a second, of noise at a level."""
    silence = Silence()
    for frame in frames_of(noise(1.0, level)):
        if silence.repeats(frame) is None:
            silence.judged(QUIET)
    return silence


def test_one_frame_of_four_is_judged_in_a_steady_silence() -> None:
    silence = settled()
    judged = []
    for frame in frames_of(noise(20.0, -60.0, seed=2)):
        judged.append(silence.repeats(frame) is None)
        if judged[-1]:
            silence.judged(QUIET)
    assert sum(judged) == pytest.approx(len(judged) / (SKIPPED + 1), rel=0.05)


def test_what_stands_out_is_judged_at_once() -> None:
    silence = settled()
    assert all(silence.repeats(frame) is None for frame in frames_of(noise(0.2, -55.0)))


@pytest.mark.parametrize("before", [0, SETTLED])
def test_what_stands_out_is_judged_at_once_after_frames_that_were_judged_in_any_case(before: int) -> None:
    silence = Silence()
    for frame in frames_of(noise(before * 0.02, -60.0)):
        assert silence.repeats(frame) is None
        silence.judged(QUIET)
    # A sound was suspected, or the bot was speaking: nobody asked.
    for _ in range(10):
        silence.judged(QUIET)
    skipped = 0
    for frame in frames_of(noise(1.0, -60.0, seed=2)):
        if silence.repeats(frame) is None:
            silence.judged(QUIET)
            assert not skipped or silence.repeats(noise(0.02, -30.0)) is None
        else:
            skipped += 1
    assert skipped > 10


def test_a_knock_is_not_the_loudness_of_the_frames_after_it() -> None:
    silence = settled()
    assert silence.repeats(noise(0.02, -40.0)) is None
    for _ in range(200):
        silence.judged(QUIET)
    # 13 dB above the silence, 7 below the knock.
    assert silence.repeats(noise(0.02, -47.0)) is None


def test_a_muted_microphone_is_thinned_too() -> None:
    silence, muted = settled(-120.0), np.zeros(320, np.int16)
    assert silence.repeats(muted) == QUIET


@pytest.mark.parametrize("heard", [VOICED, QUIET._replace(tail=True)])
def test_after_a_sound_it_takes_half_a_second_of_silence(heard: Decision) -> None:
    silence = settled()
    loud = noise(0.02, -30.0)
    assert silence.repeats(loud) is None
    silence.judged(heard)
    for frame in frames_of(noise(SETTLED * 0.02, -60.0, seed=3)):
        assert silence.repeats(frame) is None
        silence.judged(QUIET)


@given(st.lists(st.tuples(st.integers(-90, -20), st.booleans()), max_size=200), st.integers(0, 100))
@settings(max_examples=50)
def test_never_more_than_three_frames_in_a_row_are_skipped(
    told: list[tuple[int, bool]], quiet_first: int
) -> None:
    silence, skipped = Silence(), []
    for number, (level, voiced) in enumerate([(-60, False)] * quiet_first + told):
        skipped.append(silence.repeats(noise(0.02, level, seed=number)) is not None)
        if not skipped[-1]:
            silence.judged(VOICED if voiced else QUIET)
    assert max((len(list(run)) for skips, run in groupby(skipped) if skips), default=0) <= SKIPPED


def turns_of(sound: Samples, thinned: bool, monkeypatch: pytest.MonkeyPatch) -> tuple[list[TurnEvent], int]:
    """Turns that a microphone hears in a sound, and how many frames it judged."""
    events: list[TurnEvent] = []
    judged = [0]
    feed = Detection.feed

    def counted(self: Detection, *arguments: object, **named: object) -> Decision:
        judged[0] += 1
        return feed(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Detection, "feed", counted)
    thinning = Thinning()
    thinning.active = thinned
    microphone = Microphone(
        *("alice", "mic", AudioFormat(RATE), TurnSettings(), []),
        lambda _, __, happened: events.extend(happened),
        lambda *_: None,
        thinning=thinning,
    )
    for number, frame in enumerate(frames_of(sound)):
        microphone.feed(frame.tobytes(), (number + 1) * 0.02, False)
    monkeypatch.undo()
    return [event for event in events if isinstance(event, (TurnStarted, TurnEnded))], judged[0]


def times_of(turns: list[TurnEvent]) -> list[float]:
    return [event.at if isinstance(event, TurnStarted) else event.end for event in turns]  # type: ignore[union-attr]


@pytest.mark.parametrize("floor", [-75, -55, -45])
def test_turns_are_the_same_ones_and_hardly_later(floor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [speech(f"{name}.wav", RATE) for name in ("alice_question", "bob_yes", "alice_pause")]
    spaced = np.concatenate([np.zeros(3 * RATE, np.int16), *(np.pad(said, (0, 3 * RATE)) for said in words)])
    sound = mix([spaced, noise(len(spaced) / RATE, floor)])

    full, judged = turns_of(sound, False, monkeypatch)
    thinned, fewer = turns_of(sound, True, monkeypatch)

    assert len(full) >= 6
    assert [type(event) for event in thinned] == [type(event) for event in full]
    assert times_of(thinned) == pytest.approx(times_of(full), abs=0.021)
    assert fewer < 0.67 * judged
