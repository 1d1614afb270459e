from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.turns.endpointing import (
    Adaptive,
    BackendEnds,
    Fixed,
    Pause,
    PerSpeaker,
    Punctuation,
)
from fishjam_agents.turns.machine import (
    Confirmed,
    SpeechEnded,
    SpeechStarted,
    Suspected,
    TurnEnded,
    TurnEvent,
    TurnMachine,
    TurnStarted,
    Withdrawn,
)
from fishjam_agents.turns.policies import BargeIn
from fishjam_agents.turns.settings import TurnSettings


@dataclass(frozen=True)
class Frame:
    score: float
    tail: bool = False
    snr: float = 20.0

    @property
    def voiced(self) -> bool:
        return self.score > 0


VOICE = Frame(3.0)
QUIET = Frame(-3.0)
SOFT = Frame(-1.0, tail=True)


def play(
    machine: TurnMachine, *runs: tuple[Frame, int], bot: bool = False, at: float = 0.0
) -> list[TurnEvent]:
    happened: list[TurnEvent] = []
    frame_number = round(at / 0.02)
    for frame, count in runs:
        for _ in range(count):
            frame_number += 1
            happened += machine.feed(frame, frame_number * 0.02, bot)
    return [type(e)(*(round(v, 2) if isinstance(v, float) else v for v in _values(e))) for e in happened]


def _values(event: TurnEvent) -> list[object]:
    return [getattr(event, name) for name in event.__dataclass_fields__]


LISTENING = [
    ("silence", [(QUIET, 100)], []),
    ("one voiced frame is nothing", [(VOICE, 1), (QUIET, 50)], []),
    (
        "a click of 60 ms is speech that comes to nothing",
        [(QUIET, 10), (VOICE, 3), (QUIET, 50)],
        [SpeechStarted(0.2), SpeechEnded(0.26)],
    ),
    (
        "a word is a turn, backdated to its onset",
        [(QUIET, 10), (VOICE, 12), (QUIET, 50)],
        [SpeechStarted(0.2), TurnStarted(0.2), SpeechEnded(0.44), TurnEnded(0.2, 0.44)],
    ),
    (
        "a pause of 400 ms does not end the turn",
        [(VOICE, 30), (QUIET, 20), (VOICE, 30), (QUIET, 50)],
        [
            SpeechStarted(0.0),
            TurnStarted(0.0),
            SpeechEnded(0.6),
            SpeechStarted(1.0),
            SpeechEnded(1.6),
            TurnEnded(0.0, 1.6),
        ],
    ),
    (
        "soft ends of words belong to the turn, for 160 ms",
        [(VOICE, 30), (SOFT, 20), (QUIET, 50)],
        [SpeechStarted(0.0), TurnStarted(0.0), SpeechEnded(0.76), TurnEnded(0.0, 0.76)],
    ),
]


@pytest.mark.parametrize(("name", "runs", "expected"), LISTENING, ids=[row[0] for row in LISTENING])
def test_while_the_bot_listens(name: str, runs: list[tuple[Frame, int]], expected: list[TurnEvent]) -> None:
    assert play(TurnMachine(), *runs) == expected


OVER_THE_BOT = [
    (
        "a burst of 300 ms is suspected and withdrawn",
        [(QUIET, 10), (VOICE, 16), (QUIET, 20)],
        [Suspected(0.2), Withdrawn(0.52)],
    ),
    (
        "360 ms of voice confirm",
        [(QUIET, 10), (VOICE, 18)],
        [Suspected(0.2), Confirmed(0.2), SpeechStarted(0.2), TurnStarted(0.2)],
    ),
    (
        "length alone does not confirm: eight frames must be voiced",
        [(QUIET, 10), (VOICE, 2), (QUIET, 13), (VOICE, 2), (QUIET, 20)],
        [Suspected(0.2), Withdrawn(0.54)],
    ),
]


@pytest.mark.parametrize(("name", "runs", "expected"), OVER_THE_BOT, ids=[row[0] for row in OVER_THE_BOT])
def test_while_the_bot_speaks(name: str, runs: list[tuple[Frame, int]], expected: list[TurnEvent]) -> None:
    assert play(TurnMachine(), *runs, bot=True) == expected


def test_words_confirm_before_their_length_does() -> None:
    machine = TurnMachine()
    play(machine, (VOICE, 5), bot=True)
    assert [type(e) for e in machine.confirm()] == [Confirmed, SpeechStarted, TurnStarted]
    assert machine.confirm() == ()


@pytest.mark.parametrize(("snr", "seconds"), [(40.0, 0.58), (20.0, 0.6), (10.0, 0.7), (0.0, 0.74)])
def test_noise_makes_the_end_wait_longer(snr: float, seconds: float) -> None:
    assert Adaptive().silence(Pause(0.2, snr, 1.0)) == pytest.approx(seconds)
    assert TurnSettings(end_silence=0.3).ending.silence(Pause(0.2, snr, 1.0)) == 0.3


def test_missing_packets_end_a_turn_later_than_silence_does() -> None:
    machine = TurnMachine()
    play(machine, (VOICE, 30))
    happened: list[TurnEvent] = []
    silences = 0
    while machine.turn_open and silences < 100:
        happened += machine.silence(0.02)
        silences += 1
    assert silences * 0.02 == pytest.approx(1.5)
    assert [type(e) for e in happened] == [SpeechEnded, TurnEnded]
    assert happened[-1].reason == "missing"  # type: ignore[union-attr]


def test_audio_after_a_stall_replaces_the_silence() -> None:
    machine = TurnMachine()
    play(machine, (VOICE, 30))
    machine.silence(1.4)
    assert [type(e) for e in play(machine, (VOICE, 5), at=0.6)] == [SpeechStarted]
    assert not any(isinstance(e, TurnEnded) for e in machine.silence(1.4))


def test_a_turn_ends_at_the_limit_and_the_next_begins() -> None:
    machine = TurnMachine(TurnSettings(max_turn=1.0))
    kinds = [type(e) for e in play(machine, (VOICE, 70))]
    assert kinds == [SpeechStarted, TurnStarted, SpeechEnded, TurnEnded, SpeechStarted, TurnStarted]


def test_a_peer_that_leaves_in_mid_word_ends_the_turn_as_cut() -> None:
    machine = TurnMachine()
    play(machine, (VOICE, 30))
    assert machine.end(0.6, "left") == (SpeechEnded(0.6), TurnEnded(machine_onset := 0.0, 0.6, "left"))
    assert machine_onset == 0.0
    assert machine.end(0.6, "left") == ()


frames = st.builds(Frame, st.floats(-3, 3), st.booleans(), st.floats(-10, 60))


settings = st.builds(
    TurnSettings,
    end_of_turn=st.sampled_from([Adaptive(), Fixed(0.2), PerSpeaker(), Punctuation(), BackendEnds()]),
    barge_in=st.sampled_from([BargeIn(), BargeIn(voice=0.6), BargeIn(words=1), BargeIn(backchannel=("en",))]),
    withdraw=st.sampled_from([0.1, 0.28, 1.0]),
    max_turn=st.sampled_from([1.0, 60.0]),
)


@given(
    settings,
    st.lists(
        st.tuples(
            *(frames, st.integers(1, 40), st.booleans(), st.sampled_from([0.0, 0.0, 0.3])),
            st.sampled_from([None, None, "mhm", "no wait.", "done"]),
        ),
        max_size=30,
    ),
)
def test_events_alternate_and_media_time_never_runs_back(
    settings: TurnSettings, runs: list[tuple[Frame, int, bool, float, str | None]]
) -> None:
    machine = TurnMachine(settings)
    at = 0.0
    events: list[TurnEvent] = []
    for frame, count, bot, missing, words in runs:
        if words == "done":
            events += machine.model_done()
        elif words is not None:
            events += machine.understood(words, bot)
        for _ in range(count):
            at += 0.02
            events += machine.feed(frame, at, bot)
        if missing:
            at += missing
            events += machine.silence(missing)
    pairs = {
        SpeechStarted: (SpeechEnded, "speech"),
        TurnStarted: (TurnEnded, "turn"),
        Suspected: ((Withdrawn, Confirmed), "suspicion"),
    }
    open_: dict[str, bool] = {}
    for event in events:
        for start, (ends, name) in pairs.items():
            if isinstance(event, start):
                assert not open_.get(name), (event, events)
                open_[name] = True
            elif isinstance(event, ends):
                assert open_.get(name), (event, events)
                open_[name] = False
        if isinstance(event, TurnEnded):
            assert 0 <= event.start < event.end <= at + 1e-6
    starts = [event.start for event in events if isinstance(event, TurnEnded)]
    ends = [event.end for event in events if isinstance(event, TurnEnded)]
    assert all(start >= end - 1e-6 for start, end in zip(starts[1:], ends[:-1], strict=True))


def test_a_turn_is_opened_by_hand_once_and_interrupts_the_bot() -> None:
    machine = TurnMachine()
    assert machine.open(1.0) == (SpeechStarted(1.0), TurnStarted(1.0))
    assert machine.open(2.0) == ()
    assert machine.end(3.0, "released") == (SpeechEnded(3.0), TurnEnded(1.0, 3.0, "released"))
    assert machine.open(4.0, barge_in=True) == (Confirmed(4.0), SpeechStarted(4.0), TurnStarted(4.0))


def test_a_sound_begins_with_what_led_to_it_softly_and_not_before() -> None:
    machine = TurnMachine()
    play(machine, (QUIET, 50), (Frame(0.02), 10), (VOICE, 2))
    # Suspected at 1.24 s; the onset, 1.0 s, is where the voice became loud enough to count at all.
    assert machine.in_speech
    assert machine.beginning(1.0, 0.0) == pytest.approx(1.0)
    assert machine.beginning(1.0, 0.24) == pytest.approx(1.0)
    assert machine.beginning(1.0, 0.6) == pytest.approx(0.64)
    play(machine, (VOICE, 20), (QUIET, 60), at=1.24)
    assert not machine.in_speech
    assert machine.beginning(1.0, 0.6) == pytest.approx(1.0)


def test_nothing_led_softly_to_a_voice_in_what_was_taken_for_noise() -> None:
    machine = TurnMachine()
    knocks = [(VOICE, 3), (QUIET, 20)] * 4
    play(machine, *knocks, bot=True)
    begun = play(machine, (VOICE, 4), (QUIET, 13), (VOICE, 30), bot=True, at=4 * 23 * 0.02)
    (onset,) = [event.at for event in begun if isinstance(event, TurnStarted)]
    assert machine.beginning(onset, 0.6) == pytest.approx(onset)
