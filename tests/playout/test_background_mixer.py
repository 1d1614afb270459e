"""What sounds under the voice: never in its way, never heard of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.audio.gain import dbfs
from fishjam_agents.playout.background_mixer import BackgroundMixer, Loop
from fishjam_agents.playout.schedule import Schedule
from fishjam_agents.server.media.playout import Playout

RATE = 16000


def hum(seconds: float = 1.0) -> np.ndarray:
    return (3000 * np.sin(np.arange(round(seconds * RATE)) * 0.05)).astype(np.int16)


def words(seconds: float) -> np.ndarray:
    return np.full(round(seconds * RATE), 9000, np.int16)


class Line:
    """A schedule with a background in front of a server, as `AudioOutput` drives it."""

    def __init__(self, under: float | None = 20.0) -> None:
        self.schedule = Schedule(RATE)
        self.schedule.background = BackgroundMixer()
        self.loop = self.schedule.background.background = Loop(hum(), RATE, -40.0, under)
        self.server = Playout(RATE)
        self.now = 0.0
        self.heard: list[tuple[int, np.ndarray]] = []

    def send(self) -> None:
        if self.schedule.make_way(self.now):
            self.server.interrupt(self.now)
        self.schedule.pump(self.now, self.write)
        for chunk in self.schedule.pump_background(self.now):
            self.write(chunk)

    def write(self, chunk: np.ndarray) -> bool:
        self.server.write(chunk.tobytes(), self.now)
        return True

    def tick(self, ticks: int = 1) -> None:
        for _ in range(ticks):
            self.now = round(self.now + 0.02, 6)
            self.send()
            self.heard += [(s.position, s.samples) for s in self.server.play(round(self.now * RATE))]

    def pause(self) -> None:
        tail = self.schedule.pause(self.now)
        if tail is not None:
            self.server.interrupt(self.now)
            self.server.write(tail.tobytes(), self.now)
        self.send()

    @property
    def wave(self) -> np.ndarray:
        wave = np.zeros(round(self.now * RATE), np.int16)
        for position, samples in self.heard:
            wave[position : position + len(samples)] = samples[: len(wave) - position]
        return wave


def test_a_loop_plays_at_its_level_without_a_seam() -> None:
    loop = Loop(hum(0.5), RATE, -40.0, None)
    wave = np.concatenate([loop.take(320, voice=False) for _ in range(200)])
    steady = wave[RATE:]
    assert dbfs(steady.astype(np.int16)) == pytest.approx(-40.0, abs=1.0)
    assert np.abs(np.diff(steady)).max() < 0.1 * np.abs(steady).max()


def test_under_a_voice_it_ducks_and_alone_it_comes_back() -> None:
    loop = Loop(hum(), RATE, -40.0, 20.0)
    alone, under, again = (
        np.concatenate([loop.take(320, voice=voice) for _ in range(50)])[-8000:]
        for voice in (False, True, False)
    )
    assert dbfs(under.astype(np.int16)) == pytest.approx(dbfs(alone.astype(np.int16)) - 20, abs=1.5)
    assert dbfs(again.astype(np.int16)) == pytest.approx(dbfs(alone.astype(np.int16)), abs=0.5)


def test_the_background_fills_the_silence_and_a_reply_does_not_wait_for_it() -> None:
    line = Line()
    line.tick(50)
    line.schedule.begin("r")
    line.schedule.write("r", words(0.5))
    line.schedule.find("r").generated = True  # type: ignore[union-attr]
    line.send()
    begun = line.now
    line.tick(75)
    wave = line.wave
    first = np.flatnonzero(wave > 5000)[0] / RATE
    assert first - begun <= 0.02
    loud = np.abs(wave.reshape(-1, 320)).max(axis=1)
    assert loud[12:].all(), "there is a gap in the background"
    assert [heard.seconds for heard in line.schedule.collect(line.now)] == [0.5]


def test_the_background_is_back_at_once_after_a_pause_and_no_word_of_it_counts_as_heard() -> None:
    line = Line()
    line.schedule.begin("r")
    line.schedule.write("r", words(3.0))
    line.tick(50)
    line.pause()
    heard = line.schedule.heard(line.now)
    assert heard is not None
    assert heard.seconds == pytest.approx(1.0, abs=0.021)
    line.tick(50)
    assert line.schedule.heard(line.now) == heard
    after = np.abs(line.wave[round(1.04 * RATE) :])
    assert np.abs(after.reshape(-1, 320)).max(axis=1).all()
    assert after.max() < 1000
    (over,), _ = line.schedule.interrupt(line.now)
    assert over == heard


def test_a_background_that_was_stopped_sends_nothing_more() -> None:
    line = Line()
    line.tick(50)
    line.loop.on = False
    line.tick(20)
    sent = line.server.received
    line.tick(50)
    assert line.server.received == sent
    assert not line.schedule.background.sounds  # type: ignore[union-attr]


@given(st.data())
def test_replies_over_a_background_are_played_in_one_run(data: st.DataObject) -> None:
    """Whatever comes, pauses and resumes when: all of it is heard, and the estimate says what was played."""
    line = Line(under=None)
    line.schedule.begin("r")
    total = 0
    for _ in range(data.draw(st.integers(1, 6))):
        size = data.draw(st.integers(1, 4000))
        line.schedule.write("r", np.full(size, 9000, np.int16))
        total += size
        line.tick(data.draw(st.integers(1, 15)))
        if data.draw(st.booleans()):
            line.pause()
            line.tick(data.draw(st.integers(1, 15)))
            line.schedule.resume()
            line.send()
    line.schedule.find("r").generated = True  # type: ignore[union-attr]
    line.tick(150)
    assert [heard.seconds for heard in line.schedule.collect(line.now)] == [total / RATE]
    # Voice is loud and the background is not; fades hide up to 10 ms at each end of a pause.
    loud = int(np.count_nonzero(line.wave > 8000))
    pauses = line.schedule.underruns + len(line.server.cuts) + 1
    assert loud >= total - pauses * 2 * 160
