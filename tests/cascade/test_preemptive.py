"""Answers that are begun before it is certain that the turn is over, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fishjam_agents.backends.cascade import LLMToolCall, LLMUsage
from fishjam_agents.backends.cascade.preemptive import same_words
from fishjam_agents.errors import BackendError
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall
from fishjam_agents.tools import tool
from fishjam_agents.turns.settings import TurnSettings
from tests.cascade.calls import asks, bot, said
from tests.cascade.components import Answers, Speaks, Understands
from tests.pipeline.conftest import converse, speech

__all__ = ["converse"]
Converse = Callable[..., MemoryCall]


def outcomes(call: MemoryCall) -> list[str]:
    return [event.outcome for event in call.of("preemptive_reply")]


async def pauses_and_goes_on(call: MemoryCall) -> None:
    """Alice pauses for 0.5 s in the middle of what she says."""
    (alice,) = await call.arrive("alice")
    words = speech("alice_question.wav")
    await alice.speak(words)
    await asyncio.sleep(0.5)
    await alice.speak(words)
    await call.wait_for("reply_ended")


@pytest.mark.parametrize("preemptive", [False, True])
def test_the_reply_comes_as_much_earlier_as_was_done_before_the_turn_was_over(
    converse: Converse, preemptive: bool
) -> None:
    parts = Understands([[0.1, "Hi."]]), Answers([[0.1, "Hello. "]]), Speaks(first=0.1)
    call = converse(bot(*parts, preemptive=preemptive), asks)
    (turn,), (audio,) = call.of("user_turn_ended"), call.of("reply_first_audio")
    assert audio.at - turn.at == pytest.approx(0.0 if preemptive else 0.3, abs=0.005)
    (timed,) = call.of("reply_latency")
    took = {"stt": 0.1, "waited": 0.0, "llm": 0.1, "sentence": 0.0, "tts": 0.1}
    took |= {"ahead": -0.3} if preemptive else {}
    assert timed.parts == pytest.approx(took, abs=0.001)
    assert outcomes(call) == (["adopted"] if preemptive else [])


def test_what_is_not_done_when_the_turn_ends_goes_on(converse: Converse) -> None:
    parts = Understands([[0.5, "Hi."]]), Answers([[0.5, "Hello. "]]), Speaks(first=0.5)
    call = converse(bot(*parts, preemptive=True), asks)
    (turn,), (audio,), (timed,) = (
        call.of(kind) for kind in ("user_turn_ended", "reply_first_audio", "reply_latency")
    )
    (adopted,) = call.of("preemptive_reply")
    assert 0.3 < adopted.seconds < 0.5
    assert audio.at - turn.at == pytest.approx(1.5 - adopted.seconds, abs=0.005)
    assert sum(timed.parts.values()) == pytest.approx(audio.at - turn.at, abs=0.01)
    assert len(parts[0].heard) == 1


def test_nothing_is_told_before_the_turn_is_over(converse: Converse) -> None:
    llm = Answers([["Hello there. ", "And more. "]])
    tts = Speaks()

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("user_stopped_speaking")
        await asyncio.sleep(0.2)
        assert tts.said == ["Hello there."]
        assert not {"user_transcript", "reply_started", "reply_text"} & set(call.kinds)
        await call.wait_for("reply_ended")

    call = converse(bot(Understands([["Hi."]]), llm, tts, preemptive=True), script)
    after = call.kinds[call.kinds.index("user_turn_ended") + 1 :]
    assert after.index("user_transcript") < after.index("reply_started") < after.index("reply_first_audio")
    (ended,) = call.of("reply_ended")
    assert ended.heard.text.split() == ["Hello", "there.", "And", "more."]
    assert said(llm) == [("system", "Be brief."), ("user", "Hi.")]


def test_a_speaker_who_goes_on_hears_nothing_of_it_and_its_streams_are_closed_at_once(
    converse: Converse,
) -> None:
    stt = Understands([["First half."], ["All of it."]])
    llm = Answers([["Too early. ", 60.0], ["Now. "]])
    tts = Speaks(first=60.0)
    resumed: list[float] = []

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await asyncio.sleep(0.4)
        assert (llm.closed, tts.closed) == ([], [])
        alice.say(speech("alice_question.wav"))
        await call.wait_for("user_started_speaking", 2)
        await asyncio.sleep(0.01)
        assert (llm.closed, tts.closed) == (["closed"], ["closed"])
        resumed.append(call.of("user_started_speaking")[1].at)
        await call.wait_for("user_turn_ended")

    call = converse(bot(stt, llm, tts, preemptive=True), script)
    assert outcomes(call)[0] == "went_on"
    assert call.of("preemptive_reply")[0].at == pytest.approx(resumed[0], abs=0.001)
    assert [event.text for event in call.of("user_transcript") if event.final] in ([], ["All of it."])
    assert len(call.of("user_turn_ended")) == 1


def test_a_turn_with_a_pause_is_answered_once_with_all_its_words(converse: Converse) -> None:
    stt = Understands([["First half."], ["First half. All of it."]])
    llm = Answers([["Too early. "], ["Now. "]])
    call = converse(bot(stt, llm, tts := Speaks(), preemptive=True), pauses_and_goes_on)
    assert outcomes(call) == ["went_on", "adopted"]
    assert tts.said == ["Too early.", "Now."]
    assert said(llm)[1:] == [("user", "First half. All of it.")]
    assert [event.text for event in call.of("reply_text")] == ["Now. "]
    (first, second) = stt.heard
    assert len(second) > len(first) + 16000
    # The sound that was heard is the second answer's, and of no other length.
    assert call.of("reply_ended")[0].heard.seconds == pytest.approx(0.2, abs=0.01)


def test_what_was_spent_in_vain_is_counted(converse: Converse) -> None:
    llm = Answers([["Too early. ", LLMUsage({"tokens": 7})], ["Now. ", LLMUsage({"tokens": 9})]])
    stt = Understands([["Half."], ["All."]])
    call = converse(bot(stt, llm, Speaks(), preemptive=True), pauses_and_goes_on)
    assert [event.amounts for event in call.of("backend_usage")] == [{"tokens": 7}, {"tokens": 9}]


def test_only_the_first_pauses_of_a_turn_are_answered(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        for _ in range(6):
            await alice.speak(speech("alice_yes.wav"))
            await asyncio.sleep(0.45)
        await call.wait_for("reply_ended")

    llm = Answers([["Yes. "]])
    call = converse(bot(Understands([["Yes."]]), llm, Speaks(), preemptive=True), script)
    assert len(call.of("user_turn_ended")) == 1
    assert outcomes(call) == ["went_on"] * 3
    assert len(llm.asked) == 4


class Weather(AgentPipeline):
    asked_at: float = -1.0

    @tool
    async def weather(self, city: str) -> str:
        """The weather of a city."""
        self.asked_at = asyncio.get_running_loop().time()
        return f"sunny in {city}"


def test_a_tool_is_called_when_the_turn_is_over_and_not_before(converse: Converse) -> None:
    call_it = LLMToolCall("c1", "weather", {"city": "Kyoto"})
    ended: list[float] = []

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("user_turn_ended")
        ended.append(asyncio.get_running_loop().time())
        await call.wait_for("reply_ended")

    llm = Answers([[call_it], ["Sunny. "]])
    pipeline = bot(
        Understands([["Weather?"]]), llm, tts := Speaks(), Weather, preemptive=True, filler="One moment."
    )
    call = converse(pipeline, script)
    assert isinstance(pipeline, Weather)
    # `until` looks every 10 ms.
    assert pipeline.asked_at == pytest.approx(ended[0], abs=0.011)
    assert pipeline.asked_at >= call.of("user_turn_ended")[0].at
    assert outcomes(call) == ["adopted"]
    assert tts.said == ["One moment.", "Sunny."]
    assert [message.role for message in llm.asked[1]] == ["system", "user", "assistant", "assistant", "tool"]


def test_a_tool_of_an_answer_that_is_not_adopted_is_never_called(converse: Converse) -> None:
    llm = Answers([[LLMToolCall("c1", "weather", {"city": "Kyoto"})], ["Now. "]])
    pipeline = bot(Understands([["Half."], ["All."]]), llm, Speaks(), Weather, preemptive=True)
    call = converse(pipeline, pauses_and_goes_on)
    assert isinstance(pipeline, Weather)
    assert pipeline.asked_at == -1.0
    assert not call.of("tool_called")


ILL = BackendError("the service is ill", retryable=True)


@pytest.mark.parametrize("part", ["stt", "llm", "tts"])
def test_a_part_that_fails_before_the_turn_is_over_does_so_silently(converse: Converse, part: str) -> None:
    stt = Understands([[ILL], ["Hi."]] if part == "stt" else [["Hi."]])
    llm = Answers([[ILL], ["Hello. "]] if part == "llm" else [["Hello. "]])
    tts = Speaks()
    if part == "tts":
        tts.errors.append(ILL)
    call = converse(bot(stt, llm, tts, preemptive=True), asks)
    assert outcomes(call) == ["failed"]
    assert not call.of("backend_warning")
    assert [event.text for event in call.of("reply_text")] == ["Hello. "]
    assert [event.text for event in call.of("user_transcript") if event.final] == ["Hi."]
    # What was understood is not asked for again.
    assert len(stt.heard) == (2 if part == "stt" else 1)


def test_everybody_has_an_answer_begun_of_their_own(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        alice, bob = await call.arrive("alice", "bob")
        await alice.speak(speech("alice_question.wav"))
        await asyncio.sleep(0.3)
        await bob.speak(speech("bob_question.wav"))
        await call.wait_for("reply_ended", 2)

    pipeline = bot(Understands([[0.1, "Hi."]]), Answers([[0.1, "Hello. "]]), Speaks(), preemptive=True)
    pipeline.hearing = HearingSettings(mode="per_peer")
    call = converse(pipeline, script)
    adopted = [event for event in call.of("preemptive_reply") if event.outcome == "adopted"]
    assert [event.peer for event in adopted] == ["alice", "bob"]


def test_an_answer_is_begun_for_a_mix_of_everybody(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        alice, bob = await call.arrive("alice", "bob")
        for number, peer in enumerate((alice, bob)):
            await peer.speak(speech("alice_question.wav"))
            await call.wait_for("reply_ended", number + 1)

    pipeline = bot(Understands([[0.1, "Hi."]]), Answers([[0.1, "Hello. "]]), Speaks(), preemptive=True)
    pipeline.hearing = HearingSettings(mode="mix")
    assert outcomes(converse(pipeline, script)) == ["adopted", "adopted"]


def test_ears_that_close_in_a_pause_end_the_turn_which_is_understood_again(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("user_stopped_speaking")
        await asyncio.sleep(0.2)
        call.bot.listen(False)
        await call.wait_for("reply_ended")

    stt = Understands([["Hi!"], ["hi"]])
    call = converse(bot(stt, Answers([["Hello. "]]), Speaks(), preemptive=True), script)
    assert [event.reason for event in call.of("user_turn_ended")] == ["app"]
    assert outcomes(call) == ["adopted"]
    assert len(stt.heard) == 2


def test_a_turn_that_waited_for_the_floor_is_answered_as_ever(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        alice, bob = await call.arrive("alice", "bob")
        alice.say(speech("alice_long.wav"))
        await asyncio.sleep(1.0)
        await bob.speak(speech("alice_yes.wav"))
        await call.wait_for("reply_ended", 2)

    stt = Understands([["Hi."]])
    call = converse(bot(stt, Answers([["Hello. "]]), Speaks(), preemptive=True), script)
    assert [event.peer for event in call.of("user_turn_ended")] == ["bob", "alice"]
    assert {event.peer for event in call.of("preemptive_reply")} == {"alice"}
    assert [event.peer for event in call.of("user_transcript") if event.final] == ["alice", "bob"]


def test_a_turn_by_push_to_talk_has_no_pauses(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        call.bot.start_turn("alice")
        await alice.speak(speech("alice_question.wav"))
        await asyncio.sleep(1.0)
        call.bot.end_turn("alice")
        await call.wait_for("reply_ended")

    pipeline = bot(Understands([["Hi."]]), Answers([["Hello. "]]), Speaks(), preemptive=True)
    pipeline.turns = TurnSettings(mode="push_to_talk")
    call = converse(pipeline, script)
    assert outcomes(call) == []
    assert len(call.of("reply_ended")) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("What is a fish?", "what is a fish", True),
        ("It\u2019s", "Its", True),
        ("It's", "Its", True),
        ("a b", "ab", False),
        ("stop", "don't stop", False),
        ("", "...", True),
        ("\uff21", "a", True),
    ],
)
def test_words_are_the_same_whatever_their_writing(one: str, other: str, same: bool) -> None:
    assert same_words(one, other) is same
