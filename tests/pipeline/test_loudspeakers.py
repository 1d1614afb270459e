"""Loudspeakers come and go in mid-call, are louder or later at once, and there may be several of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fishjam_agents.audio.wav import write_wav
from fishjam_agents.backends.wav import Wav
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.playout.settings import AmbientSettings, BackgroundAudioSettings
from fishjam_agents.simulation import simulate_fast
from fishjam_agents.testing.scenario import Caller, Echo, EchoChange, Line, Noise, Scenario
from tests.pipeline.conftest import FIXTURES, speech

ROOM = Noise("pink", level=-65.0)
HELLO = Line(FIXTURES / "alice_yes.wav", at="0.5")
REPLY = 13.0


@pytest.fixture(scope="module")
def reply(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A long reply."""
    path = tmp_path_factory.mktemp("reply") / "reply.wav"
    names = ("bob_long.wav", "bob_numbers.wav", "alice_long.wav", "bob_question.wav")
    voice = np.concatenate([speech(name) for name in names] * 2)
    write_wav(path, voice[: round(REPLY * 16000)], 16000)
    return path


def play(
    reply: Path, callers: dict[str, Caller], mode: str = "active_speaker", **settings: Any
) -> list[dict[str, Any]]:
    bot = AgentPipeline()
    bot.backend = Wav(file=reply)
    bot.hearing = HearingSettings(mode=mode)  # type: ignore[arg-type]
    for name, value in settings.items():
        setattr(bot, name, value)
    events: list[dict[str, Any]] = simulate_fast(bot, Scenario(callers, seconds=20)).timeline["events"]
    return events


def pauses(events: list[dict[str, Any]]) -> int:
    """How often the bot paused for itself in a reply that it gave to its end, once."""
    counts = Counter(event["kind"] for event in events)
    assert counts["barge_in_confirmed"] == counts["reply_interrupted"] == 0
    assert counts["user_turn_ended"] == counts["reply_started"] == counts["reply_ended"] == 1
    (ended,) = (event for event in events if event["kind"] == "reply_ended")
    assert ended["heard"]["seconds"] == pytest.approx(REPLY, abs=0.05)
    return counts["barge_in_suspected"]


@pytest.mark.parametrize("level", [-6.0, -12.0, -20.0])
@pytest.mark.parametrize("delay", [0.05, 0.16, 0.34, 0.4])
@pytest.mark.parametrize("at", ["3 s after reply_first_audio", "7.3 s after reply_first_audio"])
def test_who_takes_off_the_headset_makes_the_bot_pause_once_at_most(
    reply: Path, level: float, delay: float, at: str
) -> None:
    ann = Caller((HELLO,), noise=ROOM, echo=Echo(level, delay, at))
    assert pauses(play(reply, {"ann": ann})) <= 1


@pytest.mark.parametrize("level", [-3.0, 0.0])
def test_an_echo_as_loud_as_the_bot_takes_one_pause_more(reply: Path, level: float) -> None:
    ann = Caller((HELLO,), noise=ROOM, echo=Echo(level, 0.16, "3 s after reply_first_audio"))
    assert pauses(play(reply, {"ann": ann})) <= 2


@pytest.mark.parametrize("delays", [(0.16, 0.34), (0.34, 0.16), (0.06, 0.3), (0.2, 0.26)])
@pytest.mark.parametrize("level", [-6.0, -20.0])
def test_an_echo_that_jumps_makes_the_bot_pause_once_at_most(
    reply: Path, delays: tuple[float, float], level: float
) -> None:
    jump = EchoChange("5 s after reply_first_audio", delay=delays[1])
    ann = Caller((HELLO,), noise=ROOM, echo=Echo(level, delays[0], changes=(jump,)))
    assert pauses(play(reply, {"ann": ann})) <= 1


def test_an_echo_that_jumps_again_and_again_costs_one_pause_each(reply: Path) -> None:
    moves = [(2, 0.3), (5, 0.08), (8, 0.25)]
    changes = tuple(EchoChange(f"{at} s after reply_first_audio", delay=delay) for at, delay in moves)
    ann = Caller((HELLO,), noise=ROOM, echo=Echo(-12.0, 0.15, changes=changes))
    assert pauses(play(reply, {"ann": ann})) <= len(moves)


@pytest.mark.parametrize("levels", [(-20.0, -6.0), (-100.0, -6.0), (-30.0, -12.0), (-6.0, -20.0)])
def test_an_echo_that_becomes_louder_makes_the_bot_pause_once_at_most(
    reply: Path, levels: tuple[float, float]
) -> None:
    change = EchoChange("5 s after reply_first_audio", level=levels[1])
    ann = Caller((HELLO,), noise=ROOM, echo=Echo(levels[0], 0.15, changes=(change,)))
    assert pauses(play(reply, {"ann": ann})) <= 1


@pytest.mark.parametrize("level", [-55.0, -45.0, -35.0])
def test_a_background_before_the_reply_does_not_disarm_the_guard(
    reply: Path, tmp_path: Path, level: float
) -> None:
    hiss = tmp_path / "hiss.wav"
    write_wav(hiss, (np.random.default_rng(1).standard_normal(160000) * 1000).astype(np.int16), 16000)
    ann = Caller((Line(FIXTURES / "alice_yes.wav", at="4"),), noise=ROOM, echo=Echo(-12.0, 0.15))
    background = BackgroundAudioSettings(ambient=AmbientSettings(wav=hiss, level=level))
    assert pauses(play(reply, {"ann": ann}, voice=background)) == 0


@pytest.mark.parametrize(
    "others",
    [
        [Echo(-9.0, 0.35), Echo(-15.0, 0.1)],
        [Echo(-6.0, 0.16)],
        [None],
        [Echo(-12.0, 0.05), None, Echo(-20.0, 0.25), Echo(-9.0, 0.2)],
    ],
)
@pytest.mark.parametrize("mode", ["mix", "active_speaker", "per_peer"])
def test_several_loudspeakers_with_delays_of_their_own(
    reply: Path, others: list[Echo | None], mode: str
) -> None:
    callers = {"ann": Caller((HELLO,), noise=ROOM, echo=Echo(-12.0, 0.15))}
    for number, echo in enumerate(others):
        callers[f"caller-{number}"] = Caller(noise=ROOM, echo=echo)
    assert pauses(play(reply, callers, mode)) == 0


@pytest.mark.parametrize("mode", ["mix", "active_speaker"])
def test_a_second_loudspeaker_that_is_switched_on_makes_the_bot_pause_once_at_most(
    reply: Path, mode: str
) -> None:
    callers = {
        "ann": Caller((HELLO,), noise=ROOM, echo=Echo(-12.0, 0.15)),
        "bob": Caller(noise=ROOM, echo=Echo(-9.0, 0.3, "4 s after reply_first_audio")),
    }
    assert pauses(play(reply, callers, mode)) <= 1


@pytest.mark.parametrize("mode", ["mix", "active_speaker"])
def test_who_has_a_headset_beside_a_loudspeaker_interrupts(reply: Path, mode: str) -> None:
    question = Line(FIXTURES / "bob_question.wav", at="4 s after reply_first_audio")
    callers = {
        "ann": Caller((HELLO,), noise=ROOM, echo=Echo(-20.0, 0.15)),
        "bob": Caller((question,), noise=ROOM),
    }
    events = play(reply, callers, mode)
    began = next(event["at"] for event in events if event["kind"] == "reply_first_audio")
    (confirmed, *_) = (event for event in events if event["kind"] == "barge_in_confirmed")
    assert confirmed["peer"] == "bob"
    assert confirmed["at"] - began - 4.0 < 1.5


@pytest.mark.parametrize("name", ["bob_question.wav", "alice_question.wav", "bob_numbers.wav"])
def test_who_speaks_over_the_bot_in_a_headset_teaches_the_guard_nothing(reply: Path, name: str) -> None:
    question = Line(FIXTURES / name, at="4.1 s after reply_first_audio")
    events = play(reply, {"ann": Caller((HELLO, question), noise=ROOM)})
    (suspected, *_) = (event for event in events if event["kind"] == "barge_in_suspected")
    (confirmed, *_) = (event for event in events if event["kind"] == "barge_in_confirmed")
    assert confirmed["at"] - suspected["at"] < 0.5
