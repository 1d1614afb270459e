"""The sound of a cut: nothing clicks, nothing is repeated for ever. Judged by the server's truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishjam_agents.playout.background_mixer import BackgroundMixer, Loop
from fishjam_agents.playout.schedule import Schedule
from fishjam_agents.playout.settings import PlayoutSettings
from fishjam_agents.server.media.playout import Playout

RATE = 16000


def hum(seconds: float, level: int = 20000, hertz: float = 163.0) -> np.ndarray:
    """A loud voiced sound that begins and ends in silence, as replies do."""
    wave = level * np.sin(np.arange(round(seconds * RATE)) * 2 * np.pi * hertz / RATE)
    edge = np.linspace(0, 1, RATE // 50)
    wave[: len(edge)] *= edge
    wave[-len(edge) :] *= edge[::-1]
    return wave.astype(np.int16)


INSIDE = int(np.abs(np.diff(hum(1.0).astype(int))).max())
"""The largest step between neighbouring samples inside a reply."""


class Line:
    """A schedule as `AudioOutput` drives it, in front of a server that knows the truth."""

    def __init__(self, settings: PlayoutSettings | None = None) -> None:
        self.schedule = Schedule(RATE, settings)
        self.server = Playout(RATE)
        self.now = 0.0
        self.heard: list[tuple[int, np.ndarray]] = []

    def begin(self, reply: str, sound: np.ndarray, whole: bool = True) -> None:
        self.schedule.begin(reply)
        self.schedule.write(reply, sound)
        self.schedule.find(reply).generated = whole  # type: ignore[union-attr]

    def pass_time(self, seconds: float) -> None:
        """Ticks of 20 ms, then what is left."""
        end = self.now + seconds
        while self.now + 1e-9 < end:
            self.now = min(self.now + 0.02, end)
            self.send()
            self.heard += [(s.position, s.samples) for s in self.server.play(round(self.now * RATE))]
            self.schedule.collect(self.now)

    def send(self) -> None:
        if self.schedule.make_way(self.now):
            self.server.interrupt(self.now)
        self.schedule.pump(self.now, self.write)
        for chunk in self.schedule.pump_background(self.now):
            self.write(chunk)

    def write(self, chunk: np.ndarray) -> bool:
        self.server.write(chunk.tobytes(), self.now)
        return True

    def cut(self, tail: np.ndarray | None) -> None:
        if tail is not None:
            self.server.interrupt(self.now)
            self.server.write(tail.tobytes(), self.now)

    def resume(self) -> None:
        self.schedule.resume()
        self.send()

    @property
    def wave(self) -> np.ndarray:
        wave = np.zeros(round(self.now * RATE), int)
        for position, samples in self.heard:
            wave[position : position + len(samples)] = samples[: len(wave) - position]
        return wave

    @property
    def largest_step(self) -> int:
        return int(np.abs(np.diff(self.wave)).max())


AT = [1.0, 1.004, 1.007, 1.013, 1.02]


@pytest.mark.parametrize("at", AT)
@pytest.mark.parametrize("ahead", [2.0, 0.01, 0.0], ids=["buffered", "few", "none"])
def test_an_interrupt_does_not_click(at: float, ahead: float) -> None:
    """However much of the reply there is beyond what is playing."""
    line = Line()
    line.schedule.begin("r")
    sound = hum(4.0)
    if ahead == 2.0:
        line.schedule.write("r", sound)
        line.pass_time(at)
    else:
        written = 0
        while line.now + 1e-9 < at:
            upto = round((line.now + 0.02 + ahead) * RATE)
            line.schedule.write("r", sound[written:upto])
            written = upto
            line.send()
            line.pass_time(min(0.02, at - line.now))
    heard, tail = line.schedule.interrupt(line.now)
    line.cut(tail)
    line.pass_time(0.5)
    assert line.largest_step <= INSIDE
    assert np.abs(line.wave[round((at + 0.031) * RATE) :]).max() == 0
    assert heard[0].seconds == pytest.approx(at, abs=0.021)


@pytest.mark.parametrize("at", AT)
def test_dropping_the_reply_that_sounds_does_not_click(at: float) -> None:
    line = Line()
    line.begin("before", hum(0.5))
    line.begin("r", hum(2.0))
    line.begin("after", hum(0.4))
    line.pass_time(at)
    dropped = line.schedule.drop("r", line.now)
    assert dropped is not None
    line.cut(dropped[1])
    line.send()
    line.pass_time(1.0)
    assert line.largest_step <= INSIDE
    # The next one is heard to its end.
    assert np.flatnonzero(line.wave)[-1] / RATE == pytest.approx(at + 0.02 + 0.4, abs=0.03)


def test_the_reply_that_goes_on_is_not_faded_when_another_is_dropped() -> None:
    line = Line()
    line.begin("r", hum(1.0))
    line.begin("next", hum(1.0))
    line.pass_time(0.93)
    dropped = line.schedule.drop("next", line.now)
    assert dropped is not None
    line.cut(dropped[1])
    line.send()
    line.pass_time(1.0)
    first = RATE // 50
    np.testing.assert_array_equal(line.wave[first : first + RATE], hum(1.0))
    assert not line.wave[first + RATE :].any()


@given(st.data())
def test_no_sequence_of_cuts_clicks(data: st.DataObject) -> None:
    """Pauses, resumes, interrupts and drops, also twice in one instant."""
    line = Line()
    names = iter(range(100))
    line.begin("r", hum(3.0), whole=data.draw(st.booleans()))
    for _ in range(data.draw(st.integers(1, 8))):
        line.pass_time(data.draw(st.sampled_from([0.0, 0.003, 0.01, 0.02, 0.1, 0.5])))
        match data.draw(st.sampled_from(["pause", "resume", "interrupt", "drop", "begin"])):
            case "pause":
                line.cut(line.schedule.pause(line.now))
            case "resume":
                line.resume()
            case "interrupt":
                line.cut(line.schedule.interrupt(line.now)[1])
            case "drop" if line.schedule.current is not None:
                dropped = line.schedule.drop(line.schedule.current, line.now)
                line.cut(None if dropped is None else dropped[1])
            case _:
                line.begin(f"new-{next(names)}", hum(1.0))
                line.send()
    line.pass_time(0.5)
    # A fade of 10 ms adds to the slope of what it fades.
    assert line.largest_step <= INSIDE * 1.5


def test_an_interrupt_of_a_paused_reply_sends_nothing_more() -> None:
    line = Line()
    line.begin("r", hum(3.0))
    line.pass_time(1.0)
    line.cut(line.schedule.pause(line.now))
    line.pass_time(0.3)
    sent = line.server.received
    line.cut(line.schedule.interrupt(line.now)[1])
    assert line.server.received == sent


@pytest.mark.parametrize("voice", [True, False])
def test_muting_the_background_does_not_click(voice: bool) -> None:
    line = Line()
    line.schedule.background = BackgroundMixer()
    line.schedule.background.background = Loop(hum(1.0, 9000, 200.0), RATE, -12.0, 3.0)
    if voice:
        line.begin("r", hum(3.0, 8000))
    line.pass_time(1.007)
    if voice:
        line.cut(line.schedule.interrupt(line.now)[1])
        line.send()
    line.cut(line.schedule.mute_background(True, line.now))
    line.send()
    line.pass_time(0.5)
    assert line.largest_step <= INSIDE * 1.5
    assert np.abs(line.wave[round(1.06 * RATE) :]).max() == 0
    line.schedule.mute_background(False, line.now)
    line.pass_time(1.0)
    assert line.largest_step <= INSIDE * 1.5
    assert np.abs(line.wave[-RATE // 2 :]).max() > 3000


def test_a_background_that_is_replaced_fades_out() -> None:
    line = Line()
    line.schedule.background = background = BackgroundMixer()
    background.background = Loop(hum(1.0, 9000, 200.0), RATE, -12.0, 3.0)
    line.pass_time(1.0)
    background.background = Loop(hum(1.0, 9000, 100.0), RATE, -30.0, 3.0)
    line.pass_time(1.0)
    assert line.largest_step <= INSIDE * 1.5


NOISE = np.random.default_rng(3).integers(-9000, 9000, 4 * RATE).astype(np.int16)
PLACES = {NOISE[at : at + 4].tobytes(): at for at in range(len(NOISE) - 3)}
"""Where in it four samples are: no four are alike."""


def counted(playout: PlayoutSettings, pauses: list[tuple[float, float]]) -> np.ndarray:
    """How often each sample of a reply was heard that is held again and again, fades left out."""
    line = Line(playout)
    line.begin("r", NOISE)
    line.send()
    for speaks, holds in pauses:
        line.pass_time(speaks)
        line.cut(line.schedule.pause(line.now))
        line.pass_time(holds)
        line.resume()
    line.pass_time(6.0)
    times = np.zeros(len(NOISE), int)
    for _, samples in line.heard:
        for first in range(0, len(samples) - 3, 4):
            at = PLACES.get(samples[first : first + 4].tobytes())
            if at is not None:
                times[at : at + 4] += 1
    return times


@pytest.mark.parametrize("speaks", [0.02, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("rewind", [0.1, 0.4, 1.0])
def test_a_reply_that_is_held_again_and_again_makes_progress(speaks: float, rewind: float) -> None:
    times = counted(PlayoutSettings(rewind=rewind), [(1.0, 0.5), *[(speaks, 0.5)] * 12])
    assert times.max() <= 2
    # All of it is heard, but for what the fades hide.
    assert np.count_nonzero(times == 0) <= 13 * 3 * 320


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 600)), max_size=12))
def test_nothing_is_heard_more_than_twice(pauses_ms: list[tuple[int, int]]) -> None:
    pauses = [(speaks / 1000, holds / 1000) for speaks, holds in pauses_ms]
    assert counted(PlayoutSettings(), pauses).max() <= 2
