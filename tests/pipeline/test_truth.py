"""After an interruption everybody tells the same: model, timeline, report, handle and server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from fishjam_agents import SpeechHandle
from fishjam_agents.backends import Parrot, port
from fishjam_agents.events import Heard
from fishjam_agents.observe.report.reading import read_call
from fishjam_agents.observe.timeline import Timeline
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]
TEXT = "one two three four five six seven eight nine ten"
WORDS = TEXT.split()


class Noting(AgentPipeline):
    """Notes what its hooks are told."""

    def __init__(self) -> None:
        super().__init__()
        self.speeches: list[SpeechHandle] = []
        self.interrupted: list[Heard] = []
        self.timeline = Timeline()
        self.observers.append(self.timeline)

    async def on_reply_ended(self, speech: SpeechHandle) -> None:
        self.speeches.append(speech)

    async def on_interrupted(self, heard: Heard) -> None:
        self.interrupted.append(heard)


async def speak_over(call: MemoryCall) -> None:
    (alice,) = await call.arrive("alice")
    await alice.speak(speech("alice_long.wav"))
    await call.wait_for("reply_first_audio")
    await asyncio.sleep(1.5)
    await alice.speak(speech("bob_question.wav"))
    await asyncio.sleep(5.0)


def told_by_all(call: MemoryCall) -> Heard:
    """What was heard, once it is certain that everybody says the same."""
    bot = call.bot
    assert isinstance(bot, Noting)
    (event,) = call.of("reply_interrupted")
    heard: Heard = event.heard
    assert bot.interrupted == [heard]
    assert bot.speeches[0].heard == heard
    assert bot.speeches[0].interrupted
    report = read_call(bot.timeline.document(call.observed[-1].at)).reply(heard.reply)
    assert report is not None
    assert report.interrupted
    assert report.heard == pytest.approx(heard.seconds, abs=0.001)
    assert report.heard_text == heard.text
    assert report.heard_text + report.unheard_text == report.text
    cut = call.room.session.tracks[0].playout.cuts[0]
    assert cut.played_seconds == pytest.approx(heard.seconds, abs=0.021)
    return heard


def test_of_a_parrots_reply_everybody_knows_what_was_heard(converse: Converse) -> None:
    bot = Noting()
    bot.backend = Parrot(text=TEXT)
    heard = told_by_all(converse(bot, speak_over))
    assert heard.seconds == pytest.approx(1.6, abs=0.15)
    assert not heard.text_exact
    # In proportion: 1.6 of 5.3 seconds are three of ten words.
    assert heard.text.split() == WORDS[: len(heard.text.split())]
    assert 2 <= len(heard.text.split()) <= 4


@pytest.mark.parametrize("timed", [False, True])
def test_a_model_is_told_what_the_room_heard_of_it(converse: Converse, timed: bool) -> None:
    told: list[Heard] = []

    def note(entry: port.BackendInput) -> None:
        assert isinstance(entry, port.InterruptInput)
        assert entry.heard is not None
        told.append(entry.heard)

    words = [
        port.ReplyTextDelta("r1", f"{word} ", at=0.5 * i if timed else None) for i, word in enumerate(WORDS)
    ]
    reply = [
        port.ReplyStarted("r1"),
        *words,
        port.ReplyAudio("r1", np.full(5 * 24000, 900, np.int16)),
        port.ReplyAudioEnded("r1"),
    ]
    bot = Noting()
    bot.backend = Scripted(
        [
            Step(port.TurnStartedInput),
            Step(port.TurnEndedInput, reply),
            Step(port.InterruptInput, check=note),
            Step(port.TurnStartedInput),
            Step(port.TurnEndedInput),
        ],
        port.Capabilities(truncate=True),
    )
    call = converse(bot, speak_over)
    bot.backend.finish()
    heard = told_by_all(call)
    assert told == [heard]
    assert heard.text_exact is timed
    # A word every half second: the fourth begins at 1.5 s.
    assert heard.text == "one two three four" if timed else heard.text in ("one two", "one two three")


def test_a_pause_before_the_interruption_does_not_make_it_more_or_less(converse: Converse) -> None:
    """A grunt pauses and rewinds the reply; what was heard before it is not heard less for that."""

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        call.bot.play(speech("bob_long.wav", 24000), text=TEXT)
        await asyncio.sleep(1.0)
        await alice.speak(speech("grunt.wav"))
        await call.wait_for("barge_in_withdrawn")
        paused = call.bot.speech.heard  # type: ignore[union-attr]
        assert call.bot.interrupt() == call.of("reply_interrupted")[0].heard
        assert call.of("reply_interrupted")[0].heard.seconds == pytest.approx(paused.seconds, abs=0.001)

    bot = Noting()
    bot.backend = Parrot()
    converse(bot, script)
