"""A bot in a room of the embedded server, its model the emulated Vapi: the whole path on real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fishjam_agents_vapi import Vapi, control

from fishjam_agents import AgentPipeline
from fishjam_agents.audio.wav import Clip, read_wav
from fishjam_agents.errors import BackendError
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.simulation import SimulationResult, simulate
from fishjam_agents.turns.settings import TurnSettings

ALICE = Path(__file__).parents[3] / "audio_fixtures"
KEY = "vapi-private-key-1234"


class Receptionist(AgentPipeline):
    turns = TurnSettings(mode="backend")
    # These callers wear headphones: what they say during the bot's first words is no echo.
    hearing = HearingSettings(echo="none")

    def __init__(self, vapi: Any, **settings: Any) -> None:
        super().__init__()
        self.backend = Vapi(**{"assistant_id": "a", "api_key": KEY, "url": vapi.url, **settings})
        self.told: list[str] = []

    async def on_vendor_event(self, kind: str, message: Any) -> None:
        self.told.append(kind)


async def played(bot: AgentPipeline, recording: str = "alice_yes.wav", **options: Any) -> SimulationResult:
    return await simulate(bot, [read_wav(ALICE / recording)], **options)


@pytest.mark.parametrize("turn_mode", ["backend", "local"])
def test_a_caller_is_answered_whoever_owns_turns(turn_mode: Any, emulate: Any) -> None:
    async def scenario(vapi: Any) -> None:
        bot = Receptionist(vapi)
        bot.turns = TurnSettings(mode=turn_mode)
        result = await played(bot, seconds=2.4)
        assert result.failure is None
        assert result.kinds.count("reply_started") == 1
        assert "reply_first_audio" in result.kinds
        assert "user_transcript" in result.kinds
        assert np.abs(result.heard).max() > 3000
        assert {"transcript", "speech-update", "conversation-update"} <= set(bot.told)
        assert vapi.call.ended_reason == "manually-canceled"

    emulate(scenario)


def test_what_vapi_cuts_off_falls_silent_in_the_room(emulate: Any) -> None:
    yes = read_wav(ALICE / "alice_yes.wav")
    # Other words than the reply's, which are the caller's own: those would be taken for its echo.
    other = read_wav(ALICE / "bob_numbers.wav")
    over = Clip(np.concatenate([yes.mono(), other.mono()]), yes.sample_rate)

    async def scenario(vapi: Any) -> None:
        result = await simulate(Receptionist(vapi), [over], seconds=3.0)
        assert result.failure is None
        (cut,) = [event for event in result.timeline["events"] if event["kind"] == "reply_interrupted"]
        assert 0 < cut["heard"]["seconds"] < 2.5

    # Long enough to be spoken over on a machine that is slow.
    emulate(scenario, burst=True, at_least=2.5, quiet=0.5)


def test_the_call_ends_with_the_conversation_once_its_last_words_were_heard(emulate: Any) -> None:
    async def scenario(vapi: Any) -> None:
        class Goodbye(Receptionist):
            async def on_start(self) -> None:
                self.control(control.say("Goodbye.", end_call_after_spoken=True))

        result = await played(Goodbye(vapi), "silence.wav", seconds=1.0)
        assert result.failure is None
        assert "reply_interrupted" not in result.kinds
        (heard,) = [event["heard"] for event in result.timeline["events"] if event["kind"] == "reply_ended"]
        assert heard["seconds"] == pytest.approx(0.6, abs=0.02)
        assert heard["text"] == "Goodbye."
        (ended,) = [event for event in result.timeline["events"] if event["kind"] == "backend_ended"]
        assert ended["reason"] == "assistant-ended-call-after-message-spoken"

    emulate(scenario)


def test_a_new_call_takes_over_from_one_whose_socket_was_cut(emulate: Any) -> None:
    async def scenario(vapi: Any) -> None:
        bot = Receptionist(vapi, on_lost="new_call")
        task = asyncio.create_task(played(bot, seconds=2.6))
        while not vapi.calls:  # noqa: ASYNC110 - the emulator has no event for it
            await asyncio.sleep(0.01)
        vapi.behaviour.abort_after = None
        result = await task
        assert result.failure is None
        assert len(vapi.calls) == 2
        assert "reply_first_audio" in result.kinds
        (failure,) = [e for e in result.timeline["events"] if e["kind"] == "backend_failure"]
        assert failure["retryable"]
        assert failure["failure"] == "network"

    emulate(scenario, abort_after=0.2)


def test_a_call_that_vapi_breaks_off_ends_the_bot_with_a_sentence(emulate: Any) -> None:
    async def scenario(vapi: Any) -> None:
        result = await played(Receptionist(vapi), seconds=10.0)
        assert isinstance(result.failure, BackendError)
        assert result.failure.failure == "quota"
        assert "see the limits and the balance" in str(result.failure)
        assert KEY not in str(result.timeline)

    emulate(scenario, end_after=(0.3, "pipeline-error-openai-429-exceeded-quota"))


def test_vapi_hears_nothing_of_the_bot_control_where_it_takes_none() -> None:
    from fishjam_agents.backends import Parrot
    from fishjam_agents.testing import MemoryRoom, VirtualClock

    class Bot(AgentPipeline):
        backend = Parrot()

        async def on_start(self) -> None:
            with pytest.raises(BackendError, match="takes no messages of its vendor's own"):
                self.control(control.end_call())
            self.stop()

    async def call() -> None:
        async with MemoryRoom() as room:
            await Bot().run(room.session, room=room)

    VirtualClock().run(call())
