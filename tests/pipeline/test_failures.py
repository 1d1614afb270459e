from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fishjam_agents import SpeechHandle
from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.backends import Parrot, Wav
from fishjam_agents.errors import AudioError, BackendError, FishjamAgentsError, SessionError
from fishjam_agents.events import Heard, Turn
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.protocol.messages import TrackData
from fishjam_agents.testing import MemoryCall, MemoryRoom, VirtualClock
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]


class Bot(AgentPipeline):
    backend = Parrot()


async def ask(call: MemoryCall) -> None:
    (alice,) = call.room.members.values() or await call.arrive("alice")
    await alice.speak(speech("alice_question.wav"))
    await call.wait_for("reply_ended")


@pytest.mark.parametrize("data", [b"", b"\x00", bytes(641), bytes(64000)], ids=["empty", "one", "odd", "2s"])
def test_damaged_audio_is_dropped_and_counted(converse: Converse, data: bytes) -> None:
    async def script(call: MemoryCall) -> None:
        alice = call.room.join("alice")
        for _ in range(3):
            call.room.session.deliver(TrackData("alice", alice.track, data))
        await asyncio.sleep(0.5)
        await ask(call)

    call = converse(Bot(), script)
    (error,) = call.of("error")
    assert error.peer == "alice"
    assert str(len(data)) in error.message
    assert call.of("reply_ended")


def test_a_hook_that_raises_is_reported_and_ends_nothing(converse: Converse) -> None:
    class Clumsy(Bot):
        failed: Exception

        async def on_turn(self, turn: Turn) -> None:
            raise ZeroDivisionError("oops")

        async def on_error(self, error: Exception) -> None:
            self.failed = error

    bot = Clumsy()
    call = converse(bot, ask)
    (error,) = call.of("error")
    assert (error.where, "ZeroDivisionError" in error.message) == ("on_turn", True)
    assert isinstance(bot.failed, ZeroDivisionError)
    assert call.of("reply_ended")


def test_a_slow_hook_delays_nothing(converse: Converse) -> None:
    class Slow(Bot):
        finished = False

        async def on_turn(self, turn: Turn) -> None:
            await asyncio.sleep(4)
            self.finished = True

    bot = Slow()
    call = converse(bot, ask)
    assert call.of("reply_first_audio")[0].at - call.of("user_turn_ended")[0].at < 0.3
    assert bot.finished


def test_a_hook_that_never_ends_is_cancelled_at_the_end(converse: Converse) -> None:
    class Stuck(Bot):
        async def on_start(self) -> None:
            await asyncio.sleep(100_000)

    assert converse(Stuck(), ask).of("reply_ended")


def test_hooks_tell_the_whole_story(converse: Converse) -> None:
    class Diary(Bot):
        def __init__(self) -> None:
            super().__init__()
            self.pages: list[str] = []

        async def on_start(self) -> None:
            self.pages.append("start")

        async def on_peer_joined(self, peer: str) -> None:
            self.pages.append(f"joined {peer}")

        async def on_speech_started(self, peer: str) -> None:
            self.pages.append("speech")

        async def on_turn(self, turn: Turn) -> None:
            self.pages.append(f"turn of {turn.peer}")

        async def on_reply_started(self, speech: SpeechHandle) -> None:
            self.pages.append("reply")

        async def on_reply_ended(self, speech: SpeechHandle) -> None:
            self.pages.append(f"ended, interrupted: {speech.interrupted}")

        async def on_interrupted(self, heard: Heard) -> None:
            self.pages.append("interrupted")

        async def on_stop(self) -> None:
            self.pages.append("stop")

    async def script(call: MemoryCall) -> None:
        await ask(call)
        call.bot.play(speech("alice_long.wav", 24000), text="a notice")
        await asyncio.sleep(1.0)
        call.bot.interrupt()

    bot = Diary()
    converse(bot, script)
    assert bot.pages == [
        "start",
        "joined alice",
        "speech",
        "turn of alice",
        "reply",
        "ended, interrupted: False",
        "reply",
        "interrupted",
        "ended, interrupted: True",
        "stop",
    ]


class Broken:
    def __init__(self) -> None:
        self.frames = 0

    def process(self, samples: np.ndarray, format: AudioFormat) -> np.ndarray:
        self.frames += 1
        if self.frames == 10:
            raise RuntimeError("out of order")
        return samples

    def reset(self) -> None:
        pass


def test_a_stage_that_raises_is_left_out_for_its_microphone(converse: Converse) -> None:
    class Staged(Bot):
        input_stages = (Broken(),)

    call = converse(Staged(), ask)
    (error,) = call.of("error")
    assert (error.where, error.peer) == ("stage", "alice")
    assert call.of("reply_ended")


class Louder:
    def process(self, samples: np.ndarray, format: AudioFormat) -> np.ndarray:
        assert format == AudioFormat(16000, 1)
        return np.clip(samples.astype(np.int32) * 2, -32768, 32767).astype(np.int16)

    def reset(self) -> None:
        pass


def test_a_stage_changes_what_the_backend_hears(converse: Converse) -> None:
    class Plain(Bot):
        pass

    class Loud(Bot):
        input_stages = (Louder(),)

    plain, loud = (np.abs(converse(bot, ask).room.played()).max() for bot in (Plain(), Loud()))
    assert loud > 1.8 * plain


def test_the_server_going_away_is_one_sentence(virtual_clock: VirtualClock) -> None:
    async def main() -> None:
        async with MemoryRoom() as room:
            room.session.deliver(ConnectionResetError("gone"))
            await Bot().run(room.session, room=room)

    with pytest.raises(SessionError, match="the media server ended the session"):
        virtual_clock.run(main())


def test_a_session_that_ends_ends_the_call(virtual_clock: VirtualClock) -> None:
    async def main() -> None:
        async with MemoryRoom() as room:
            room.session.deliver(None)
            await Bot().run(room.session, room=room)

    virtual_clock.run(main())


def test_one_pipeline_is_one_call(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await asyncio.sleep(0.1)
        with pytest.raises(FishjamAgentsError, match="one instance for each room"):
            await call.bot.run(call.room.session)

    converse(Bot(), script)


def test_parts_that_do_not_fit_are_refused() -> None:
    class Bare(AgentPipeline):
        pass

    class Overruled(AgentPipeline):
        backend = Parrot()
        turns = TurnSettings(mode="backend")

    class Silent(AgentPipeline):
        backend = Wav(Path("no-such-file.wav"))

    class Unmade(AgentPipeline):
        backend = Parrot  # type: ignore[assignment]

    class Plain(AgentPipeline):
        backend = Parrot()

        def on_turn(self, turn: Turn) -> None:  # type: ignore[override]
            """Would never be awaited."""

    class Unstaged(AgentPipeline):
        backend = Parrot()
        input_stages = (Plain,)  # type: ignore[assignment]

    for bot, error, message in (
        (Bare(), FishjamAgentsError, "has no backend"),
        (Unmade(), FishjamAgentsError, r"make one of it, `backend = Parrot\(\)`"),
        (Plain(), FishjamAgentsError, "Plain.on_turn must be a coroutine: write `async def on_turn`"),
        (Unstaged(), FishjamAgentsError, "Unstaged.input_stages is no stage"),
        (Overruled(), FishjamAgentsError, "has no turn detection"),
        (Silent(), AudioError, "no-such-file.wav"),
    ):
        with pytest.raises(error, match=message):
            bot.verify()


def test_actions_a_backend_cannot_do_are_refused(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await asyncio.sleep(0.1)
        with pytest.raises(BackendError, match="cannot speak given words"):
            call.bot.say("hello")
        with pytest.raises(BackendError, match="takes no text"):
            call.bot.send_text("hello")
        with pytest.raises(BackendError, match="takes no images"):
            await call.bot.capture_image("track")

    converse(Bot(), script)
    with pytest.raises(FishjamAgentsError, match="not running"):
        Bot().interrupt()


def test_the_greeting_is_played_to_the_first_who_joins(converse: Converse) -> None:
    class Polite(Bot):
        greeting = speech("bob_numbers.wav", 24000)

    async def script(call: MemoryCall) -> None:
        await asyncio.sleep(2.0)
        assert not call.of("reply_started")
        call.room.join("alice")
        call.room.join("bob")
        await call.wait_for("reply_ended")
        await asyncio.sleep(2.0)

    assert len(converse(Polite(), script).of("reply_started")) == 1
