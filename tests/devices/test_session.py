"""A bot at a microphone and a loudspeaker, whose library is stood in for and whose threads are real."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fishjam_agents import AgentPipeline, HearingSettings, TurnSettings
from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends import Parrot
from fishjam_agents.devices import DeviceSession, WavDevice
from fishjam_agents.devices import session as session_module
from fishjam_agents.devices.portaudio import PortAudioDevice
from fishjam_agents.errors import AudioError, DeviceError
from fishjam_agents.events import Event
from tests.devices.fake_sounddevice import FakeSoundDevice
from tests.devices.likeness import likeness

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
RATE = 16000


def recorded(name: str, rate: int) -> Samples:
    clip = read_wav(FIXTURES / name)
    return resample(clip.mono(), clip.sample_rate, rate)


class Call:
    """A bot in a call with the hardware of a fake library."""

    def __init__(self, library: FakeSoundDevice, bot: AgentPipeline) -> None:
        self.library = library
        self.bot = bot
        self.events: list[Event] = []
        self.session: DeviceSession
        self.device: PortAudioDevice
        self.task: asyncio.Task[None]
        bot.observers.append(self.events.append)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.kind == kind]

    async def until(self, reached: Callable[[], bool], what: str = "") -> None:
        async with asyncio.timeout(20):
            while not reached():
                assert not self.task.done(), (what, self.kinds())
                await asyncio.sleep(0.01)

    async def event(self, kind: str, count: int = 1) -> Any:
        await self.until(lambda: len(self.of(kind)) >= count, kind)
        return self.of(kind)[count - 1]

    @property
    def played(self) -> Samples:
        return np.concatenate(self.library.hardware.played)


@asynccontextmanager
async def calling(
    monkeypatch: pytest.MonkeyPatch, library: FakeSoundDevice, bot: AgentPipeline | None = None
) -> AsyncIterator[Call]:
    monkeypatch.setitem(sys.modules, "sounddevice", library)
    call = Call(library, bot or Repeater())
    call.device = PortAudioDevice()
    async with DeviceSession(call.device, RATE) as call.session:
        call.task = asyncio.create_task(
            call.bot.run(call.session, input_format=AudioFormat(RATE), room=call.session)
        )
        try:
            yield call
        finally:
            call.bot.stop()
            await asyncio.gather(call.task, return_exceptions=True)
    assert all(stream.closed for stream in library.streams)


class Repeater(AgentPipeline):
    backend = Parrot()


@pytest.mark.parametrize(
    ("input_rate", "output_rate", "mono"), [(48000, 44100, True), (16000, 48000, False), (44100, 24000, True)]
)
def test_the_bot_hears_the_microphone_and_speaks_on_the_loudspeaker(
    monkeypatch: pytest.MonkeyPatch, input_rate: int, output_rate: int, mono: bool
) -> None:
    async def scenario() -> None:
        library = FakeSoundDevice(input_rate, output_rate, mono=mono)
        library.hardware.sound = recorded("alice_yes.wav", input_rate)
        async with calling(monkeypatch, library) as call:
            ended = await call.event("reply_ended")
            assert {stream.channels for stream in library.streams} == ({1} if mono else {2})
            spoken = recorded("alice_yes.wav", RATE)
            loud = np.flatnonzero(np.abs(spoken) > 500)
            played = resample(call.played, output_rate, RATE)
            assert likeness(spoken[loud[0] : loud[-1]], played) > 0.8
            assert ended.heard.seconds >= (loud[-1] - loud[0]) / RATE
            assert call.session.microphone.dropped == 0

    asyncio.run(scenario())


def test_an_interrupt_leaves_the_chunk_in_play_and_a_fade(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        library = FakeSoundDevice()
        async with calling(monkeypatch, library) as call:
            await call.event("peer_joined")
            # Loud and without silences: what is cut can be seen.
            tone = (8000 * np.sin(np.arange(5 * 24000) * 0.2)).astype(np.int16)
            speech = call.bot.play(tone, 24000)
            await call.event("reply_first_audio")
            await call.until(lambda: bool(call.played.any()))
            await asyncio.sleep(0.5)
            heard = call.bot.interrupt()
            after = len(call.played)
            assert heard is not None
            await asyncio.sleep(0.3)
            played = call.played
            last = int(np.flatnonzero(played)[-1])
            # 20 ms of a chunk, 10 ms of fade, and at most one block that was on its way.
            assert last - after <= 0.045 * library.output_rate
            assert abs(int(played[last])) < 200
            sounded = np.count_nonzero(played) / library.output_rate
            assert sounded == pytest.approx(heard.seconds + 0.01, abs=0.025)
            assert speech.done

    asyncio.run(scenario())


def test_what_is_said_again_after_an_interrupt_is_counted_from_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        library = FakeSoundDevice()
        async with calling(monkeypatch, library) as call:
            await call.event("peer_joined")
            tone = np.full(24000, 3000, np.int16)
            for count in range(1, 4):
                call.bot.play(tone, 24000)
                await call.event("reply_first_audio", count)
                await asyncio.sleep(0.2)
                call.bot.interrupt()
            call.bot.play(tone[:12000], 24000)
            ended = await call.event("reply_ended")
            assert ended.heard.seconds == pytest.approx(0.5, abs=0.002)

    asyncio.run(scenario())


def test_the_bots_own_voice_from_the_loudspeaker_does_not_interrupt_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        library = FakeSoundDevice(48000, 48000)
        library.hardware.echo, library.hardware.echo_delay = 0.3, 0.08
        async with calling(monkeypatch, library) as call:
            await call.event("peer_joined")
            call.bot.play(FIXTURES / "alice_long.wav")
            ended = await call.event("reply_ended")
            assert ended.heard.seconds == pytest.approx(4.79, abs=0.05)
            assert "barge_in_confirmed" not in call.kinds()
            assert "user_turn_ended" not in call.kinds()
            delay = call.bot.echo_delay
            # The hardware's and that of the blocks, less by how much later the loudspeaker was started.
            assert delay is not None
            assert 0.0 < delay <= 0.3

    asyncio.run(scenario())


def test_without_the_guard_its_own_voice_interrupts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unguarded(AgentPipeline):
        backend = Parrot()
        hearing = HearingSettings(echo="none")

    async def scenario() -> None:
        library = FakeSoundDevice(48000, 48000)
        library.hardware.echo, library.hardware.echo_delay = 0.3, 0.08
        async with calling(monkeypatch, library, Unguarded()) as call:
            await call.event("peer_joined")
            call.bot.play(FIXTURES / "alice_long.wav")
            await call.event("barge_in_confirmed")
            assert call.bot.echo_delay is None

    asyncio.run(scenario())


def test_a_muted_microphone_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        library = FakeSoundDevice()
        async with calling(monkeypatch, library) as call:
            await call.event("peer_joined")
            call.session.muted = True
            [person] = call.session.peers.values()
            assert person.tracks == {"microphone": {"type": "microphone", "paused": True}}
            library.hardware.sound = recorded("alice_yes.wav", 48000)
            library.hardware.heard = 0
            await call.until(lambda: library.hardware.heard > 2 * 48000)
            assert call.session.microphone.level == -100.0
            assert "user_started_speaking" not in call.kinds()
            call.session.muted = False
            library.hardware.heard = 0
            await call.event("user_started_speaking")

    asyncio.run(scenario())


def test_a_button_opens_and_ends_turns_where_the_bot_wants_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class ByButton(AgentPipeline):
        backend = Parrot()
        turns = TurnSettings(mode="push_to_talk")

    async def scenario() -> None:
        library = FakeSoundDevice()
        library.hardware.sound = recorded("alice_long.wav", 48000)
        async with calling(monkeypatch, library, ByButton()) as call:
            await call.event("peer_joined")
            await asyncio.sleep(0.5)
            assert "user_started_speaking" not in call.kinds()
            call.session.talking = True
            await call.event("user_started_speaking")
            await asyncio.sleep(0.5)
            call.session.talking = False
            turn = await call.event("user_turn_ended")
            assert turn.reason == "released"
            await call.event("reply_ended")

    asyncio.run(scenario())


@pytest.mark.parametrize("fast", [0.05, -0.05])
def test_clocks_that_differ_make_nothing_grow(monkeypatch: pytest.MonkeyPatch, fast: float) -> None:
    """5 %, five hundred times what devices differ by."""

    async def scenario() -> None:
        library = FakeSoundDevice()
        library.hardware.fast = fast
        library.hardware.sound = recorded("interrupter.wav", 48000)[: 9 * 48000]
        async with calling(monkeypatch, library) as call:
            await call.event("peer_joined")
            turn = await call.event("user_turn_ended")
            # Media time is call time: a clock that is 5 % off would be 0.35 s off by now.
            spoken = turn.media_at - 7.12 / (1 + fast)
            assert abs(spoken) < 0.3
            assert call.session.microphone.dropped == 0
            await call.event("reply_first_audio")
            for _ in range(20):
                await asyncio.sleep(0.05)
                # The lead of the playout and a chunk.
                assert call.session.waiting <= 0.45
            await call.event("reply_ended")

    asyncio.run(scenario())


def test_a_loop_that_is_held_up_loses_no_more_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        library = FakeSoundDevice()
        async with calling(monkeypatch, library) as call:
            await call.event("peer_joined")
            await call.until(lambda: call.session.microphone.seconds > 0.1)
            before = library.hardware.heard
            time.sleep(1.6)  # noqa: ASYNC251 - this is what is tested
            await asyncio.sleep(0.1)
            heard = (library.hardware.heard - before) / 48000
            dropped = call.session.microphone.dropped
            assert dropped == pytest.approx(heard - 1.0, abs=0.2)
            await call.until(lambda: call.session.microphone.seconds > 0.5)

    asyncio.run(scenario())


def test_a_plug_that_is_pulled_ends_the_call_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        library = FakeSoundDevice()
        async with calling(monkeypatch, library) as call:
            await call.event("peer_joined")
            library.hardware.pulled.set()
            with pytest.raises(DeviceError, match=r"^the \w+ 'Built-in \w+' is gone: plug it in again"):
                await asyncio.wait_for(asyncio.shield(call.task), 10)
            assert call.of("call_ended")[0].reason == "error"

    asyncio.run(scenario())


def test_a_device_that_stands_still_counts_as_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        library = FakeSoundDevice()
        async with calling(monkeypatch, library) as call:
            await call.event("peer_joined")
            call.bot.play(np.full(5 * 24000, 3000, np.int16), 24000)
            await call.event("reply_first_audio")
            library.hardware.hung.set()
            with pytest.raises(
                DeviceError, match="'Built-in Microphone' gives no sound any more: plug it in"
            ):
                await asyncio.wait_for(asyncio.shield(call.task), 10)
            # What a loudspeaker does not take does not pile up.
            assert call.session.waiting <= 0.45

    monkeypatch.setattr(session_module, "GONE", 1.5)
    asyncio.run(scenario())


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    async def call() -> None:
        device = WavDevice(read_wav(FIXTURES / "rate_16000.wav"), tmp_path / "gone" / "b.wav")
        async with DeviceSession(device, RATE):
            await asyncio.sleep(0.1)

    with pytest.raises(AudioError, match=r"cannot write .*b\.wav"):
        asyncio.run(call())


def test_a_session_without_listen_gives_the_same_frames() -> None:
    async def scenario() -> None:
        clip = read_wav(FIXTURES / "rate_44100.wav")
        async with DeviceSession(WavDevice(clip), RATE) as session:
            frames = []
            async for frame in session.receive():
                frames.append(np.frombuffer(frame.data, np.int16))
                if len(frames) == 50:
                    session.close()
        assert {len(frame) for frame in frames} == {RATE // 50}
        spoken = resample(clip.mono(), 44100, RATE)
        assert likeness(spoken[round(0.3 * RATE) : round(0.8 * RATE)], np.concatenate(frames)) > 0.8

    asyncio.run(scenario())


def test_times_at_which_the_device_was_late_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        library = FakeSoundDevice()
        async with calling(monkeypatch, library) as call:
            await call.event("peer_joined")
            library.hardware.flags = 0x2 | 0x4
            counters = call.device.counters
            await call.until(lambda: counters.overflows > 1 and counters.underflows > 1)

    asyncio.run(scenario())
