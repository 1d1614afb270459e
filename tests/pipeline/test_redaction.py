"""What a bot redacts is in no event that leaves the call: transcripts, words of replies, what was heard."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from fishjam_agents import events
from fishjam_agents.backends import port as p
from fishjam_agents.events import Event, Heard
from fishjam_agents.observe.recording import SoundRecorder
from fishjam_agents.observe.replay import CallRecorder, read_recording
from fishjam_agents.observe.replay.formatting import about
from fishjam_agents.observe.replay.live import LiveRecorder
from fishjam_agents.observe.replay.recorder import MemoryRecorder
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.pipeline.redaction import EventRedaction
from fishjam_agents.testing import MemoryCall, Scripted, Step
from fishjam_agents.turns.endpointing import Punctuation
from tests.pipeline.conftest import speech, tone

CARD = "4111 1111 1111 1111"


def hidden(text: str) -> str:
    return re.sub(r"\d[\d ]{11,}\d", "[card]", text)


class Cashier(AgentPipeline):
    def __init__(self) -> None:
        super().__init__()
        self.understood: list[str] = []

    async def on_transcript(self, text: str, final: bool, peer: str | None) -> None:
        self.understood.append(text)

    def redact(self, text: str) -> str:
        return hidden(text)


def call_about_a_card(bot: AgentPipeline, folder: Path) -> MemoryCall:
    answer = [
        p.UserTranscript(f"My card is {CARD}", final=True),
        p.ReplyStarted("r1"),
        *(
            p.ReplyTextDelta("r1", piece)
            for piece in ("Your card ", "4111 1111", " 1111 1111", " is fine. And ")
        ),
        p.ReplyTextDelta("r1", "now"),
        p.ReplyAudio("r1", tone(1.0)),
        p.ReplyAudioEnded("r1"),
    ]
    bot.backend = Scripted(
        [Step(p.TurnStartedInput), Step(p.TurnEndedInput, answer)],
        p.Capabilities(text=True, transcripts=True),
    )
    bot.sound_recorder = SoundRecorder(folder)
    with MemoryCall(bot, trouble=True) as call:
        ann = call.join("ann")
        ann.say(speech("alice_question.wav"))
        call.until("reply_ended")
        call._at_once(lambda: bot.submit_text(f"or {CARD}?"))
        call.wait(0.5)
    return call


def test_no_event_and_no_transcript_has_it_and_hooks_do(tmp_path: Path) -> None:
    bot = Cashier()
    call = call_about_a_card(bot, tmp_path)
    seen = json.dumps([dict(event) for event in call.events])
    assert "1111" not in seen
    (transcript,) = call.of("user_transcript")
    assert transcript.text == "My card is [card]"
    assert "".join(event.text for event in call.of("reply_text")) == "Your card [card] is fine. And now"
    (ended,) = call.of("reply_ended")
    assert ended.heard.text == "Your card [card] is fine. And now"
    assert call.of("user_text")[0].text == "or [card]?"
    kept = "".join(path.read_text() for path in tmp_path.glob("*.transcript.*"))
    assert "1111" not in kept
    assert kept.count("[card]") >= 4
    assert bot.understood == [f"My card is {CARD}"]


def test_what_cannot_be_redacted_is_not_shown_and_told(tmp_path: Path) -> None:
    class Broken(Cashier):
        def redact(self, text: str) -> str:
            raise ValueError(text)

    call = call_about_a_card(Broken(), tmp_path)
    assert "1111" not in json.dumps([dict(event) for event in call.events])
    assert call.of("user_transcript")[0].text == ""
    assert {error.where for error in call.of("error")} == {"redact"}


def judged(bot: AgentPipeline) -> AgentPipeline:
    """A bot whose turns are ended by what was said, so that words are in its record."""
    bot.turns = replace(bot.turns, end_of_turn=Punctuation())
    return bot


def test_a_record_has_words_as_they_may_be_shown_and_says_so(tmp_path: Path) -> None:
    bot = judged(Cashier())
    bot.recorder = recorder = CallRecorder(tmp_path / "calls")
    call_about_a_card(bot, tmp_path)
    assert recorder.wait()
    (path,) = (tmp_path / "calls").iterdir()
    assert CARD not in path.read_text()
    assert '"text":"My card is [card]"' in path.read_text()
    recording = read_recording(path)
    assert recording.header.redacted
    assert "as the bot's redact left them" in "\n".join(about(recording, []))


def test_a_record_keeps_words_where_that_is_wanted_and_the_page_of_the_call_does_not(tmp_path: Path) -> None:
    bot = judged(Cashier())
    files = CallRecorder(tmp_path / "calls", redact=False)
    bot.recorder = page = LiveRecorder(files)
    call_about_a_card(bot, tmp_path)
    assert files.wait()
    (path,) = (tmp_path / "calls").iterdir()
    assert f'"text":"My card is {CARD}"' in path.read_text()
    assert not read_recording(path).header.redacted
    shown = page.text(0.0) or ""
    assert '"text":"My card is [card]"' in shown
    assert CARD not in shown


def test_a_record_lacks_words_that_cannot_be_redacted_and_holds_all_of_a_bot_that_hides_none(
    tmp_path: Path,
) -> None:
    class Broken(Cashier):
        def redact(self, text: str) -> str:
            raise ValueError(text)

    for bot, words in ((Broken(), ""), (AgentPipeline(), f"My card is {CARD}")):
        bot.recorder = recorder = MemoryRecorder()
        call_about_a_card(judged(bot), tmp_path)
        assert f'"command":"understood","text":"{words}"' in recorder.text()


def test_words_wait_for_their_sentence_and_never_longer_than_their_reply() -> None:
    redaction = EventRedaction(hidden)
    stream: list[Event] = [
        events.ReplyText(1.0, "r1", "The card 4111 1111"),
        events.ReplyText(1.1, "r2", "Mine"),
        events.ReplyText(1.2, "r1", " 1111 1111 is"),
        events.ReplyInterrupted(2.0, "r1", Heard("r1", 0.5, "The card 4111 1111 1111 1111")),
        events.CallEnded(3.0, "stopped"),
    ]
    shown = [event for each in stream for event in redaction.shown(each)]
    assert shown == [
        events.ReplyText(2.0, "r1", "The card [card] is"),
        events.ReplyInterrupted(2.0, "r1", Heard("r1", 0.5, "The card [card]")),
        events.ReplyText(3.0, "r2", "Mine"),
        events.CallEnded(3.0, "stopped"),
    ]
