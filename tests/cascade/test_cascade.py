"""A cascade in whole conversations, in memory and in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade, LLMToolCall, LLMUsage, Reasoning
from fishjam_agents.backends.conversation import CUT
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, VirtualClock
from fishjam_agents.tools import tool
from tests.cascade.calls import asks, bot, said
from tests.cascade.components import LETTER, Answers, Speaks, Understands
from tests.cascade.drive import ENDED, drive
from tests.pipeline.conftest import converse, speech

__all__ = ["converse"]
Converse = Callable[..., MemoryCall]


def test_a_turn_is_understood_answered_and_spoken_sentence_by_sentence(converse: Converse) -> None:
    stt = Understands([[0.1, "What is", 0.1, " a fish?"]])
    llm = Answers([[Reasoning("hm"), 0.2, "An anim", "al. ", 1.0, "It **swims**.", LLMUsage({"tokens": 9})]])
    tts = Speaks(pause=0.01)
    call = converse(bot(stt, llm, tts), asks)
    transcripts = [(event.text, event.final) for event in call.of("user_transcript")]
    assert transcripts == [("What is", False), ("What is a fish?", False), ("What is a fish?", True)]
    assert said(llm) == [("system", "Be brief."), ("user", "What is a fish?")]
    assert tts.said == ["An animal.", "It swims."]
    (ended,) = call.of("reply_ended")
    assert ended.heard.text.split() == ["An", "animal.", "It", "swims."]
    assert ended.heard.seconds == pytest.approx((10 + 9) * LETTER, abs=0.002)
    (first,) = call.of("reply_first_audio")
    # Speaking began while the model was still at it.
    assert first.at < ended.at - 1.0
    assert len(stt.heard[0]) / 16000 == pytest.approx(len(speech("alice_question.wav")) / 16000, abs=0.6)


def test_what_each_part_took_is_in_the_timeline(converse: Converse) -> None:
    llm = Answers([[Reasoning("Hm."), 0.5, "Hello", 0.2, " you. ", 0.4, "Bye."]])
    call = converse(bot(Understands([[0.3, "Hi."]]), llm, Speaks(pause=0.07)), asks)
    (timed,) = call.of("reply_latency")
    took = {"stt": 0.3, "waited": 0.0, "llm": 0.5, "sentence": 0.2, "tts": 0.07}
    assert timed.parts == pytest.approx(took, abs=0.001)
    (turn,), (audio,) = call.of("user_turn_ended"), call.of("reply_first_audio")
    # Nothing of our own comes on top: less than 10 ms.
    assert audio.at - turn.at == pytest.approx(sum(timed.parts.values()), abs=0.01)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 48000])
def test_a_voice_of_any_rate_with_odd_pieces_arrives_whole(converse: Converse, rate: int) -> None:
    call = converse(bot(Understands([["Hi."]]), Answers([["Abcdefghij klmno."]]), Speaks(rate)), asks)
    wave = call.room.played()
    sounding = wave[np.flatnonzero(wave)[0] : np.flatnonzero(wave)[-1]]
    assert len(sounding) / 24000 == pytest.approx(17 * LETTER, abs=0.01)
    spectrum = np.abs(np.fft.rfft(sounding * np.hanning(len(sounding))))
    assert spectrum.argmax() * 24000 / len(sounding) == pytest.approx(440, abs=3)


def test_a_barge_in_closes_the_model_and_the_voice_at_once_and_keeps_what_was_heard(
    converse: Converse,
) -> None:
    llm = Answers([["One sentence of some length. ", "Two more words here. ", 60.0, "Never."], ["Yes?"]])
    tts = Speaks(pause=0.2)
    stt = Understands([["Tell me."], ["Stop."]])

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(1.0)
        await alice.speak(speech("bob_question.wav"))
        await call.wait_for("reply_ended")

    call = converse(bot(stt, llm, tts), script)
    (cut,) = call.of("reply_interrupted")
    assert 0.5 < cut.heard.seconds < 2.0
    assert llm.closed == ["closed", "finished"]
    assert "closed" in tts.closed
    history = said(llm)
    assert history[2] == ("assistant", cut.heard.text + CUT)
    assert history[3] == ("user", "Stop.")


def test_a_speaker_who_goes_on_is_answered_once_with_all_they_said(converse: Converse) -> None:
    stt = Understands([["First half"], ["second half."]])
    llm = Answers([[5.0, "Too early."], ["Now."]])

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("user_turn_ended")
        await asyncio.sleep(0.3)
        await alice.speak(speech("alice_yes.wav"))
        await call.wait_for("reply_ended")

    converse(bot(stt, llm, tts := Speaks()), script)
    assert llm.closed == ["closed", "finished"]
    assert tts.said == ["Now."]
    assert said(llm)[1:] == [("user", "First half"), ("user", "second half.")]


def test_a_speaker_who_goes_on_before_the_first_half_is_understood_loses_none_of_it(
    converse: Converse,
) -> None:
    stt = Understands([[3.0, "First half"], ["second half."]])
    llm = Answers([["Now."]])

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("user_turn_ended")
        await asyncio.sleep(0.3)
        await alice.speak(speech("alice_yes.wav"))
        await call.wait_for("reply_ended")

    converse(bot(stt, llm, tts := Speaks()), script)
    assert tts.said == ["Now."]
    assert said(llm)[1:] == [("user", "First half"), ("user", "second half.")]


def test_what_is_written_after_a_turn_is_answered_after_it(converse: Converse) -> None:
    pipeline = bot(Understands([[1.0, "Spoken."]]), llm := Answers([["Yes."]]), Speaks())

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("user_turn_ended")
        pipeline.send_text("Written.")
        await call.wait_for("reply_ended", 2)

    converse(pipeline, script)
    assert said(llm)[1:] == [("user", "Spoken."), ("assistant", "Yes."), ("user", "Written.")]


def test_noise_that_means_nothing_is_not_answered(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("user_turn_ended")
        await asyncio.sleep(2.0)

    call = converse(bot(Understands([[0.1]]), llm := Answers([["No."]]), Speaks()), script)
    assert not llm.asked
    assert not call.of("reply_started")
    assert not call.of("user_transcript")


class Weather(AgentPipeline):
    @tool
    async def weather(self, city: str) -> str:
        """The weather of a city."""
        await asyncio.sleep(0.5)
        return f"sunny in {city}"


def test_what_the_model_is_to_know_goes_with_the_next_words_that_mean_something(
    virtual_clock: VirtualClock,
) -> None:
    llm = Answers([["Hello."]])
    cascade = Cascade([Understands([[""], ["Hi."], ["Bye."]])], [llm], [Speaks()])
    note = port.TextInput("[Bob is here]", note=True)
    drive(virtual_clock, cascade, [note, ENDED, 1.0, ENDED, 1.0, ENDED, 1.0])
    assert [messages[-1].text for messages in llm.asked] == ["[Bob is here] Hi.", "Bye."]


def test_tools_are_called_with_a_spoken_filler_and_their_answers_are_used(converse: Converse) -> None:
    calls = [LLMToolCall("c1", "weather", {"city": "Kyoto"}), LLMToolCall("c2", "weather", {"city": "Oslo"})]
    llm = Answers([calls, ["Sunny in both. "]])
    call = converse(
        bot(Understands([["Weather?"]]), llm, tts := Speaks(), Weather, filler="One moment."), asks
    )
    assert llm.tools == [["weather"], ["weather"]]
    assert tts.said == ["One moment.", "Sunny in both."]
    assert [message.role for message in llm.asked[1][1:]] == [
        "user",
        "assistant",
        "assistant",
        "tool",
        "tool",
    ]
    assert [(message.call, message.text) for message in llm.asked[1][-2:]] == [
        ("c1", "sunny in Kyoto"),
        ("c2", "sunny in Oslo"),
    ]
    assert len(call.of("reply_started")) == 1


def test_a_tool_runs_while_the_filler_is_made(converse: Converse) -> None:
    llm = Answers([[LLMToolCall("c1", "weather", {"city": "Kyoto"})], ["Sunny. "]])
    tts = Speaks(first=0.5)
    call = converse(bot(Understands([["Weather?"]]), llm, tts, Weather, filler="One moment."), asks)
    (turn,), (called,) = call.of("user_turn_ended"), call.of("tool_called")
    # It takes half a second, as the filler does.
    assert called.at - turn.at == pytest.approx(0.5, abs=0.01)
    assert [event.text for event in call.of("reply_text")] == ["One moment. ", "Sunny. "]


def test_a_model_that_only_calls_tools_comes_to_an_end(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("backend_warning")

    llm = Answers([[LLMToolCall(f"c{number}", "weather", {"city": "Kyoto"})] for number in range(20)])
    call = converse(bot(Understands([["Weather?"]]), llm, Speaks(), Weather), script)
    assert len(call.of("tool_called")) == 8
    assert "8 times in a row without an answer" in call.of("backend_warning")[0].message


def test_words_to_say_are_spoken_without_asking_the_model(converse: Converse) -> None:
    pipeline = bot(Understands([["Hi."]]), llm := Answers([["Fine. "]]), tts := Speaks())

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await pipeline.say("Welcome to all.")
        assert not llm.asked
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended", 2)

    converse(pipeline, script)
    assert tts.said == ["Welcome to all.", "Fine."]
    assert said(llm)[1:] == [("assistant", "Welcome to all."), ("user", "Hi.")]


def test_a_cascade_without_a_part_is_refused() -> None:
    with pytest.raises(ValueError, match="llm: a cascade needs at least one"):
        Cascade([Understands([[]])], [], [Speaks()])


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (Speaks(), r"tts must be a list of parts, not a Speaks: write tts=\[\.\.\.\]"),
        ([Speaks], r"tts: the class Speaks is no text to speech \(TextToSpeech\): make one of it, Speaks\("),
        ([Speaks(), Answers([])], "tts: a Answers is no text to speech .* give it to the job it is for"),
        ([object()], "tts: a object is no text to speech .*: make it a subclass of TextToSpeech"),
    ],
)
def test_what_is_no_part_for_its_job_is_refused(parts: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        Cascade([Understands([[]])], [Answers([])], parts)
