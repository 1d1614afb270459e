from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from fishjam_agents import AgentPipeline, TurnSettings
from fishjam_agents.backends import Parrot
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.testing import MemoryCall, cough, noise, silence, speech
from fishjam_agents.testing.plugin import StartCall

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


class Bot(AgentPipeline):
    backend = Parrot(delay=0.2)


def test_a_bot_is_led_through_a_call_step_by_step(start_call: StartCall) -> None:
    call = start_call(Bot())
    ann = call.join("ann")
    ann.say(speech(2.0))
    answer = call.until("reply_first_audio")
    assert call.now - answer["at"] < 0.05
    call.wait(1)
    ann.say(speech(1.5))
    call.until("reply_interrupted")
    call.expect("reply_interrupted", within=0.5, after="barge_in_suspected", most={"heard.seconds": 1.2})
    call.expect("user_turn_ended of ann", count=1)
    call.expect_order("user_turn_ended", "reply_started", "barge_in_confirmed", "reply_interrupted")
    call.expect_none("outage", "peer_left")
    call.until("reply_ended", within=10)
    assert call.heard.any()
    assert call.expect("reply_ended", count=1) == call.events[-1]


def test_a_cough_does_not_end_the_reply(start_call: StartCall) -> None:
    call = start_call(Bot())
    ann = call.join("ann")
    ann.say(speech(3.0))
    call.until("reply_first_audio")
    call.wait(1.0)
    ann.say(cough())
    call.until("barge_in_withdrawn")
    call.until("reply_ended")
    call.expect_none("reply_interrupted")


def test_several_people_are_in_the_room(start_call: StartCall) -> None:
    call = start_call(Bot())
    ann, bob = call.join("ann"), call.join("bob")
    ann.say(speech(1.0, pitch=200))
    call.until("reply_ended")
    bob.say(FIXTURES / "bob_yes.wav")
    call.until("user_turn_ended of bob")
    call.leave("bob")
    call.until("peer_left of bob")
    call.expect("user_turn_ended.media_at of bob", within=1.5, after="user_turn_ended.start of bob")


def test_a_late_event_is_told_with_the_timeline(start_call: StartCall) -> None:
    call = start_call(Bot())
    call.join("ann").say(speech(1.0))
    call.until("user_turn_ended")
    with pytest.raises(AssertionError) as caught:
        call.expect("user_turn_ended", within=0.2, after="user_started_speaking")
    first, _, *timeline = str(caught.value).splitlines()
    assert first.startswith("user_turn_ended within 0.2 s after user_started_speaking: ")
    assert "user_stopped_speaking" in "\n".join(timeline)


def test_what_never_comes_ends_the_wait(start_call: StartCall) -> None:
    call = start_call(Bot())
    before = call.now
    with pytest.raises(AssertionError, match="reply_ended 2: it did not come within 3 s"):
        call.until("reply_ended 2", within=3)
    assert call.now - before == pytest.approx(3)
    with pytest.raises(ValueError, match="did you mean reply_ended"):
        call.until("reply_endet")


def test_a_call_that_ends_says_so_at_once(start_call: StartCall) -> None:
    call = start_call(Bot())
    call.bot.stop()
    with pytest.raises(AssertionError, match="reply_ended: the call ended before"):
        call.until("reply_ended", within=3000)
    assert call.now < 10


def test_actions_of_the_bot_run_within_the_call(start_call: StartCall) -> None:
    call = start_call(Bot())
    call.join("ann")

    async def notice() -> None:
        await call.bot.play(speech(1.0), 16000)

    before = call.now
    call.run(notice())
    assert call.now - before == pytest.approx(1.0, abs=0.1)
    call.expect("reply_ended", least={"heard.seconds": 0.99})


class Clumsy(Bot):
    async def on_turn(self, turn: object) -> None:
        raise KeyError("menu")


def test_a_hook_that_raises_fails_the_test() -> None:
    def call(trouble: bool) -> None:
        with MemoryCall(Clumsy(), trouble=trouble) as call:
            call.join("ann").say(speech(1.0))
            call.until("reply_ended")

    with pytest.raises(AssertionError, match="no error, no backend_failure: error at "):
        call(trouble=False)
    call(trouble=True)


def test_a_session_that_breaks_fails_the_test() -> None:
    def call() -> None:
        with MemoryCall(Bot()) as call:
            call.room.session.deliver(RuntimeError("cable"))
            call.wait(1)

    with pytest.raises(FishjamAgentsError, match="the media server ended the session"):
        call()


def test_a_failing_test_keeps_its_own_error() -> None:
    def call() -> None:
        with MemoryCall(Clumsy()) as call:
            call.join("ann").say(speech(1.0))
            call.until("error")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call()


def test_nothing_is_left_of_a_call() -> None:
    bot = Bot()
    for _ in range(2):
        with MemoryCall(bot) as call:
            call.join("ann").say(speech(1.0))
            call.until("reply_ended")
        assert not bot.observers
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()


def test_a_slow_network_is_part_of_the_room(start_call: StartCall) -> None:
    call = start_call(Bot(), delay=0.3, jitter=0.1)
    ann = call.join("ann")
    ann.say(speech(2.0))
    call.until("reply_first_audio")
    call.wait(1.0)
    assert call.heard.any()
    ann.say(speech(1.5))
    call.until("reply_interrupted")


@pytest.mark.parametrize("preset", ["sensitive", "default", "noisy"])
def test_computed_sounds_are_to_voice_detection_what_they_are_called(preset: str) -> None:
    class Listening(Bot):
        turns = TurnSettings(preset=preset)  # type: ignore[arg-type]

    with MemoryCall(Listening()) as call:
        ann = call.join("ann")
        call.wait(ann.say(noise(10.0)) + 0.5)
        call.expect_none("user_started_speaking")
        for number, pitch in enumerate((90, 120, 160, 200), 1):
            call.wait(ann.say(speech(1.5, pitch=pitch)))
            call.wait(ann.say(silence(1.0)))
            ended = call.until(f"user_turn_ended {number}")
            assert ended["media_at"] - ended["start"] == pytest.approx(1.5, abs=0.2)
            call.until(f"reply_ended {number}")
        call.expect_none("barge_in_suspected")


def test_sounds_that_make_no_sense_are_refused() -> None:
    for make in (lambda: speech(0.01), lambda: speech(1, pitch=1000), lambda: cough(2.0)):
        with pytest.raises(ValueError, match=": give "):
            make()


class Talkative(AgentPipeline):
    """A bot with every hook that what a test does outside of the loop brings about."""

    backend = Parrot(delay=0.2)

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    async def on_start(self) -> None:
        self.said.append("start")

    async def on_peer_joined(self, peer: str) -> None:
        self.said.append(f"{peer} joined")

    async def on_peer_left(self, peer: str) -> None:
        self.said.append(f"{peer} left")

    async def on_reply_started(self, speech: object) -> None:
        self.said.append("reply started")

    async def on_reply_ended(self, speech: object) -> None:
        self.said.append("reply ended")

    async def on_interrupted(self, heard: object) -> None:
        self.said.append("interrupted")

    async def on_speech_started(self, peer: str | None) -> None:
        self.said.append(f"{peer} speaks")

    async def on_turn(self, turn: object) -> None:
        self.said.append("turn")


def test_what_people_do_needs_no_loop_whatever_hooks_the_bot_has(start_call: StartCall) -> None:
    bot = Talkative()
    call = start_call(bot)
    ann = call.join("ann")
    ann.update_metadata(name="Ann")
    ann.show(b"picture")
    ann.say(speech(1.5))
    call.until("reply_ended")
    call.leave("ann")
    call.wait(0.1)
    assert bot.said == [
        *("start", "ann joined", "ann speaks", "turn", "reply started", "reply ended", "ann left"),
    ]


def test_neither_do_actions_of_the_bot(start_call: StartCall) -> None:
    bot = Talkative()
    bot.turns = TurnSettings(mode="push_to_talk")
    call = start_call(bot, delay=0.05)
    call.join("ann")
    playing = bot.play(speech(3.0), 16000)
    call.wait(1)
    bot.start_turn("ann")
    assert playing.interrupted
    call.wait(1)
    bot.end_turn("ann")
    call.until("reply_first_audio 2")
    bot.mute()
    bot.unmute()
    call.wait(0.1)
    notice = bot.play(speech(1.0), 16000)
    bot.listen(False)
    bot.background.play(noise(1.0), 16000)
    call.wait(0.5)
    notice.interrupt()
    assert bot.interrupt() is None
    bot.end_call()
    call.wait(5)
    assert bot.said.count("interrupted") == 2
    assert bot.said.count("reply started") == bot.said.count("reply ended") == 3


def test_people_come_and_go_from_within_the_loop_too(start_call: StartCall) -> None:
    bot = Talkative()
    call = start_call(bot)

    async def visit() -> None:
        call.join("ann")
        await asyncio.sleep(0.5)
        call.leave("ann")
        await asyncio.sleep(0.5)

    call.run(visit())
    assert bot.said == ["start", "ann joined", "ann left"]


def test_a_room_in_memory_needs_no_server_of_http() -> None:
    code = "import sys, fishjam_agents.testing.call; print(*{'starlette', 'uvicorn'} & sys.modules.keys())"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout == "\n"


def test_what_is_said_into_a_muted_microphone_is_not_heard_later(start_call: StartCall) -> None:
    call = start_call(Bot())
    ann = call.join("ann")
    ann.muted = True
    call.wait(ann.say(speech(1.0)))
    ann.muted = False
    call.wait(2)
    call.expect_none("user_turn_ended", "user_started_speaking")


def test_lost_packets_and_acoustics_are_the_microphones(start_call: StartCall) -> None:
    call = start_call(Bot())
    ann, bob = call.join("ann"), call.join("bob")
    ann.loss = 1.0
    ann.say(speech(1.0))
    bob.acoustics = lambda voice: voice // 1000
    call.wait(bob.say(speech(1.0)) + 1)
    call.expect_none("user_started_speaking")


def test_two_in_a_room_cannot_have_one_name(start_call: StartCall) -> None:
    call = start_call(Bot())
    call.join("ann")
    with pytest.raises(ValueError, match="'ann' is in the room already: choose another id"):
        call.join("ann")
