"""Bots that hand a call over: who speaks then, with which tools and voice, and what it knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade, LLMToolCall
from fishjam_agents.backends.cascade.reply import ASKED
from fishjam_agents.backends.vendors import VendorEndpoint, VendorLimits, Vendors
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from fishjam_agents.tools.handoff import Handoff
from fishjam_agents.tools.tool import tool
from tests.cascade.calls import bot, said
from tests.cascade.components import Answers, Speaks, Understands
from tests.pipeline.conftest import speech, tone
from tests.pipeline.test_journal import Told, asks_and_hears

Converse = Callable[..., MemoryCall]
GO_ON = LLMToolCall("c1", "to_billing", {"about": "a refund"})


class Billing(AgentPipeline):
    instructions = "You are billing."

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    @tool
    async def invoices(self) -> str:
        """The open invoices."""
        return "none"

    async def on_handoff(self, summary: str) -> None:
        self.heard.append(summary)

    async def on_transcript(self, text: str, final: bool, peer: str | None) -> None:
        if final:
            self.heard.append(text)


class Reception(AgentPipeline):
    made: list[Billing]

    def __init__(self) -> None:
        super().__init__()
        self.made = []
        self.heard: list[str] = []
        self.handoffs = {"billing": self.billing}

    def billing(self) -> Billing:
        self.made.append(Billing())
        return self.made[-1]

    @tool
    async def to_billing(self, about: str) -> Handoff:
        """Hand the call over to billing."""
        return Handoff("billing", about)

    async def on_transcript(self, text: str, final: bool, peer: str | None) -> None:
        if final:
            self.heard.append(text)


async def two_turns(call: MemoryCall) -> None:
    (alice,) = await call.arrive("alice")
    await alice.speak(speech("alice_question.wav"))
    await call.wait_for("reply_ended")
    await alice.speak(speech("alice_question.wav"))
    await call.wait_for("reply_ended", 2)


def test_a_tool_hands_over_and_the_same_model_goes_on_as_the_other_bot(converse: Converse) -> None:
    llm = Answers([[GO_ON], ["Billing here. "], ["Fine. "]])
    pipeline = bot(Understands([["A refund."], ["Thanks."]]), llm, Speaks(), kind=Reception)
    call = converse(pipeline, two_turns)
    assert isinstance(pipeline, Reception)
    # One was made to check it, before the call.
    billing = pipeline.made[-1]
    before, after, later = llm.asked
    assert before[0].text == "Be brief."
    assert after[0].text == later[0].text == "You are billing.\n\nThe call was handed over to you: a refund"
    assert llm.tools == [["to_billing"], ["invoices"], ["invoices"]]
    assert [message.role for message in after] == ["system", "user", "assistant", "tool"]
    (changed,) = call.of("bot_changed")
    assert (changed.bot, changed.before) == ("billing", "Reception")
    assert [tool.outcome for tool in call.of("tool_called")] == ["ok"]
    assert (pipeline.heard, billing.heard) == (["A refund."], ["a refund", "Thanks."])
    assert billing.call_id is None


def test_another_voice_and_model_go_on_with_what_was_said(converse: Converse) -> None:
    llm = Answers([["Hello. "], ["One moment. ", GO_ON]])
    theirs, voice = Answers([["Billing here. "], ["Fine. "]]), Speaks()
    pipeline = bot(Understands([["Hi."], ["A refund."]]), llm, tts := Speaks(), kind=Reception)
    words = Understands([["Thanks."]])

    def billing() -> Billing:
        other = Billing()
        other.backend = Cascade([words], [theirs], [voice])
        return other

    pipeline.handoffs = {"billing": billing}

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        for ended in (1, 3, 4):
            await alice.speak(speech("alice_question.wav"))
            await call.wait_for("reply_ended", ended)

    call = converse(pipeline, script)
    assert (tts.said, voice.said) == (["Hello.", "One moment."], ["Billing here.", "Fine."])
    told = said(theirs, 0)
    assert told[:-1] == [
        ("system", "You are billing.\n\nThe call was handed over to you: a refund"),
        ("user", "Hi."),
        ("assistant", "Hello."),
        ("user", "A refund."),
        ("assistant", "One moment."),
    ]
    assert told[-1][1].startswith(f"[{ASKED}: You have just taken over this call.")
    assert said(theirs, 1)[-2:] == [("assistant", "Billing here."), ("user", "Thanks.")]
    assert not call.of("reply_interrupted")
    assert not call.of("backend_failure")
    assert not call.of("connection_lost")


def test_a_bot_becomes_another_one_by_itself_and_says_something(converse: Converse) -> None:
    llm = Answers([["Billing here. "]])
    pipeline = bot(Understands([["Hi."]]), llm, Speaks(), kind=Reception)

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        pipeline.become(Billing, "a refund")
        # What the app asks for is said by whoever has the call.
        await pipeline.respond("Say who you are.")

    converse(pipeline, script)
    assert said(llm)[0][1].startswith("You are billing.")


def test_a_model_of_another_shape_takes_over_with_its_audio_resampled(converse: Converse) -> None:
    """From a model at 24 kHz that hears turns as they are spoken to a cascade that wants them whole."""
    calls = [port.ToolCall("c1", "to_billing", {"about": "a refund"})]
    offers = port.Capabilities(input_rate=24000, output_rate=16000, tools=True)
    model = Scripted([Step(port.TurnStartedInput), Step(port.TurnEndedInput, calls)], offers)
    llm, voice, stt = Answers([["Billing here. "], ["Fine. "]]), Speaks(), Understands([["Thanks."]])
    pipeline = Reception()
    pipeline.backend = model

    def billing() -> Billing:
        other = Billing()
        other.backend = Cascade([stt], [llm], [voice])
        return other

    pipeline.handoffs = {"billing": billing}
    call = converse(pipeline, two_turns)
    model.finish()
    assert voice.said == ["Billing here.", "Fine."]
    (heard,) = stt.heard
    assert len(heard) / 16000 == pytest.approx(len(speech("alice_question.wav")) / 16000, abs=1.0)
    assert [ended.heard.seconds for ended in call.of("reply_ended")] == pytest.approx([0.65, 0.25], abs=0.02)


def test_what_is_being_said_is_said_to_its_end(converse: Converse) -> None:
    opening = [port.ReplyStarted("r1"), port.ReplyAudio("r1", tone(3.0)), port.ReplyTextDelta("r1", "Long.")]
    can = port.Capabilities(tools=True)
    first, second = Scripted([Step(None, opening)], can), Scripted((), can)
    pipeline = Reception()
    pipeline.backend = first

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        await call.wait_for("reply_first_audio")
        other = Billing()
        other.backend = second
        pipeline.become(other)
        await call.wait_for("reply_ended")
        assert not first.sessions

    call = converse(pipeline, script)
    (ended,) = call.of("reply_ended")
    assert ended.heard.seconds == pytest.approx(3.0, abs=0.03)


@pytest.mark.parametrize("wanted", ["biling", int])
def test_who_cannot_take_over_is_one_sentence_for_the_app_and_for_the_model(
    converse: Converse, wanted: object
) -> None:
    class Wrong(Reception):
        @tool
        async def wrong(self) -> Handoff:
            """Hand over."""
            return Handoff(wanted)

    llm = Answers([[LLMToolCall("c1", "wrong", {})], ["Sorry. "]])
    pipeline = bot(Understands([["Hi."]]), llm, Speaks(), kind=Wrong)
    sentences = {
        "biling": "Wrong hands the call over to 'biling', which is none of its handoffs: use billing",
        int: "<class 'int'> cannot take a call over: give an AgentPipeline, its class, or what makes one",
    }

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        with pytest.raises(FishjamAgentsError) as refused:
            pipeline.become(wanted)  # type: ignore[arg-type]
        assert str(refused.value) == sentences[wanted]  # type: ignore[index]
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended")

    call = converse(pipeline, script)
    (error,) = call.of("error")
    assert error.message == sentences[wanted]  # type: ignore[index]
    assert said(llm)[-1] == ("tool", f"wrong: {sentences[wanted]}")  # type: ignore[index]


def test_tools_and_instructions_change_in_a_call(converse: Converse) -> None:
    llm = Answers([["One. "], ["Two. "]])
    pipeline = bot(Understands([["Hi."]]), llm, Speaks(), kind=Reception)

    @tool
    async def weather() -> str:
        """The weather."""
        return "sun"

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended")
        pipeline.update(instructions="Be kind.", tools=[weather])
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended", 2)

    call = converse(pipeline, script)
    assert llm.tools == [["to_billing"], ["to_billing", "weather"]]
    assert [asked[0].text for asked in llm.asked] == ["Be brief.", "Be kind."]
    assert not call.of("error")


def test_hearing_per_peer_keeps_its_backend(converse: Converse) -> None:
    from fishjam_agents.hearing.settings import HearingSettings

    pipeline = bot(Understands([["Hi."]]), Answers([["Fine. "]]), Speaks(), kind=Reception)
    pipeline.hearing = HearingSettings(mode="per_peer")

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        other = Billing()
        other.backend = Cascade([Understands([["Hi."]])], [Answers([["Hm."]])], [Speaks()])
        with pytest.raises(FishjamAgentsError, match="Billing needs a session of its own, and with hearing"):
            pipeline.become(other)
        pipeline.become(Billing())
        await asyncio.sleep(0.1)

    converse(pipeline, script)


def test_a_process_that_goes_on_with_a_call_goes_on_as_the_bot_that_had_it() -> None:
    told = Told()
    first = bot(
        Understands([["A refund."]]), Answers([[GO_ON], ["Billing here. "]]), Speaks(), kind=Reception
    )
    told.serve(first, asks_and_hears)
    assert told.past.bot == "billing"
    llm = Answers([["Fine. "]])
    second = bot(Understands([["Thanks."]]), llm, Speaks(), kind=Reception)
    call = told.serve(second, asks_and_hears)
    assert said(llm)[0] == ("system", "You are billing.\n\nThe call was handed over to you: a refund")
    assert llm.tools[0] == ["invoices"]
    assert second.instructions == "Be brief."
    assert not [event for event in call.events if event["kind"] in ("error", "bot_changed")]


def test_who_is_speaking_goes_on_in_the_session_that_takes_over(converse: Converse) -> None:
    first = Scripted([Step(port.TurnStartedInput)], port.Capabilities(tools=True))
    second = Scripted([Step(port.TurnStartedInput), Step(port.TurnEndedInput)], port.Capabilities(tools=True))
    pipeline = Reception()
    pipeline.backend = first

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        speaking = asyncio.create_task(alice.speak(speech("alice_question.wav")))
        await call.wait_for("user_started_speaking")
        await asyncio.sleep(1.0)
        other = Billing()
        other.backend = second
        pipeline.become(other)
        await speaking
        await call.wait_for("user_turn_ended")
        await asyncio.sleep(0.5)

    converse(pipeline, script)
    first.finish()
    second.finish()


def test_an_account_that_is_full_keeps_the_call_where_it_is(converse: Converse) -> None:
    class Full(Scripted):
        limits = VendorLimits(calls=1)

        @property
        def endpoint(self) -> VendorEndpoint:
            return VendorEndpoint("Full")

    llm = Answers([[GO_ON], ["Sorry, billing is busy. "]])
    pipeline = bot(Understands([["A refund."]]), llm, Speaks(), kind=Reception)

    def billing() -> Billing:
        other = Billing()
        other.backend = Full(offers=port.Capabilities(tools=True))
        return other

    pipeline.handoffs = {"billing": billing}

    async def script(call: MemoryCall) -> None:
        Vendors.shared().account(VendorEndpoint("Full"), VendorLimits(calls=1)).take_place()
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended")

    call = converse(pipeline, script)
    assert not call.of("bot_changed")
    assert said(llm)[-1][0] == "tool"
    assert "to_billing: " in said(llm)[-1][1]


def test_a_call_that_goes_on_without_a_vendor_leaves_its_place_to_others(converse: Converse) -> None:
    class Limited(Scripted):
        limits = VendorLimits(calls=1)

        @property
        def endpoint(self) -> VendorEndpoint:
            return VendorEndpoint("Limited")

    class First(AgentPipeline):
        backend = Limited()

    class Second(AgentPipeline):
        backend = Scripted()

    places: list[int] = []

    async def script(call: MemoryCall) -> None:
        account = Vendors.shared().account(VendorEndpoint("Limited"), VendorLimits(calls=1))
        await call.arrive("alice")
        places.append(account.calls)
        pipeline.become(Second())
        await call.wait_for("bot_changed")
        await asyncio.sleep(1.0)
        places.append(account.calls)

    pipeline = First()
    converse(pipeline, script)
    assert places == [1, 0]


def test_nobody_goes_on_with_a_call_that_is_over(converse: Converse) -> None:
    class Late(Reception):
        async def on_stop(self) -> None:
            with pytest.raises(FishjamAgentsError, match="the call is over: no other bot goes on with it"):
                self.become("billing")
            self.heard.append("refused")

    pipeline = bot(Understands([["Hi."]]), Answers([["Fine. "]]), Speaks(), kind=Late)

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")

    call = converse(pipeline, script)
    assert isinstance(pipeline, Late)
    assert pipeline.heard == ["refused"]
    assert not call.of("bot_changed")
