"""Turns by a button: the app's, or the peer's own in its metadata."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fishjam_agents.backends import Parrot, port
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.fishjam import Reconnected
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]
BY_HAND = TurnSettings(mode="push_to_talk")
DELAY = BY_HAND.release_delay


class Bot(AgentPipeline):
    backend = Parrot()
    turns = BY_HAND


def streaming() -> AgentPipeline:
    bot = AgentPipeline()
    bot.backend = Scripted(offers=port.Capabilities(cancel=True))
    bot.turns = BY_HAND
    return bot


def kinds_sent(bot: AgentPipeline) -> list[str]:
    """Types of what the backend was sent, runs of audio as one."""
    kinds: list[str] = []
    for entry in bot.backend.entries:  # type: ignore[attr-defined]
        name = type(entry).__name__.removesuffix("Input")
        if name != "Audio" or kinds[-1:] != ["Audio"]:
            kinds.append(name)
    return kinds


def test_what_is_said_while_pressed_is_the_turn_and_nothing_else_is(converse: Converse) -> None:
    bot = streaming()

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        alice.say(speech("alice_long.wav"))
        await asyncio.sleep(1.0)
        assert kinds_sent(bot) == []
        call.bot.start_turn("alice")
        await asyncio.sleep(1.0)
        call.bot.end_turn("alice")
        await asyncio.sleep(3.0)

    call = converse(bot, script)
    assert kinds_sent(bot) == ["TurnStarted", "Audio", "TurnEnded"]
    audio = [e.samples for e in bot.backend.entries if isinstance(e, port.AudioInput)]  # type: ignore[attr-defined]
    # No pre-roll: a second was pressed, and a second is sent, with what came just after.
    assert sum(map(len, audio)) == pytest.approx(16000 * (1 + DELAY), abs=320)
    (turn,) = call.of("user_turn_ended")
    assert (turn.peer, turn.reason) == ("alice", "released")
    assert (turn.start, turn.media_at) == (
        pytest.approx(1.5, abs=0.03),
        pytest.approx(2.5 + DELAY, abs=0.03),
    )
    assert [k for k in call.kinds if k.startswith("user")] == [
        "user_started_speaking",
        "user_stopped_speaking",
        "user_turn_ended",
    ]


def test_a_pause_does_not_end_the_turn_and_silence_is_a_turn_too(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        call.bot.start_turn("alice")
        await asyncio.sleep(5.0)
        call.bot.end_turn("alice")
        await call.wait_for("reply_ended")

    call = converse(Bot(), script)
    assert call.of("reply_generated")[0].seconds == pytest.approx(5.0 + DELAY, abs=0.05)


def test_pressing_interrupts_the_bot_at_once(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        call.bot.play(speech("alice_long.wav", 24000))
        await asyncio.sleep(0.5)
        # Without the button speech interrupts nothing.
        await alice.speak(speech("alice_yes.wav"))
        assert not call.of("reply_interrupted")
        call.bot.start_turn("alice")
        assert call.of("reply_interrupted")
        await asyncio.sleep(1.0)
        call.bot.end_turn("alice")
        await call.wait_for("reply_ended")

    call = converse(Bot(), script)
    assert [k for k in call.kinds if k.startswith("barge")] == ["barge_in_confirmed"]


def test_a_turn_that_is_taken_back_is_not_answered(converse: Converse) -> None:
    turns: list[Any] = []

    class Noting(Bot):
        async def on_turn(self, turn: Any) -> None:
            turns.append(turn)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        call.bot.start_turn("alice")
        await alice.speak(speech("alice_yes.wav"))
        call.bot.cancel_turn("alice")
        call.bot.cancel_turn("alice")
        await asyncio.sleep(3.0)

    call = converse(Noting(), script)
    assert [turn.reason for turn in call.of("user_turn_ended")] == ["cancelled"]
    assert not call.of("reply_started")
    assert turns == []


def test_a_model_that_heard_it_already_is_told_to_forget_it(converse: Converse) -> None:
    bot = streaming()

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        call.bot.start_turn("alice")
        await asyncio.sleep(1.0)
        call.bot.cancel_turn("alice")
        await asyncio.sleep(1.0)

    converse(bot, script)
    assert kinds_sent(bot) == ["TurnStarted", "Audio", "TurnCancelled"]


@pytest.mark.parametrize("later", [0.06, 0.2, 0.28])
def test_the_last_word_is_whole_though_audio_is_later_than_the_button(
    converse: Converse, later: float
) -> None:
    bot = streaming()
    words = speech("alice_question.wav")

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        call.bot.start_turn("alice")
        await asyncio.sleep(alice.say(words) - later)
        call.bot.end_turn("alice")
        await call.wait_for("user_turn_ended")

    converse(bot, script)
    audio = [e.samples for e in bot.backend.entries if isinstance(e, port.AudioInput)]  # type: ignore[attr-defined]
    assert words.tobytes() in np.concatenate(audio).tobytes()


def test_who_presses_again_at_once_goes_on_with_the_turn(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        call.bot.start_turn("alice")
        for _ in range(3):
            await asyncio.sleep(0.5)
            call.bot.end_turn("alice")
            call.bot.end_turn("alice")
            await asyncio.sleep(0.1)
            call.bot.start_turn("alice")
        await asyncio.sleep(0.5)
        call.bot.end_turn("alice")
        await asyncio.sleep(0.1)
        call.bot.cancel_turn("alice")
        await asyncio.sleep(1.0)

    assert [t.reason for t in converse(Bot(), script).of("user_turn_ended")] == ["cancelled"]


def test_who_leaves_within_the_delay_has_one_turn(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice", "bob")
        call.bot.start_turn("alice")
        await asyncio.sleep(0.5)
        call.bot.end_turn("alice")
        call.room.leave("alice")
        await asyncio.sleep(1.0)

    assert [t.reason for t in converse(Bot(), script).of("user_turn_ended")] == ["left"]


def test_two_who_press_are_heard_one_after_the_other(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        alice, bob, carol = await call.arrive("alice", "bob", "carol")
        for peer, words in (
            (alice, "alice_question.wav"),
            (bob, "bob_question.wav"),
            (carol, "alice_yes.wav"),
        ):
            call.bot.start_turn(peer.id)
            peer.say(speech(words))
        await asyncio.sleep(1.0)
        call.bot.end_turn("bob")
        call.bot.cancel_turn("carol")
        await asyncio.sleep(1.0)
        call.bot.end_turn("alice")
        await call.wait_for("reply_ended", 2)
        await asyncio.sleep(3.0)

    call = converse(Bot(), script)
    assert [e.peer for e in call.of("user_turn_ended")] == ["carol", "bob", "alice"]
    assert [round(e.seconds) for e in call.of("reply_generated")] == [2, 1]


def test_a_button_held_too_long_ends_the_turn_and_begins_another(converse: Converse) -> None:
    class Impatient(Bot):
        turns = TurnSettings(mode="push_to_talk", max_turn=2.0)

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        call.bot.start_turn("alice")
        await asyncio.sleep(3.0)
        call.bot.end_turn("alice")
        await call.wait_for("reply_ended")

    assert [t.reason for t in converse(Impatient(), script).of("user_turn_ended")] == ["limit", "released"]


def test_the_button_may_come_before_the_microphone(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        call.bot.start_turn("alice")
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_yes.wav"))
        call.bot.end_turn("alice")
        await call.wait_for("reply_ended")

    assert len(converse(Bot(), script).of("user_turn_ended")) == 1


def test_a_pressed_button_outlasts_an_outage_and_closed_ears(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        call.bot.start_turn("alice")
        await asyncio.sleep(1.0)
        call.room.session.deliver(Reconnected(1.0, 1))
        await asyncio.sleep(1.0)
        call.bot.listen(False)
        await asyncio.sleep(1.0)
        call.bot.listen()
        await asyncio.sleep(1.0)
        call.bot.end_turn("alice")
        await asyncio.sleep(1.0)

    call = converse(Bot(), script)
    assert [t.reason for t in call.of("user_turn_ended")] == ["outage", "app", "released"]


def test_who_leaves_lets_go(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        call.bot.start_turn("alice")
        await asyncio.sleep(1.0)
        call.room.leave("alice")
        await asyncio.sleep(1.0)
        await call.arrive("alice")
        await asyncio.sleep(1.0)

    assert [t.reason for t in converse(Bot(), script).of("user_turn_ended")] == ["left"]


def test_a_browser_presses_by_its_metadata(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        alice.update_metadata(name="Alice", talking=True)
        await alice.speak(speech("alice_question.wav"))
        alice.update_metadata(name="Alice", talking=False)
        await call.wait_for("reply_first_audio")
        alice.update_metadata(talking=True)
        await call.wait_for("reply_interrupted")
        # What else changes in the room leaves the app's own presses alone.
        call.bot.end_turn("alice")
        call.room.join("bob")
        await asyncio.sleep(1.0)

    call = converse(Bot(), script)
    assert [t.reason for t in call.of("user_turn_ended")] == ["released", "released"]
    words = speech("alice_question.wav")
    assert call.of("reply_generated")[0].seconds == pytest.approx(len(words) / 16000 + DELAY, abs=0.05)


def test_turns_are_opened_by_hand_only_where_the_settings_say_so(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        with pytest.raises(FishjamAgentsError, match=r"turns\.mode is 'local': set it to 'push_to_talk'"):
            call.bot.start_turn("alice")

    bot = AgentPipeline()
    bot.backend = Parrot()
    converse(bot, script)
    mixed = Bot()
    mixed.hearing = HearingSettings(mode="mix")
    with pytest.raises(FishjamAgentsError, match="set hearing to 'active_speaker', not 'mix'"):
        mixed.verify()
