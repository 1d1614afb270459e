"""Callers, agent tracks, fan-out and recordings of a room, in virtual time and without sockets."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fishjam_agents.audio.wav import Clip
from fishjam_agents.protocol import Track, TrackData, decode_agent_response
from fishjam_agents.server.callers import Caller
from fishjam_agents.server.media.clock import RoomClock
from fishjam_agents.server.media.sources import AgentTrack
from fishjam_agents.server.peer import Peer
from fishjam_agents.server.room import Room
from fishjam_agents.server.rooms import Rooms
from fishjam_agents.server.settings import PeerConfig
from fishjam_agents.session import PeerType
from fishjam_agents.testing.clock import VirtualClock


class Ear:
    """An agent's connection without a socket: what it hears, message by message."""

    def __init__(self) -> None:
        self.heard: list[TrackData] = []

    def hear(self, frames: bytes, count: int) -> None:
        for _ in range(count):
            assert frames[0] == 0x82
            size, start = frames[1], 2
            if size == 126:
                size, start = int.from_bytes(frames[2:4], "big"), 4
            message = decode_agent_response(frames[start : start + size])
            assert isinstance(message, TrackData)
            self.heard.append(message)
            frames = frames[start + size :]
        assert not frames

    def detach(self, code: int, reason: str) -> None:
        pass

    def audio(self, peer: str) -> NDArray[np.int16]:
        return np.frombuffer(b"".join(item.data for item in self.heard if item.peer_id == peer), "<i2")


class Stage:
    """A room on a running clock."""

    def __init__(self) -> None:
        self.rooms = Rooms()
        self.room: Room = self.rooms.create()
        self.clock = RoomClock()
        self.clock.subscribe(self.rooms.tick)

    def caller(self) -> Caller:
        caller = Caller(self.room, self.room.add_peer(PeerConfig(PeerType.WEBRTC)), self.clock)
        caller.join()
        return caller

    def agent(self, rate: int = 16000, *, manual: bool = False) -> tuple[Peer, Ear]:
        peer, ear = self.room.add_peer(PeerConfig(PeerType.AGENT, {}, manual, rate)), Ear()
        self.room.connect(peer, ear, ear)
        return peer, ear

    def voice(self, peer: Peer, rate: int = 16000, name: str = "voice") -> AgentTrack:
        track = AgentTrack(Track(name, 2, "null"), rate)
        self.room.add_track(peer, track)
        return track


def play(scenario: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        stage = Stage()
        stage.clock.start()
        await scenario(stage)
        stage.clock.stop()

    VirtualClock(limit=1000).run(run())


def tone(rate: int, seconds: float = 1.0, hz: float = 300.0, level: int = 8000) -> NDArray[np.int16]:
    return np.rint(np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate) * level).astype(np.int16)


def test_a_clip_is_heard_sample_for_sample_from_its_tick_on() -> None:
    async def scenario(stage: Stage) -> None:
        _, ear = stage.agent()
        caller = stage.caller()
        clip = Clip(np.arange(1, 16001, dtype=np.int16), 16000)
        assert caller.say(clip, at=0.5) == 0.5
        assert caller.speaks_until == 1.5
        await stage.clock.wait_until(2.0)
        expected = np.zeros(32000, np.int16)
        expected[8000:24000] = clip.samples
        assert np.array_equal(ear.audio(caller.id), expected)
        assert {len(item.data) for item in ear.heard} == {640}

    play(scenario)


def test_any_rate_and_stereo_are_brought_to_the_rate_each_agent_asked_for() -> None:
    async def scenario(stage: Stage) -> None:
        _, low = stage.agent(16000)
        _, high = stage.agent(24000)
        caller = stage.caller()
        sound = tone(44100)
        caller.say(Clip(np.stack([sound, sound], axis=1), 44100), at=0.0)
        await stage.clock.wait_until(1.0)
        for ear, rate in ((low, 16000), (high, 24000)):
            heard = ear.audio(caller.id)
            assert len(heard) == rate
            assert np.abs(heard - tone(rate).astype(int))[500:-500].max() < 40

    play(scenario)


def test_an_open_microphone_sends_silence_and_a_muted_one_nothing() -> None:
    async def scenario(stage: Stage) -> None:
        _, ear = stage.agent()
        caller = stage.caller()
        await stage.clock.wait_until(0.2)
        assert len(ear.heard) == 10
        assert not ear.audio(caller.id).any()
        caller.mute()
        await stage.clock.wait_until(0.4)
        assert len(ear.heard) == 10
        assert '"paused": true' in caller.microphone.track.metadata
        caller.unmute()
        await stage.clock.wait_until(0.6)
        assert len(ear.heard) == 20
        assert ear.heard[-1].track.metadata == caller.microphone.track.metadata

    play(scenario)


def test_a_line_cuts_off_the_one_before() -> None:
    async def scenario(stage: Stage) -> None:
        _, ear = stage.agent()
        caller = stage.caller()
        caller.say(Clip(np.full(16000, 1, np.int16), 16000), at=0.0)
        caller.say(Clip(np.full(3200, 2, np.int16), 16000), at=0.5)
        await stage.clock.wait_until(1.0)
        heard = ear.audio(caller.id)
        assert heard[:8000].tolist() == [1] * 8000
        assert heard[8000:11200].tolist() == [2] * 3200
        assert not heard[11200:].any()

    play(scenario)


def test_live_audio_is_spoken_as_it_is_fed() -> None:
    async def scenario(stage: Stage) -> None:
        _, ear = stage.agent()
        caller = stage.caller()
        caller.feed(np.full(500, 3, np.int16), 16000)
        caller.feed(np.full(140, 4, np.int16), 16000)
        await stage.clock.wait_until(0.06)
        assert ear.audio(caller.id).tolist() == [3] * 500 + [4] * 140 + [0] * 320

    play(scenario)


def test_live_audio_nobody_takes_is_bounded() -> None:
    async def scenario(stage: Stage) -> None:
        caller = stage.caller()
        for _ in range(12):
            caller.feed(np.zeros(16000, np.int16), 16000)
        assert caller.microphone.live_dropped == 2.0

    play(scenario)


def test_nobody_hears_themselves() -> None:
    async def scenario(stage: Stage) -> None:
        one, one_ear = stage.agent()
        two, two_ear = stage.agent(24000)
        caller = stage.caller()
        stage.voice(one).playout.write(tone(16000, 0.2).tobytes(), stage.clock.now)
        await stage.clock.wait_until(0.2)
        assert {item.peer_id for item in one_ear.heard} == {caller.id}
        assert {item.peer_id for item in two_ear.heard} == {caller.id, one.id}
        assert len(two_ear.audio(one.id)) == 4800
        assert two.sources == {}

    play(scenario)


def test_a_manual_agent_hears_what_it_is_subscribed_to() -> None:
    async def scenario(stage: Stage) -> None:
        peer, ear = stage.agent(manual=True)
        first, second, third = stage.caller(), stage.caller(), stage.caller()
        await stage.clock.wait_until(0.1)
        assert ear.heard == []
        stage.room.subscribe(peer, peer_id=first.id)
        stage.room.subscribe(peer, track_ids=(second.microphone.track.id,))
        await stage.clock.wait_until(0.2)
        assert {item.peer_id for item in ear.heard} == {first.id, second.id}
        assert third.joined

    play(scenario)


def test_an_agent_that_starts_between_ticks_is_heard_in_whole_packets() -> None:
    async def scenario(stage: Stage) -> None:
        speaker, _ = stage.agent()
        _, ear = stage.agent()
        voice = stage.voice(speaker)
        voice.playout.write(np.arange(1, 801, dtype="<i2").tobytes(), 0.007)
        await stage.clock.wait_until(0.5)
        heard = ear.audio(speaker.id)
        assert len(heard) == 960
        assert np.array_equal(heard[:800], np.arange(1, 801))
        assert not heard[800:].any()

    play(scenario)


def test_a_removed_track_plays_to_its_end() -> None:
    async def scenario(stage: Stage) -> None:
        speaker, _ = stage.agent()
        voice = stage.voice(speaker)
        voice.playout.write(bytes(16000), 0.0)
        voice.removing = True
        await stage.clock.wait_until(0.48)
        assert list(speaker.sources) == ["voice"]
        await stage.clock.wait_until(0.52)
        assert not speaker.sources

    play(scenario)


def test_a_recording_holds_what_the_caller_heard_where_it_was_played() -> None:
    async def scenario(stage: Stage) -> None:
        agent, _ = stage.agent()
        caller, other = stage.caller(), stage.caller()
        voice = stage.voice(agent)
        await stage.clock.wait_until(1.0)
        recorder = stage.room.record(stage.clock.position, [caller.id])
        caller.say(Clip(np.full(1600, 100, np.int16), 16000), at=1.0)
        other.say(Clip(np.full(1600, 10, np.int16), 16000), at=1.5)
        voice.playout.write(np.full(3200, 1, "<i2").tobytes(), 1.507)
        await stage.clock.wait_until(1.76)
        # 53 ms after the end of the queue: the timeline goes on.
        voice.playout.write(np.full(1600, 2, "<i2").tobytes(), 1.76)
        await stage.clock.wait_until(3.0)
        recording = recorder.stop(stage.clock.position)
        assert recording.seconds == 2.0
        first, second, bot = (np.zeros(32000, np.int16) for _ in range(3))
        first[:1600] = 100
        second[8000:9600] = 10
        bot[8112:11312] = 1
        bot[11312:12912] = 2
        assert np.array_equal(recording.heard(caller.id), second + bot)
        assert np.array_equal(recording.room, np.stack([first + second, bot], axis=1))

    play(scenario)


def test_a_recording_saturates_and_resamples_the_bot() -> None:
    async def scenario(stage: Stage) -> None:
        agent, _ = stage.agent()
        callers = [stage.caller(), stage.caller()]
        recorder = stage.room.record(0.0)
        for caller in callers:
            caller.say(Clip(np.full(16000, 30000, np.int16), 16000), at=0.0)
        stage.voice(agent, 24000).playout.write(tone(24000, 1.0).tobytes(), 0.0)
        await stage.clock.wait_until(1.0)
        recording = recorder.stop(1.0)
        assert recording.room[:, 0].max() == 32767
        assert np.abs(recording.room[:, 1] - tone(16000).astype(int))[500:-500].max() < 40

    play(scenario)


def test_a_caller_leaves_in_mid_word_and_comes_back_under_a_new_track() -> None:
    async def scenario(stage: Stage) -> None:
        _, ear = stage.agent()
        caller = stage.caller()
        caller.say(Clip(np.full(16000, 5, np.int16), 16000), at=0.0)
        await stage.clock.wait_until(0.1)
        before = caller.microphone.track.id
        caller.leave()
        await stage.clock.wait_until(0.3)
        assert len(ear.heard) == 5
        assert not caller.joined
        caller.join()
        assert caller.microphone.track.id != before
        await stage.clock.wait_until(0.4)
        assert len(ear.heard) == 10
        assert not ear.heard[-1].data.strip(b"\0")

    play(scenario)
