"""Scenarios as calls: in memory, and the same ones over sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.backends.port import Backend, BackendContext, Capabilities, InlineSession
from fishjam_agents.backends.wav import Wav
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.simulation import Missed, SimulationResult, prepare, simulate, simulate_fast
from fishjam_agents.testing.comparison import difference
from fishjam_agents.testing.expectations import judge
from fishjam_agents.testing.scenario import Caller, Echo, Line, Mute, Noise, Scenario

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
RATE = 16000
YES, LONG, QUESTION = (FIXTURES / f"alice_{name}.wav" for name in ("yes", "long", "question"))


def bot(backend: Backend | None = None) -> AgentPipeline:
    pipeline = AgentPipeline()
    pipeline.backend = backend or Parrot()
    return pipeline


def play(ann: Caller, seconds: float | None = None, **others: Caller) -> SimulationResult:
    return simulate_fast(bot(), Scenario({"ann": ann, **others}, seconds=seconds))


def events(result: SimulationResult, kind: str) -> list[dict[str, Any]]:
    return [event for event in result.timeline["events"] if event["kind"] == kind]


def sounds(result: SimulationResult) -> tuple[float, float]:
    """When the callers' first and last sound was, seconds."""
    sounding = np.flatnonzero(result.room[:, 0])
    return sounding[0] / RATE, (sounding[-1] + 1) / RATE


def test_lines_without_a_moment_are_said_one_after_the_other() -> None:
    yes = read_wav(YES).samples
    result = play(Caller((Line(YES), Line(YES, at="3"), Line(YES))), seconds=6)
    for at in (0, 3 * RATE, 3 * RATE + len(yes)):
        assert np.array_equal(result.room[at : at + 16000, 0], yes[:16000])
    assert result.missed == []


def test_a_line_begins_so_long_after_an_event_as_it_says() -> None:
    tone = Line(YES, at="300 ms after reply_first_audio", start=0.5, end=0.7)
    result = play(Caller((Line(YES), tone)))
    (first_audio, *_) = events(result, "reply_first_audio")
    heard = result.room[round(1.5 * RATE) :, 0]
    at = 1.5 + np.flatnonzero(heard)[0] / RATE
    assert at == pytest.approx(first_audio["at"] + 0.3, abs=0.02)


def test_who_joins_later_speaks_from_then_on_and_who_leaves_is_silent_from_then_on() -> None:
    result = play(Caller((Line(LONG),), joins="1", leaves="3"), seconds=5, bob=Caller())
    (_, joined) = sorted(events(result, "peer_joined"), key=lambda event: event["at"])
    assert joined["peer"] == "ann"
    assert joined["at"] == pytest.approx(1.0, abs=0.04)
    first, last = sounds(result)
    assert first == pytest.approx(1.4, abs=0.06)
    assert last == pytest.approx(3.0, abs=0.04)
    assert events(result, "peer_left")[0]["at"] == pytest.approx(3.0, abs=0.04)
    (turn,) = events(result, "user_turn_ended")
    assert (turn["peer"], turn["reason"]) == ("ann", "left")


def test_a_muted_microphone_sends_no_packets_until_it_is_open_again() -> None:
    result = play(Caller((Line(LONG),), mutes=(Mute("1.5"),)), seconds=4)
    assert [turn["reason"] for turn in events(result, "user_turn_ended")] == ["missing"]
    assert sounds(result)[1] == pytest.approx(1.5, abs=0.04)
    result = play(Caller((Line(LONG),), mutes=(Mute("1.5", 0.4),)), seconds=5)
    assert [turn["reason"] for turn in events(result, "user_turn_ended")] == ["silence"]
    assert not result.room[round(1.54 * RATE) : round(1.88 * RATE), 0].any()
    assert result.room[round(1.92 * RATE) :, 0].any()


def test_noise_is_there_all_through() -> None:
    result = play(Caller(noise=Noise(kind="pink", level=-50)), seconds=2)
    assert all(window.any() for window in result.room[:, 0].reshape(100, -1))


def test_the_bots_voice_comes_back_as_late_as_the_echo_says() -> None:
    pipeline = bot(Wav(FIXTURES / "babble.wav"))
    pipeline.hearing = HearingSettings(echo="none")
    scenario = Scenario({"ann": Caller((Line(YES),), echo=Echo(-20, 0.2))}, seconds=4)
    result = simulate_fast(pipeline, scenario)
    words, voice = result.room[round(2.2 * RATE) :].astype(float).T
    lags = np.correlate(words, voice[: RATE // 2], "valid")
    assert lags.argmax() / RATE == pytest.approx(0.2, abs=0.005)


def test_what_did_not_take_place_is_told() -> None:
    lines = (Line(YES), Line(YES, at="1 s after reply_ended 2"))
    gone = Caller((Line(YES, at="2"), Line(YES)), leaves="1")
    result = play(Caller(lines, leaves="9"), seconds=5, bob=gone)
    assert result.missed == [
        Missed("callers.bob.lines[0]", "its caller was not in the room"),
        Missed("callers.ann.lines[1]", "reply_ended 2 never came"),
        Missed("callers.ann.leaves", "the call was over before 9.00 s"),
    ]


def test_a_call_in_memory_is_the_same_each_time() -> None:
    scenario = Scenario(
        {"ann": Caller((Line(LONG), Line(YES, at="1 s after reply_first_audio")))}, jitter=0.03
    )
    one, other = simulate_fast(bot(), scenario), simulate_fast(bot(), scenario)
    assert json.dumps(one.timeline) == json.dumps(other.timeline)
    assert np.array_equal(one.room, other.room)


@dataclass(frozen=True, slots=True)
class Distant(Backend):
    """Would ask a server."""

    capabilities = Capabilities()

    @asynccontextmanager
    async def connect(self, conversation: BackendContext) -> AsyncIterator[InlineSession]:
        raise AssertionError("nobody connects in memory")
        yield


class Networker(AgentPipeline):
    backend = Parrot()

    async def on_start(self) -> None:
        await asyncio.open_connection("127.0.0.1", 9)


class Late(Parrot):
    """Its model needs eight seconds to be there."""

    @asynccontextmanager
    async def connect(self, conversation: BackendContext) -> AsyncIterator[InlineSession]:
        await asyncio.sleep(8)
        async with Parrot.connect(self, conversation) as session:
            yield session


def test_a_call_is_not_over_before_the_model_is_there() -> None:
    result = simulate_fast(bot(Late()), Scenario({"ann": Caller((Line(YES),))}))
    (ended,) = events(result, "reply_ended")
    assert ended["at"] > 8
    assert result.seconds == pytest.approx(ended["at"] + 3, abs=0.5)


def test_what_needs_more_than_this_process_is_refused_in_memory_with_a_sentence() -> None:
    scenario = Scenario({"ann": Caller((Line(YES),))}, seconds=1)
    with pytest.raises(FishjamAgentsError, match=r"Distant is not in this process .*: run .* without --fast"):
        simulate_fast(bot(Distant()), scenario)


def test_a_call_goes_alike_in_memory_and_over_sockets() -> None:
    ann = Caller(
        (Line(YES), Line(FIXTURES / "cougher.wav", start=6.2, end=6.7, at="300 ms after reply_started"))
    )
    cast = [
        prepare(Scenario({"ann": ann}, seconds=4)),
        prepare(Scenario({"ann": Caller((Line(LONG),), mutes=(Mute("1.5"),))}, seconds=5)),
        prepare(Scenario({"ann": ann, "bob": Caller((Line(YES),), joins="2")}, seconds=5)),
    ]
    backend = Parrot(at_least=2)

    async def together() -> list[SimulationResult]:
        return await asyncio.gather(*(simulate(bot(backend), callers) for callers in cast))

    real = asyncio.run(together())
    if any(call.lagged for call in real):
        # What comes late may come in another order, and that is not the call's doing.
        real = asyncio.run(together())
    if any(call.lagged for call in real):
        pytest.skip(f"this machine was up to {max(call.lag for call in real) * 1000:.0f} ms late")
    for call, callers in zip(real, cast, strict=True):
        fast = simulate_fast(bot(backend), callers)
        assert difference(call.timeline["events"], fast.timeline["events"]) is None
        assert len(call.timeline["events"]) > 6


def test_a_hook_that_needs_a_socket_is_told_why_it_cannot_have_one_in_memory() -> None:
    scenario = Scenario({"ann": Caller((Line(YES),))}, seconds=1)
    (verdict,) = judge(scenario.expect, simulate_fast(Networker(), scenario).timeline["events"])
    assert not verdict.met
    assert "real sockets and processes do not know virtual time" in verdict.came
