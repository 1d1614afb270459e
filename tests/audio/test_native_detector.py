"""The compiled detector decides as the one in Python does, and says what is wrong with what it is given."""

import copy
import gc
import pickle
import weakref
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishjam_agents.audio.compiled import native, reason
from fishjam_agents.audio.detectors import make_detector
from fishjam_agents.audio.echo import Echo
from fishjam_agents.audio.vad import FRAME_SAMPLES, PRESETS, Decision, Detector, default_detector, make_webrtc
from tests.audio.detector_streams import KINDS, Sum, loudspeakers, sound, streams

pytestmark = pytest.mark.skipif(native is None, reason=f"not compiled: {reason}")

BOUND = 1e-2
"""Of a difference in any number of a decision. Either transforms frames in single precision, and numpy's
transform adds in another order: what a loud hum leaves of a quiet band differs most."""
SILENCE = np.zeros(FRAME_SAMPLES, np.int16)


def assert_alike(one, other):
    """Both decisions are the same, as far as single precision goes."""
    assert one == pytest.approx(other, abs=BOUND), (one, other)
    assert (one.voiced, one.tail) == (other.voiced, other.tail), (one, other)


def frames_of(samples):
    """Whole frames of a sound."""
    return [
        samples[at : at + FRAME_SAMPLES] for at in range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES)
    ]


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    samples=streams,
    loudspeaker=loudspeakers,
    preset=st.sampled_from(sorted(PRESETS)),
)
def test_it_decides_as_the_reference_does(seed, samples, loudspeaker, preset):
    random = Random(seed)
    reference, compiled = Detector(preset), default_detector(preset)
    assert type(compiled) is not Detector
    assert compiled.start == reference.start
    machine = Sum(reference.start)
    for number, frame in enumerate(frames_of(samples)):
        if random.random() < 0.01:
            reference.restart()
            compiled.restart()
        told, playing = machine.told(), (None, None)
        if loudspeaker is not None:
            frame, playing = loudspeaker.play(frame, number * FRAME_SAMPLES, number, told[0])
        expected = reference.feed(frame, *told, playing[0])
        found = compiled.feed(frame, *told, playing[1])
        assert type(found) is Decision
        assert_alike(found, expected)
        assert (compiled.echo is None) == (reference.echo is None)
        machine.take(expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", [-50.0, -12.0, 0.0])
def test_it_decides_alike_for_each_kind_of_sound(kind, level):
    for seed in range(3):
        reference, compiled, machine = Detector(), default_detector(), Sum(4.0)
        for frame in frames_of(sound(kind, level, seed)):
            told = machine.told()
            expected = reference.feed(frame, *told)
            assert_alike(compiled.feed(frame, *told), expected)
            machine.take(expected)


def test_digital_silence_full_scale_and_single_samples_are_decided_alike():
    reference, compiled = Detector(), default_detector()
    extremes = [np.full(FRAME_SAMPLES, value, np.int16) for value in (0, 1, -1, 32767, -32768)]
    click = SILENCE.copy()
    click[160] = -32768
    square = np.where(np.arange(FRAME_SAMPLES) // 20 % 2, 32767, -32768).astype(np.int16)
    for step in range(400):
        frame = [*extremes, click, square][step // 7 % 7]
        in_speech = step % 50 > 40
        assert_alike(compiled.feed(frame, in_speech), reference.feed(frame, in_speech))


def test_every_detector_of_that_name_is_compiled():
    assert type(make_detector("default", "noisy")).__module__.endswith("_native")


def test_arguments_may_be_named():
    compiled, reference = default_detector(), Detector()
    given = {"in_speech": False, "accumulating": False, "playing": None}
    assert_alike(compiled.feed(frame=SILENCE, **given), reference.feed(frame=SILENCE, **given))
    with pytest.raises(TypeError, match="needs the argument 'in_speech'"):
        compiled.feed(SILENCE)
    with pytest.raises(TypeError, match="no argument 'speech'"):
        compiled.feed(SILENCE, speech=True)
    with pytest.raises(TypeError, match="two values of 'frame'"):
        compiled.feed(SILENCE, False, frame=SILENCE)
    with pytest.raises(TypeError, match="at most 4"):
        compiled.feed(SILENCE, False, True, None, None)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros(319, np.int16),
        np.zeros(321, np.int16),
        np.zeros(0, np.int16),
        np.zeros(FRAME_SAMPLES, np.uint16),
        np.zeros(FRAME_SAMPLES, np.float32),
        np.zeros(160, np.int32),
        np.zeros((2, 160), np.int16),
        np.zeros(FRAME_SAMPLES, ">i2"),
        bytes(640),
    ],
    ids=str,
)
def test_what_is_no_frame_is_refused_and_changes_nothing(frame):
    compiled, reference = default_detector(), Detector()
    with pytest.raises(ValueError, match=r"int16 of shape \(320,\)"):
        compiled.feed(frame, False)
    assert_alike(compiled.feed(SILENCE, False), reference.feed(SILENCE, False))


def test_what_has_no_buffer_or_no_order_is_refused():
    with pytest.raises(TypeError, match="bytes-like"):
        default_detector().feed([0] * FRAME_SAMPLES, False)
    with pytest.raises((ValueError, BufferError), match="contiguous"):
        default_detector().feed(np.zeros(2 * FRAME_SAMPLES, np.int16)[::2], False)


class Playing:
    """An echo that is expected, whatever it is."""

    def __init__(self, expected):
        self.expected = expected

    def expect(self, bands, level):
        """Give it."""
        assert len(bands) == 5
        assert level >= -100.1
        if isinstance(self.expected, Exception):
            raise self.expected
        return self.expected


@pytest.mark.parametrize(
    ("expected", "error"),
    [
        (RuntimeError("no echo today"), RuntimeError),
        (("1", -30.0), ValueError),
        (((1.0,) * 4, -30.0), ValueError),
        (((1.0,) * 4 + ("loud",), -30.0), TypeError),
        (((1.0,) * 5, "loud"), TypeError),
        (((1.0,) * 5,), IndexError),
        (42, TypeError),
    ],
    ids=str,
)
def test_an_echo_that_is_none_raises(expected, error):
    compiled = default_detector()
    with pytest.raises(error):
        compiled.feed(SILENCE, False, True, Playing(expected))
    assert compiled.feed(SILENCE, False).level == pytest.approx(-100)


def test_the_echo_is_that_of_the_last_frame():
    compiled = default_detector()
    echo = Echo((), -40.0)
    compiled.feed(SILENCE, False, True, Playing(echo))
    assert compiled.echo is echo
    compiled.feed(SILENCE, False)
    assert compiled.echo is None
    compiled.feed(SILENCE, False, True, Playing(echo))
    compiled.restart()
    assert compiled.echo is None


def test_what_webrtcvad_raises_is_raised():
    def broken(data, rate, length):
        raise OSError(f"{len(data)} {rate} {length}")

    compiled = native.Detector(-3.45, 4.0, Decision, lambda: broken)
    with pytest.raises(OSError, match="640 16000 320"):
        compiled.feed(SILENCE, False)

    def unmade():
        raise OSError("nothing made")

    with pytest.raises(OSError, match="nothing made"):
        native.Detector(-3.45, 4.0, Decision, unmade)
    with pytest.raises(TypeError, match="named tuples"):
        native.Detector(-3.45, 4.0, int, make_webrtc)


def test_an_echo_may_ask_the_detector_that_asks_it():
    compiled = default_detector()

    class Nested:
        def expect(self, bands, level):
            compiled.feed(SILENCE, True)
            compiled.restart()

    compiled.feed(SILENCE, False, True, Nested())
    assert compiled.feed(SILENCE, False).score == -3.0


def test_it_cannot_be_copied_and_leaves_nothing_behind():
    compiled = default_detector()
    for refused in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"cannot pickle .*Detector"):
            refused(compiled)

    class Making:
        """In a circle with its detector."""

        def __call__(self):
            return make_webrtc()

    making = Making()
    making.detector = native.Detector(-3.45, 4.0, Decision, making)
    gone = weakref.ref(making)
    del making
    gc.collect()
    assert gone() is None
