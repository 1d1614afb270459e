"""The compiled echo guard gives the numbers of the one in Python, bit for bit, and refuses what is wrong."""

import copy
import gc
import math
import pickle
import sys
import weakref
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishjam_agents.audio.compiled import native, reason
from fishjam_agents.audio.echo import MARGIN, Echo, EchoGuard, GuardedFrame, make_guard
from fishjam_agents.audio.echo_match import EchoMatch
from fishjam_agents.audio.echo_reference import LAGS, VOICE, EchoReference

pytestmark = pytest.mark.skipif(native is None, reason=f"not compiled: {reason}")

FRAME = 0.02
BANDS = [1e-4, 2e-4, 1e-5, 3e-5, 0.0]


def compiled(margin=MARGIN):
    """A guard of the compiled module."""
    return native.EchoGuard(margin)


def window(seed=0):
    """Levels of a voice that swells and fades."""
    return np.random.default_rng(seed).uniform(-80.0, -10.0, (LAGS, VOICE + 1))


class Pair:
    """A guard of either kind; what is asked of both is the same, and so is what they answer."""

    def __init__(self, margin=MARGIN):
        self.guards = EchoGuard(margin), compiled(margin)

    def __getattr__(self, name):
        return lambda *arguments: self._same([getattr(guard, name)(*arguments) for guard in self.guards])

    def _same(self, answers):
        one, other = answers
        assert type(one) is type(other)
        assert one == other
        self.agree()
        return one

    def agree(self):
        """See that they know the same."""
        one, other = self.guards
        assert (one.delay, one.gain, one.untold) == (other.delay, other.gain, other.untold)

    def expect(self, bands, level, window, later):
        """Ask both, at once or of frames that were made before."""
        if not later:
            return self._same([guard.expect(bands, level, window) for guard in self.guards])
        frames = [guard.frame(window) for guard in self.guards]
        window += 20.0
        return self._same([frame.expect(bands, level) for frame in frames])


class Room:
    """A bot that talks and pauses, and a microphone whose echo comes, goes and moves."""

    def __init__(self, random):
        self.random = random
        self.noise = np.random.default_rng(random.getrandbits(32))
        self.reference = EchoReference(16000)
        self.frame, self.talks, self.level, self.background = 0, True, -20.0, -95.0
        self.delay, self.gain = random.randrange(LAGS), random.choice([-6.0, -12.0, -20.0, -90.0])

    def step(self):
        """Play 20 ms: the window, and what the microphone hears (powers of bands, level); None in silence."""
        random = self.random
        self.frame += 1
        if random.random() < 0.15:
            self.level = random.uniform(-70.0, 0.0)
        if random.random() < 0.01:
            self.talks = not self.talks
        if random.random() < 0.004:
            self.delay = random.randrange(LAGS)
        if random.random() < 0.004:
            self.gain = random.choice([6.0, 0.0, -6.0, -12.0, -20.0, -30.0, -90.0])
        if random.random() < 0.002:
            self.background = random.choice([-95.0, -60.0, -45.0, -30.0])
        peak = 32768 * 10 ** ((self.level if self.talks else self.background) / 20)
        sound = np.clip(self.noise.standard_normal(320) * peak, -32768, 32767).astype(np.int16)
        self.reference.sent(sound, self.frame * FRAME)
        levels = self.reference.window(self.frame * FRAME)
        if levels is None:
            return None
        row = levels[LAGS - 1 - self.delay] + self.gain + self.noise.normal(0, 1, VOICE + 1)
        powers, level = (10 ** (row[:VOICE] / 10)).tolist(), float(row[VOICE])
        if random.random() < 0.2:
            # Somebody speaks, or there is digital silence.
            level = random.choice([random.uniform(-100.0, 0.0), -100.0])
            powers = [random.random() * 10 ** (level / 10) * (level > -100.0) for _ in range(VOICE)]
        return levels.copy(), powers, level


def recognised(random):
    """An echo that was recognised somewhere, or nonsense."""
    gain = [random.choice([random.uniform(-30.0, 0.0), -1000.0, 1000.0]) for _ in range(VOICE)]
    return EchoMatch(random.choice([random.uniform(0.0, 0.6), 0.05, 0.07, -1.0, 1e6]), -10.0, gain)


@settings(deadline=None, max_examples=10)
@given(
    seed=st.integers(0, 2**32),
    margin=st.sampled_from([MARGIN, 0.0, -3.0, 12.0]),
    often=st.sampled_from([0.0, 0.002, 0.1]),
)
def test_both_guards_give_the_same_numbers_whatever_is_asked_of_them(seed, margin, often):
    random = Random(seed)
    room, pair = Room(random), Pair(margin)
    for _ in range(1000):
        heard = room.step()
        skips = pair.take_skip(random.random() < 0.02)
        if random.random() < often:
            pair.suspect()
        if random.random() < often:
            pair.learn(recognised(random))
        if heard is not None and not skips:
            levels, powers, level = heard
            pair.expect(powers, level, levels, random.random() < 0.5)


def test_a_long_call_in_which_everything_happens_is_followed_alike():
    random, kinds, delays = Random(6), set(), set()
    room, pair = Room(random), Pair()
    rests = 0
    for _ in range(3000):
        heard = room.step()
        rests += pair.take_skip(random.random() < 0.001)
        if random.random() < 0.002:
            pair.suspect()
        if random.random() < 0.004:
            pair.learn(recognised(random))
        if heard is not None:
            levels, powers, level = heard
            echo = pair.expect(powers, level, levels, False)
            kinds.add(None if echo is None else len(echo.bands))
            delays.add(pair.guards[0].delay)
    assert kinds == {None, 0, VOICE}
    assert len(delays) > 4
    assert rests > 20


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(), min_size=VOICE, max_size=VOICE), st.floats(), st.floats(), st.integers(0, 1)
        ),
        max_size=60,
    )
)
def test_nothing_that_is_no_number_brings_it_down(frames):
    guard, levels = compiled(), window()
    for powers, level, played, place in frames:
        levels[-1 - place] = played
        echo = guard.expect(powers, level, levels)
        assert echo is None or type(echo) is Echo
    assert guard.delay is None or 0 <= guard.delay < LAGS
    assert not guard.take_skip(True)


def test_the_package_uses_the_compiled_guard_where_there_is_one():
    assert type(make_guard()) is native.EchoGuard


def test_a_frame_keeps_the_window_that_it_was_made_with():
    levels, guard = window(), compiled()
    expected = compiled().expect(BANDS, -20.0, levels)
    frame = guard.frame(levels)
    levels[:] = -100.0
    assert frame.expect(BANDS, -20.0) == expected != None  # noqa: E711
    assert not isinstance(frame, GuardedFrame)


def test_what_it_tells_is_a_copy():
    guard = compiled()
    guard.learn(EchoMatch(0.1, -10.0, [-10.0] * VOICE))
    guard.gain[0] = 3.0
    assert guard.gain == [-10.0] * VOICE
    for name in ("delay", "gain", "untold"):
        with pytest.raises(AttributeError):
            setattr(guard, name, 1)


class Raises:
    """A number that cannot be had."""

    def __float__(self):
        raise LookupError("no number")


class Meddles(list):
    """Bands that shrink while they are read."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        self.clear()
        return item


class Reenters:
    """A number that asks the guard for another echo when it is read."""

    def __init__(self, guard):
        self.guard = guard

    def __float__(self):
        self.guard.expect(BANDS, -20.0, window())
        return -20.0


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (None, TypeError, "window must be a float64 array of shape"),
        ([[0.0] * 6] * 26, TypeError, "window must be a float64 array of shape"),
        (b"x" * 1248, TypeError, "window must be a float64 array, not one of"),
        (np.zeros((26, 6), np.float32), TypeError, 'window must be a float64 array, not one of "f"'),
        (np.zeros((26, 6), np.int64), TypeError, "window must be a float64 array, not one of"),
        (np.zeros((26, 6), ">f8"), TypeError, 'window must be a float64 array, not one of ">d"'),
        (np.zeros((26, 6), complex), TypeError, 'window must be a float64 array, not one of "Zd"'),
        (np.zeros((26, 6), object), TypeError, 'window must be a float64 array, not one of "O"'),
        (np.zeros((25, 6)), ValueError, r"window must have the shape \(26, 6\)"),
        (np.zeros((6, 26)), ValueError, r"window must have the shape \(26, 6\)"),
        (np.zeros(156), ValueError, r"window must have the shape \(26, 6\)"),
        (np.zeros((1, 26, 6)), ValueError, r"window must have the shape \(26, 6\)"),
        (np.zeros(()), ValueError, r"window must have the shape \(26, 6\)"),
        (np.zeros((6, 26)).T, ValueError, "window must be contiguous"),
        (np.zeros((52, 6))[::2], ValueError, "window must be contiguous"),
    ],
)
def test_a_window_that_is_none_is_refused(wrong, error, says):
    guard = compiled()
    with pytest.raises(error, match=says):
        guard.expect(BANDS, -20.0, wrong)
    with pytest.raises(error, match=says):
        guard.frame(wrong)
    assert guard.untold == 0


def test_a_window_may_be_of_anything_that_holds_float64():
    levels = window()
    expected = compiled().expect(BANDS, -20.0, levels)
    levels.flags.writeable = False
    assert compiled().expect(BANDS, -20.0, levels) == expected
    assert compiled().expect(BANDS, -20.0, memoryview(levels)) == expected
    assert compiled().expect(tuple(BANDS), np.float64(-20.0), levels) == expected
    assert compiled().expect(np.array(BANDS), -20, levels) == expected


@pytest.mark.parametrize(
    ("bands", "error"),
    [
        (None, TypeError),
        (1.0, TypeError),
        ([], ValueError),
        (BANDS[:4], ValueError),
        ([*BANDS, 0.0], ValueError),
        ("abcde", TypeError),
        ([*BANDS[:4], None], TypeError),
        ([*BANDS[:4], Raises()], LookupError),
        ([*BANDS[:4], 10**400], OverflowError),
        (dict.fromkeys(range(VOICE)), TypeError),
        (set(range(5)), TypeError),
    ],
)
def test_bands_that_are_none_are_refused(bands, error):
    guard, levels = compiled(), window()
    with pytest.raises(error):
        guard.expect(bands, -20.0, levels)
    with pytest.raises(error):
        guard.frame(levels).expect(bands, -20.0)
    with pytest.raises(error):
        guard.learn(EchoMatch(0.1, -10.0, bands))
    assert guard.untold == 0
    assert guard.delay is None


def test_wrong_arguments_are_refused():
    guard, levels = compiled(), window()
    for wrong in ((), (BANDS,), (BANDS, -20.0), (BANDS, -20.0, levels, 1)):
        with pytest.raises(TypeError, match="expect takes bands, level and window"):
            guard.expect(*wrong)
    with pytest.raises(TypeError, match="expect takes bands and level"):
        guard.frame(levels).expect(BANDS)
    with pytest.raises(TypeError, match="take_skip takes at most 1 argument"):
        guard.take_skip(True, True)
    with pytest.raises(LookupError):
        guard.expect(BANDS, Raises(), levels)
    with pytest.raises(TypeError):
        guard.expect(BANDS, "loud", levels)
    with pytest.raises(AttributeError, match="delay"):
        guard.learn(0.1)
    for delay in (math.nan, math.inf):
        with pytest.raises(ValueError, match="finite number of seconds"):
            guard.learn(EchoMatch(delay, -10.0, [0.0] * VOICE))
    for wrong in ((), ("loud",), (1.0, 2.0)):
        with pytest.raises(TypeError):
            native.EchoGuard(*wrong)
    with pytest.raises(TypeError, match="cannot create"):
        native.GuardedFrame()


def test_bands_that_change_while_they_are_read_are_refused():
    guard = compiled()
    with pytest.raises(IndexError):
        guard.expect(Meddles(BANDS), -20.0, window())
    assert guard.untold == 0


def test_a_number_that_asks_the_guard_again_finds_it_whole():
    guard, other, levels = compiled(), compiled(), window()
    guard.expect(BANDS, Reenters(guard), levels)
    other.expect(BANDS, -20.0, window())
    other.expect(BANDS, -20.0, levels)
    assert guard.untold == other.untold == 2


def test_it_cannot_be_copied_or_pickled_and_says_so():
    guard = compiled()
    for thing in (guard, guard.frame(window())):
        for make in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot pickle"):
                make(thing)


def test_nothing_is_left_of_it():
    levels = window()
    held = levels, Echo, native.EchoGuard, native.GuardedFrame, BANDS
    wrong = np.zeros((26, 5)), [*BANDS[:4], Raises()]

    def use():
        guard = compiled()
        for _ in range(300):
            guard.frame(levels).expect(BANDS, -20.0)
            guard.learn(EchoMatch(0.1, -10.0, [-10.0] * VOICE))
            guard.expect(BANDS, -20.0, levels)
            for bands, played in ((BANDS, wrong[0]), (wrong[1], levels), (None, levels)):
                with pytest.raises((TypeError, ValueError, LookupError)):
                    guard.expect(bands, -20.0, played)
        late = guard.frame(levels)
        del guard
        late.expect(BANDS, -20.0)

    use()
    gc.collect()
    before, counts = sys.getallocatedblocks(), [sys.getrefcount(each) for each in held]
    use()
    gc.collect()
    assert [sys.getrefcount(each) for each in held] == counts
    # Other threads allocate, too; a leak would be of hundreds.
    assert sys.getallocatedblocks() - before < 250
    with pytest.raises(TypeError):
        weakref.ref(compiled())
