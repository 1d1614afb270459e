from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.playout.schedule import Schedule
from fishjam_agents.playout.settings import PlayoutSettings
from fishjam_agents.server.media.playout import Playout

RATE = 16000


def ramp(seconds: float, first: int = 1) -> np.ndarray:
    """Samples that tell their own index, as long as there are fewer than 32767 of them."""
    return np.arange(first, first + round(seconds * RATE), dtype=np.int16)


class Line:
    """A schedule on a network without delay, in front of a server that knows the truth."""

    def __init__(self, settings: PlayoutSettings | None = None) -> None:
        self.schedule = Schedule(RATE, settings)
        self.server = Playout(RATE)
        self.now = 0.0
        self.heard: list[np.ndarray] = []
        self.received: list[tuple[np.ndarray, bool]] = []

    def tick(self, ticks: int = 1) -> None:
        for _ in range(ticks):
            self.now = round(self.now + 0.02, 6)
            self.send()
            self.listen()

    def send(self) -> None:
        self.schedule.pump(self.now, self.write)

    def write(self, chunk: np.ndarray, fade: bool = False) -> bool:
        self.received.append((chunk, fade))
        self.server.write(chunk.tobytes(), self.now)
        return True

    def listen(self) -> None:
        self.heard += [s.samples for s in self.server.play(round(self.now * RATE))]

    def pause(self) -> None:
        self.listen()
        tail = self.schedule.pause(self.now)
        if tail is not None:
            self.server.interrupt(self.now)
            if len(tail):
                self.write(tail, fade=True)

    @property
    def wave(self) -> np.ndarray:
        return np.concatenate(self.heard) if self.heard else np.empty(0, np.int16)


def test_the_lead_is_sent_at_once_and_kept() -> None:
    line = Line()
    line.schedule.begin("r")
    assert line.schedule.write("r", ramp(1.0))
    line.send()
    assert line.server.received == 6 * 320
    line.tick(10)
    assert line.server.received == pytest.approx((0.2 + 0.12) * RATE, abs=320)


def test_a_reply_ends_when_its_last_sample_has_been_played() -> None:
    line = Line()
    line.schedule.begin("r")
    line.schedule.write("r", ramp(0.5))
    line.schedule.find("r").generated = True  # type: ignore[union-attr]
    line.send()
    line.tick(24)
    assert line.schedule.collect(line.now) == []
    line.tick(2)
    assert [h.seconds for h in line.schedule.collect(line.now)] == [0.5]
    assert not line.schedule.replies
    np.testing.assert_array_equal(line.wave, ramp(0.5))


def test_a_pause_silences_and_a_resume_skips_nothing() -> None:
    line = Line()
    line.schedule.begin("r")
    line.schedule.write("r", ramp(1.5))
    line.schedule.find("r").generated = True  # type: ignore[union-attr]
    line.send()
    line.tick(25)
    line.pause()
    before = len(line.wave)
    line.tick(20)
    # The chunk in play and a fade of 10 ms, then silence.
    assert len(line.wave) - before <= 320 + 160
    line.schedule.resume()
    line.tick(80)
    wave = line.wave
    cut = line.server.cuts[0].played_seconds
    first = wave[: round(cut * RATE)]
    np.testing.assert_array_equal(first, np.arange(1, len(first) + 1))
    rest = wave[len(first) + 160 :]
    assert rest[-1] == round(1.5 * RATE)
    # After the fade-in the indices run on, from at most the rewind and one chunk before the cut.
    np.testing.assert_array_equal(np.diff(rest[160:]), 1)
    resumed_at = rest[160] - 160
    assert len(first) - (0.4 * RATE + 320) <= resumed_at <= len(first) + 1


def test_an_interrupt_reports_what_was_heard() -> None:
    line = Line()
    line.schedule.begin("r")
    line.schedule.write("r", ramp(2.0))
    line.schedule.find("r").add_text("one two three four", None)  # type: ignore[union-attr]
    line.send()
    line.tick(50)
    (heard,), _ = line.schedule.interrupt(line.now)
    cut = line.server.interrupt(line.now)
    assert heard.seconds == pytest.approx(cut.played_seconds, abs=0.02)
    assert heard.text == "one two"
    assert not heard.text_exact
    assert not line.schedule.write("r", ramp(0.1))
    assert line.schedule.interrupt(line.now)[0] == []


def test_word_times_make_the_text_exact() -> None:
    line = Line()
    line.schedule.begin("r")
    line.schedule.write("r", ramp(2.0))
    for word, at in (("one ", 0.0), ("two ", 0.5), ("three", 1.2)):
        line.schedule.find("r").add_text(word, at)  # type: ignore[union-attr]
    line.send()
    line.tick(50)
    (heard,), _ = line.schedule.interrupt(line.now)
    assert (heard.text, heard.text_exact) == ("one two", True)


def test_replies_play_one_after_the_other() -> None:
    line = Line()
    for reply, first in (("a", 1), ("b", 10001)):
        line.schedule.begin(reply)
        line.schedule.write(reply, ramp(0.3, first))
        line.schedule.find(reply).generated = True  # type: ignore[union-attr]
    line.send()
    line.tick(40)
    assert [h.reply for h in line.schedule.collect(line.now)] == ["a", "b"]
    np.testing.assert_array_equal(line.wave, np.concatenate((ramp(0.3), ramp(0.3, 10001))))


def test_dropping_what_was_sent_ahead_leaves_no_trace_of_it() -> None:
    line = Line()
    for reply, first in (("a", 1), ("b", 10001), ("c", 20001)):
        line.schedule.begin(reply)
        line.schedule.write(reply, ramp(0.3, first))
        line.schedule.find(reply).generated = True  # type: ignore[union-attr]
    line.send()
    line.tick(11)
    # "a" plays on until 0.3 s; "b" is in the lead already.
    dropped = line.schedule.drop("b", line.now)
    assert dropped is not None
    heard, tail = dropped
    assert heard.seconds == 0
    assert tail is not None
    assert not len(tail)
    line.server.interrupt(line.now)
    line.send()
    line.tick(30)
    np.testing.assert_array_equal(line.wave, np.concatenate((ramp(0.3), ramp(0.3, 20001))))


def test_a_full_buffer_refuses_and_counts() -> None:
    schedule = Schedule(RATE, PlayoutSettings(max_buffer=1.0))
    schedule.begin("r")
    assert schedule.write("r", ramp(1.0))
    assert not schedule.write("r", ramp(0.5))
    assert schedule.dropped == 0.5


def test_an_underrun_grows_the_lead_within_its_bound() -> None:
    line = Line(PlayoutSettings(max_lead=0.16))
    line.schedule.begin("r")
    for _ in range(5):
        line.schedule.write("r", ramp(0.1))
        line.send()
        line.tick(10)
    assert line.schedule.underruns == 4
    assert line.schedule.lead == pytest.approx(0.16)


def speechlike(seconds: float) -> np.ndarray:
    """Noise in syllables: loud and quiet stretches of random lengths, and no two stretches alike."""
    rng = np.random.default_rng(7)
    wave = rng.integers(-9000, 9000, round(seconds * RATE))
    at = 0
    while at < len(wave):
        at += rng.integers(800, 6000)
        quiet = rng.integers(300, 3000)
        wave[at : at + quiet] //= 40
        at += quiet
    return wave.astype(np.int16)


SPEECH = speechlike(6.0)
SPEECH_BYTES = SPEECH.tobytes()
FADE = 160


def source_of(chunk: np.ndarray, written: int) -> np.ndarray:
    """Which samples of the source a chunk holds; its first 10 ms may be faded in."""
    if len(chunk) < 320:
        # Only the last is shorter, and a few samples would be found in many places.
        return np.arange(written - len(chunk), written)
    body = chunk[FADE:]
    at = SPEECH_BYTES.find(body.tobytes())
    while at > 0 and at % 2:
        at = SPEECH_BYTES.find(body.tobytes(), at + 1)
    first = at // 2 - FADE
    return np.arange(first, first + len(chunk))


@given(st.data())
def test_played_indices_form_one_contiguous_run(data: st.DataObject) -> None:
    """Whatever is written, paused and resumed when: no sample is skipped, overlap is bounded."""
    settings = PlayoutSettings(rewind=data.draw(st.sampled_from([0.02, 0.1, 0.4])))
    line = Line(settings)
    line.schedule.begin("r")
    written = 0
    for _ in range(data.draw(st.integers(1, 8))):
        size = min(data.draw(st.integers(1, 12000)), len(SPEECH) - written)
        line.schedule.write("r", SPEECH[written : written + size])
        written += size
        line.send()
        line.tick(data.draw(st.integers(1, 30)))
        if data.draw(st.booleans()):
            line.pause()
            line.tick(data.draw(st.integers(1, 30)))
            line.schedule.resume()
    line.schedule.find("r").generated = True  # type: ignore[union-attr]
    line.send()
    line.tick(400)
    sources = [
        np.full(len(chunk), -1) if fade else source_of(chunk, written) for chunk, fade in line.received
    ]
    received = np.concatenate([*sources, np.empty(0, int)])
    played = np.concatenate([received[start:end] for start, end in line.server.played_ranges])
    played = played[played >= 0]
    steps = np.diff(played)
    assert played[0] == 0
    assert played[-1] == written - 1
    assert steps.max(initial=1) == 1, "something was skipped"
    assert 1 - steps.min(initial=1) <= settings.rewind * RATE + 320
    assert [heard.seconds for heard in line.schedule.collect(line.now)] == [written / RATE]


@given(st.data())
def test_what_was_heard_never_runs_back(data: st.DataObject) -> None:
    line = Line()
    line.schedule.begin("r")
    line.schedule.write("r", SPEECH)
    line.send()
    seconds = 0.0
    for _ in range(data.draw(st.integers(1, 10))):
        line.tick(data.draw(st.integers(0, 20)))
        if line.schedule.paused:
            line.schedule.resume()
            line.send()
        else:
            line.pause()
        heard = line.schedule.heard(line.now)
        assert heard is not None
        # The chunk in play counts once it is certain that it will be played to its end.
        assert heard.seconds >= seconds
        seconds = heard.seconds
    (heard,), _ = line.schedule.interrupt(line.now)
    assert heard.seconds >= seconds
