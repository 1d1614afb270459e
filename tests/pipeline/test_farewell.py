"""The farewell of a call that the program's own end cuts short."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fishjam_agents import AgentPipeline
from fishjam_agents.backends import Parrot
from fishjam_agents.backends import port as p
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.pipeline.controls import UNTIL_FAREWELL
from fishjam_agents.testing import MemoryCall, Scripted, Step
from tests.pipeline.conftest import speech, tone
from tests.pipeline.scripts import ABLE, reply

Converse = Callable[..., MemoryCall]
SECONDS = 2.0


def ended_after(call: MemoryCall) -> float:
    """Seconds from the farewell's request, two after the first reply was heard, to the end of the call."""
    assert (call.kinds[-1], call.observed[-1].reason) == ("call_ended", "bot")  # type: ignore[attr-defined]
    return call.observed[-1].at


def talking(seconds: float) -> AgentPipeline:
    """A bot that answers for so long, and has a recording for the end."""
    bot = AgentPipeline()
    bot.backend = Scripted(
        [Step(p.TurnStartedInput), Step(p.TurnEndedInput, [0.2, *reply("answer", seconds)])], ABLE
    )
    bot.farewell = tone(SECONDS)
    return bot


def asks(bot: AgentPipeline, *, then: float, sound: Any = None) -> Callable[[MemoryCall], Any]:
    """Somebody asks; so long after the answer has begun the program ends, and somebody speaks over that."""

    async def script(call: MemoryCall) -> None:
        (ann,) = await call.arrive("ann")
        await ann.speak(speech("alice_question.wav"))
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(then)
        bot.end_with_farewell()
        if sound is not None:
            await asyncio.sleep(0.5)
            await ann.speak(sound)
        await asyncio.sleep(60)

    return script


def test_a_bot_that_is_silent_says_its_farewell_and_leaves(converse: Converse) -> None:
    bot = talking(1.0)
    call = converse(bot, asks(bot, then=3.0))
    first, farewell = call.of("reply_ended")
    assert farewell.heard.seconds == pytest.approx(SECONDS, abs=0.02)
    assert ended_after(call) - first.at < 3.0 + SECONDS + 2.0


def test_what_it_is_saying_is_finished_first(converse: Converse) -> None:
    bot = talking(4.0)
    call = converse(bot, asks(bot, then=2.0))
    assert [reply.heard.seconds for reply in call.of("reply_ended")] == pytest.approx(
        [4.0, SECONDS], abs=0.02
    )


def test_a_long_story_is_cut_for_the_farewell(converse: Converse) -> None:
    bot = talking(30.0)
    call = converse(bot, asks(bot, then=2.0))
    (cut,) = call.of("reply_interrupted")
    assert cut.heard.seconds == pytest.approx(2.0 + UNTIL_FAREWELL, abs=0.2)
    (farewell,) = call.of("reply_ended")
    assert farewell.heard.seconds == pytest.approx(SECONDS, abs=0.02)
    assert ended_after(call) - cut.at < SECONDS + 2.0


def test_who_speaks_over_the_farewell_hears_it_all_the_same(converse: Converse) -> None:
    bot = talking(1.0)
    call = converse(bot, asks(bot, then=3.0, sound=speech("cough.wav")))
    assert not call.of("reply_interrupted")
    assert call.of("reply_ended")[-1].heard.seconds == pytest.approx(SECONDS, abs=0.02)


def test_a_bot_without_a_farewell_leaves_as_ever(converse: Converse) -> None:
    bot = talking(1.0)
    bot.farewell = None
    call = converse(bot, asks(bot, then=3.0))
    assert len(call.of("reply_ended")) == 1
    ended_after(call)


def test_a_text_needs_a_backend_that_speaks_it() -> None:
    bot = AgentPipeline()
    bot.backend = Parrot()
    bot.farewell = "Bye."
    with pytest.raises(FishjamAgentsError, match="farewell is a text, but Parrot cannot speak given words"):
        bot.verify()
