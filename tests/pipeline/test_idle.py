"""A user who says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import Parrot, port
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.pipeline.idle import Announcement, IdleSettings
from fishjam_agents.testing import MemoryCall, Scripted, Step
from quality.sounds import at_level, knock, to_samples
from tests.pipeline.conftest import FIXTURES, speech

Converse = Callable[..., MemoryCall]
HELLO = Announcement(wav=FIXTURES / "alice_yes.wav", text="still there?")


def bot_with(**settings: Any) -> AgentPipeline:
    bot = AgentPipeline()
    bot.backend = Parrot()
    bot.idle = IdleSettings(**settings)
    return bot


def test_silence_is_told_once_until_somebody_speaks_again(converse: Converse) -> None:
    class Noting(AgentPipeline):
        backend = Parrot()
        idle = IdleSettings(after=10)
        told: list[int] = []  # noqa: RUF012

        async def on_user_idle(self, times: int) -> None:
            self.told.append(times)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await asyncio.sleep(60)
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended")
        await asyncio.sleep(60)

    call = converse(Noting(), script)
    first, second = call.of("user_idle")
    assert first.seconds == pytest.approx(10, abs=0.3)
    assert second.at - call.of("reply_ended")[0].at == pytest.approx(10, abs=0.3)
    assert Noting.told == [1, 1]


def test_the_user_is_asked_and_in_the_end_said_goodbye_to(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        await asyncio.sleep(600)
        raise AssertionError("the call did not end")

    bot = bot_with(after=10, prompt=HELLO, prompts=2, goodbye=HELLO)
    call = converse(bot, script)
    assert [e.times for e in call.of("user_idle")] == [1, 2, 3]
    spoken = [e.heard.text for e in call.of("reply_ended")]
    assert spoken == ["still there?"] * 3
    # Each wait counts from the bot's own last word, and the call ends with the goodbye.
    waits = [e.at - b.at for b, e in zip(call.of("reply_ended"), call.of("user_idle")[1:], strict=False)]
    assert waits == [pytest.approx(10, abs=0.3)] * 2


def test_who_answers_the_prompt_starts_the_count_again(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await call.wait_for("reply_ended")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("user_idle", 2)

    call = converse(bot_with(after=10, prompt=HELLO, end=True), script)
    assert [e.times for e in call.of("user_idle")] == [1, 1]


def test_who_speaks_over_the_goodbye_keeps_the_call(converse: Converse) -> None:
    ends: list[float] = []

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await call.wait_for("reply_first_audio")
        await alice.speak(speech("alice_long.wav"))
        await call.wait_for("reply_ended")
        ends.append(call.room.now)

    converse(bot_with(after=10, goodbye=Announcement(wav=FIXTURES / "bob_long.wav")), script)
    assert ends


def test_silence_may_end_the_call_without_a_word(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        await asyncio.sleep(600)
        raise AssertionError("the call did not end")

    call = converse(bot_with(after=10, end=True), script)
    assert call.kinds == ["call_started", "peer_joined", "user_idle", "call_ended"]
    assert call.observed[-1].reason == "idle"  # type: ignore[attr-defined]


def test_a_slow_answer_closed_ears_and_an_empty_room_are_no_silence_of_the_user(converse: Converse) -> None:
    bot = bot_with(after=5)
    bot.backend = Parrot(delay=12.0)

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_yes.wav"))
        await call.wait_for("reply_ended")
        call.bot.listen(False)
        await asyncio.sleep(20)
        call.room.leave("alice")
        call.bot.listen()
        await asyncio.sleep(20)

    assert not converse(bot, script).of("user_idle")


def test_a_text_is_said_by_a_backend_that_can(converse: Converse) -> None:
    bot = bot_with(after=5, prompt=Announcement(text="Are you there?"))

    def asked(entry: port.BackendInput) -> None:
        assert isinstance(entry, port.TextInput)
        assert (entry.text, entry.verbatim) == ("Are you there?", True)

    bot.backend = Scripted([Step(port.TextInput, check=asked)], port.Capabilities(verbatim_say=True))

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        await asyncio.sleep(10)

    converse(bot, script)
    bot.backend.finish()


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(FishjamAgentsError, match=r"idle\.prompt has a text, but Parrot cannot speak"):
        bot_with(after=5, prompt=Announcement(text="hello?")).verify()
    for settings, message in (
        ({"after": 0.1}, r"idle\.after must be between 1 and 3600"),
        ({"after": 5, "prompts": 0}, r"idle\.prompts must be between 1 and 100"),
        ({"end": True}, r"idle\.after is missing"),
    ):
        with pytest.raises(ValueError, match=message):
            IdleSettings(**settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="wav or text"):
        Announcement()


def _knocks(seconds: float, every: float) -> Samples:
    """A knock of 0.1 s every so often: int16 mono at 16 kHz."""
    rng = np.random.default_rng(7)
    wave = np.zeros(round(seconds * 16000), np.int16)
    for start in np.arange(0.0, seconds - 0.2, every):
        burst = to_samples(at_level(knock(rng, 0.1), -15.0))
        first = round(start * 16000)
        wave[first : first + len(burst)] = burst
    return wave


@pytest.mark.parametrize("every", [0.26, 1.0, 4.0, 8.0])
def test_knocks_are_no_word_of_a_user_who_is_away(converse: Converse, every: float) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended")
        await alice.speak(_knocks(60.0, every))

    call = converse(bot_with(after=15), script)
    assert len(call.of("user_turn_ended")) == 1
    away = call.of("user_idle")
    assert len(away) == 1
    assert away[0].at - call.of("reply_ended")[0].at < 17


def test_knocks_do_not_keep_a_call_that_nobody_is_in(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(_knocks(200.0, 3.0))
        raise AssertionError("the call did not end")

    call = converse(bot_with(after=10, prompt=HELLO, prompts=1, goodbye=HELLO), script)
    assert [event.times for event in call.of("user_idle")] == [1, 2]
