"""Checks of what is beside the conversation: notes, updates, questions, messages of the vendor's own."""

from __future__ import annotations

from functools import partial

from fishjam_agents.backends import port
from fishjam_agents.testing.conformance.checks import Checks
from fishjam_agents.testing.conformance.fake_service import FakeService
from fishjam_agents.testing.conformance.harness import ECHO, Harness

_OTHER = port.ToolDeclaration("kit_other", "Do something else.", ECHO.parameters)
_NOTE = "[Ann has come in.]"
_ASK = "How many fish were mentioned?"


class OutOfBandChecks(Checks):
    """Known and not answered; told once and for all; asked without being heard."""

    def test_a_note_is_known_and_not_answered(self) -> None:
        """With `text`: what is only to be known is there for the next answer, and asks for none."""
        claims = self.capabilities()
        self.applies(claims.text, "takes no text")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            if claims.output_rate:
                await far.reply(0.4, 3000)
            harness.put(port.TextInput(_NOTE, note=True))
            if far.unprompted:
                await harness.until(lambda: harness.received("text"), "the note")
            await harness.settle(0.7)
            assert not harness.of(port.ReplyStarted), "a note was answered"
            assert not harness.of(port.ReplyAudio), "a note was answered"
            harness.turn(0.6, 3000)
            await harness.until(lambda: harness.received("text"), "the note")
            # It may have been put before the words of the turn.
            told = [item.value for item in harness.received("text")]
            assert sum(text.count(_NOTE) for text in told) == 1, f"the note arrived as {told}"
            if claims.output_rate:
                await harness.until(lambda: harness.of(port.ReplyAudio), "the answer to the turn after it")

        self.run(check)

    def test_new_instructions_and_tools_hold_from_then_on(self) -> None:
        """Also on later connections, and the conversation goes on with them."""
        claims = self.capabilities()
        sees = self.fake_service().sees
        self.applies("instructions" in sees, "the wire does not show instructions")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            harness.put(port.UpdateInput(instructions="Speak like a sailor."))
            if claims.tools:
                harness.put(port.UpdateInput(tools=[_OTHER]))
            harness.prompt()
            for _ in range(2 if far.connects else 1):
                await harness.until(
                    lambda: _last(harness, "instructions") == "Speak like a sailor.", "new instructions"
                )
                if claims.tools and "tools" in sees:
                    await harness.until(lambda: _last(harness, "tools") == (_OTHER.name,), "the new tools")
                if not far.connects:
                    break
                await harness.settle(0.5)
                losses = len(harness.of(port.BackendFailure)) + 1
                await far.drop()
                await harness.until(partial(_failed, harness, losses), "notice of the loss")
                await harness.until(lambda: far.open_connections() == 1, "the next connection")
                await harness.settle(0.3)
            if claims.output_rate:
                await harness.reply_begins(3000, 0.4)

        self.run(check)

    def test_a_question_is_answered_in_writing_and_the_conversation_goes_on(self) -> None:
        """With `out_of_band`: under its id, once, and nothing is spoken."""
        claims = self.capabilities()
        self.applies(claims.out_of_band, "answers no questions beside the conversation")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            await far.answer_question("Forty-two.")
            harness.put(port.OutOfBandInput("q-1", _ASK))
            await harness.until(lambda: harness.of(port.OutOfBandResponse), "the answer")
            await harness.settle()
            assert harness.of(port.OutOfBandResponse) == [port.OutOfBandResponse("q-1", "Forty-two.")]
            assert not harness.of(port.ReplyStarted), "the answer was spoken"
            await harness.reply_begins(3000, 0.4)

        self.run(check)

    def test_a_question_during_a_reply_leaves_the_reply_alone(self) -> None:
        """With `out_of_band`: both are given at the same time."""
        claims = self.capabilities()
        self.applies(claims.out_of_band, "answers no questions beside the conversation")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            reply = await harness.reply_begins(3000, 1.0)
            await far.answer_question("Forty-two.")
            harness.put(port.OutOfBandInput("q-1", _ASK))
            await harness.until(lambda: harness.of(port.OutOfBandResponse), "the answer")
            await harness.until(lambda: harness.of(port.ReplyAudioEnded), "the end of the reply")
            seconds = sum(len(event.samples) for event in harness.of(port.ReplyAudio) if event.reply == reply)
            assert seconds / claims.output_rate > 0.95, "the reply was cut for the question"

        self.run(check)

    def test_a_question_without_an_answer_is_asked_again_on_the_next_connection(self) -> None:
        """With `out_of_band`."""
        self.applies(self.capabilities().out_of_band, "answers no questions beside the conversation")
        self.applies(self.fake_service().connects, "has no lasting connection to lose")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            await harness.until(lambda: far.open_connections() == 1, "a connection")
            await far.stall()
            harness.put(port.OutOfBandInput("q-1", _ASK))
            await harness.settle(0.5)
            await far.answer_question("Forty-two.")
            await far.drop()
            await harness.until(
                lambda: harness.of(port.OutOfBandResponse), "the answer", far.notices + far.patience
            )
            await harness.settle()
            assert harness.of(port.OutOfBandResponse) == [port.OutOfBandResponse("q-1", "Forty-two.")]

        self.run(check)

    def test_a_message_of_the_vendors_own_arrives_as_it_is(self) -> None:
        """With `control`."""
        self.applies(self.capabilities().control, "takes no messages of its vendor's own")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            harness.put(port.ControlInput(far.control))
            await harness.until(lambda: harness.received("control"), "the message")
            assert [item.value for item in harness.received("control")] == [dict(far.control)]

        self.run(check)


def _failed(harness: Harness, times: int) -> bool:
    return len(harness.of(port.BackendFailure)) >= times


def _last(harness: Harness, kind: str) -> object:
    found = harness.received(kind)
    return found[-1].value if found else None
