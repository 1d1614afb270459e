"""A media server that is not Fishjam: its own rates, marks and playout, all of it given by its session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fishjam_agents.backends import Parrot
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.playout.estimate import FishjamPlayoutEstimate
from fishjam_agents.playout.settings import PlayoutSettings
from fishjam_agents.session import MediaServer, OutgoingTrack
from fishjam_agents.testing import MemoryCall, MemoryRoom
from tests.pipeline.conftest import speech

BUFFER = 0.5


class BufferedPlayout(FishjamPlayoutEstimate):
    """A server that plays half a second late, and says so."""

    def played(self, now: float) -> int:
        return super().played(now - BUFFER)

    def interrupt(self, now: float) -> int:
        return super().interrupt(now - BUFFER)


class BufferedTrack:
    def __init__(self, track: OutgoingTrack, sample_rate: int) -> None:
        self.id = track.id
        self.send_chunk = track.send_chunk
        self.interrupt = track.interrupt
        self._rate = sample_rate

    def playout_estimate(self) -> BufferedPlayout:
        return BufferedPlayout(self._rate)


class OtherSession:
    def __init__(self, room: MemoryRoom, server: MediaServer) -> None:
        self.media_server = server
        self.capture_image = room.session.capture_image
        self.close = room.session.close
        self.tracks = room.session.tracks
        self.published: list[Any] = []
        self._session = room.session

    def receive(self) -> AsyncIterator[Any]:
        return self._session.receive()

    async def add_track(self, options: Any) -> OutgoingTrack:
        self.published.append(options)
        return BufferedTrack(await self._session.add_track(options), options.sample_rate)


def converse(server: MediaServer | None, bot: AgentPipeline) -> tuple[MemoryCall, Any]:
    """Ann interrupts the bot a second into its reply; without `server` in a session that names none."""

    async def script(call: MemoryCall) -> None:
        another_bot = call.room.join("another bot", metadata={"type": "microphone", "robot": "yes"})
        another_bot.say(speech("bob_long.wav"))
        (ann,) = await call.arrive("ann")
        await ann.speak(speech("alice_long.wav"))
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(1.0)
        ann.say(speech("alice_long.wav"))
        await call.wait_for("reply_interrupted")

    room = MemoryRoom()
    if server is not None:
        room.session = OtherSession(room, server)  # type: ignore[assignment]
    return MemoryCall(bot, room=room, view=False, trouble=True).play(script), room.session


class Bot(AgentPipeline):
    backend = Parrot()


OTHER = MediaServer(track_rates=(8000, 48000), agent_mark={"robot": "yes"})


def test_a_track_that_tells_what_was_played_is_believed() -> None:
    marked = MediaServer(track_rates=(16000, 24000), agent_mark={"robot": "yes"})
    call, _ = converse(marked, Bot())
    (cut,) = call.of("reply_interrupted")
    (begun,) = call.of("reply_first_audio")
    (doubt, *_) = call.of("barge_in_suspected")
    assert cut.heard.seconds == pytest.approx(doubt.at - begun.at - BUFFER, abs=0.1)


def test_a_bot_speaks_at_a_rate_of_its_server_and_under_its_mark() -> None:
    _, session = converse(OTHER, Bot())
    (options,) = session.published
    assert options.sample_rate == 48000
    assert options.metadata == {"type": "microphone", "robot": "yes"}


def test_the_rate_that_is_set_goes_before_the_rates_of_the_server() -> None:
    bot = Bot()
    bot.playout = PlayoutSettings(sample_rate=16000)
    _, session = converse(OTHER, bot)
    assert session.published[0].sample_rate == 16000


def test_bots_know_each_other_by_the_mark_of_their_server() -> None:
    call, _ = converse(OTHER, Bot())
    assert {event.peer for event in call.of("user_started_speaking")} == {"ann"}
    call, _ = converse(None, Bot())
    assert "another bot" in {event.peer for event in call.of("user_started_speaking")}
