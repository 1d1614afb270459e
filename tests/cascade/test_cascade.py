"""A cascade in whole conversations, in memory and in virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade, LLMToolCall, LLMUsage, Reasoning
from fishjam_agents.backends.cascade.history import CUT
from fishjam_agents.errors import BackendError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, VirtualClock
from fishjam_agents.tools import tool
from tests.cascade.components import LETTER, Answers, Speaks, Understands, tone
from tests.cascade.drive import ENDED, drive
from tests.pipeline.conftest import converse, speech

__all__ = ["converse"]
Converse = Callable[..., MemoryCall]


def bot(
    stt: Understands | list[Understands],
    llm: Answers | list[Answers],
    tts: Speaks | list[Speaks],
    kind: type[AgentPipeline] = AgentPipeline,
    **settings: Any,
) -> AgentPipeline:
    pipeline = kind()
    parts = [part if isinstance(part, list) else [part] for part in (stt, llm, tts)]
    pipeline.backend = Cascade(*parts, **settings)  # type: ignore[arg-type]
    pipeline.instructions = "Be brief."
    return pipeline


async def asks(call: MemoryCall) -> None:
    (alice,) = await call.arrive("alice")
    await alice.speak(speech("alice_question.wav"))
    await call.wait_for("reply_ended")


async def asks_and_stays(call: MemoryCall) -> None:
    await asks(call)
    await asyncio.sleep(5)


def said(llm: Answers, request: int = -1) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in llm.asked[request]]


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


def test_another_part_stands_in_for_one_that_fails_which_nobody_waits_for_until_it_is_well(
    converse: Converse,
) -> None:
    first = Answers(
        [[BackendError("the model is overloaded", retryable=True)], [100.0], ["I am back. "], ["I am back. "]]
    )
    second = Answers([[0.5, "I stand in. "]])

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        for number, wait in ((1, 1.0), (2, 40.0), (3, 70.0), (4, 1.0), (5, 1.0)):
            await alice.speak(speech("alice_question.wav"))
            await call.wait_for("reply_ended", number)
            await asyncio.sleep(wait)

    call = converse(bot(Understands([["Hi."]]), [first, second], tts := Speaks()), script)
    # The third turn tries it beside the second model, which takes no longer for it; so does the fourth.
    assert tts.said == ["I stand in."] * 4 + ["I am back."]
    assert [timed.parts["llm"] for timed in call.of("reply_latency")[:4]] == pytest.approx([0.5] * 4)
    assert first.closed == ["closed", "closed", "closed", "finished"]
    assert [warning.message for warning in call.of("backend_warning")] == [
        "the language model failed (the model is overloaded): the next one stands in",
        "the language model answers again: the part that failed is used from now on",
    ]


def test_a_part_that_gives_nothing_is_not_waited_for(converse: Converse) -> None:
    slow, quick = Answers([[100.0, "Late."]]), Answers([["Here. "]])
    call = converse(bot(Understands([["Hi."]]), [slow, quick], tts := Speaks(), deadline=2.0), asks)
    assert tts.said == ["Here."]
    assert slow.closed == ["closed"]
    assert "gave nothing for 2 s" in call.of("backend_warning")[0].message


def test_a_reply_that_breaks_off_ends_with_what_there_was_and_the_next_turn_is_answered(
    converse: Converse,
) -> None:
    llm = Answers([["So far. ", BackendError("the connection was cut", retryable=True)], ["Again. "]])

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        for number in (1, 2):
            await alice.speak(speech("alice_question.wav"))
            await call.wait_for("reply_ended", number)

    call = converse(bot(Understands([["Hi."]]), llm, tts := Speaks()), script)
    assert tts.said == ["So far.", "Again."]
    (warning,) = call.of("backend_warning")
    assert warning.message == "a reply could not be given: the connection was cut"
    assert said(llm)[-2:] == [("assistant", "So far."), ("user", "Hi.")]


def test_a_part_that_only_the_user_can_mend_ends_the_call_with_its_sentence(converse: Converse) -> None:
    tts = Speaks(errors=deque([BackendError("the key is refused: check it", failure="auth")]))
    with pytest.raises(BackendError, match="the key is refused: check it"):
        converse(bot(Understands([["Hi."]]), Answers([["Hello. "]]), tts), asks_and_stays)


def test_three_replies_in_a_row_that_cannot_be_given_end_the_call(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        for number in (1, 2, 3):
            await alice.speak(speech("alice_question.wav"))
            await call.wait_for("backend_warning", number)
        await asyncio.sleep(5)

    away = BackendError("it is away: start it", retryable=True)
    with pytest.raises(
        BackendError, match="it is away: start it: given up after 3 replies in a row"
    ) as ended:
        converse(bot(Understands([["Hi."]]), Answers([[away]]), Speaks()), script)
    assert ended.value.failure == "network"


class Odd(Speaks):
    async def speak(self, text: str) -> AsyncIterator[bytes]:
        yield b"odd"
        raise ZeroDivisionError


class Arrays(Speaks):
    async def speak(self, text: str) -> AsyncIterator[bytes]:
        yield tone(0.1, 24000)  # type: ignore[misc]


BUGS = [
    (
        (Understands([[ValueError("a bug")]]), Answers([["Hi. "]]), Speaks()),
        r"Understands \(speech to text\) failed \(ValueError\('a bug'\), raised at "
        r"tests/cascade/components\.py:\d+\): `log: {level: debug}` shows the traceback$",
    ),
    (
        (Understands([["Hi."]]), Answers([[5]]), Speaks()),  # type: ignore[list-item]
        "the backend Cascade failed",
    ),
    (
        (Understands([["Hi."]]), Answers([["Hi. And so on. ", 60.0]]), Odd()),
        r"Odd \(text to speech\) failed \(ZeroDivisionError\(\), raised at tests/cascade/test_cascade\.py:",
    ),
    (
        (Understands([["Hi."]]), Answers([["Hi. "]]), Arrays()),
        r"Arrays \(text to speech\) gives a ndarray: yield bytes, 16-bit little-endian mono",
    ),
]


@pytest.mark.parametrize("preemptive", [False, True])
@pytest.mark.parametrize(("parts", "told"), BUGS, ids=["stt", "llm", "tts", "arrays"])
def test_a_bug_in_a_part_ends_the_call_and_names_the_part_and_its_line(
    converse: Converse,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    parts: tuple[Understands, Answers, Speaks],
    told: str,
    preemptive: bool,
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    with caplog.at_level(logging.DEBUG), pytest.raises(BackendError, match=told):
        converse(bot(*parts, preemptive=preemptive), asks_and_stays)
    assert "Traceback" in caplog.text or "gives a ndarray" in told


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
