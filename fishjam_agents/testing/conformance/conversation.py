"""Checks of what goes to the model: order, text, images, and the end of the conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby

from fishjam_agents.backends import port
from fishjam_agents.backends.conversation import BotLine, PastConversation, ToolLine, UserLine
from fishjam_agents.testing.conformance.checks import Checks
from fishjam_agents.testing.conformance.fake_service import FakeService, Received
from fishjam_agents.testing.conformance.harness import Harness

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + bytes(200) + b"\xff\xd9"
"""The head and tail of a JPEG: backends pass pictures on and do not open them."""
PAST = PastConversation(
    (
        UserLine("Is seat seven free?", "ann"),
        ToolLine("c1~1", "kit_echo", {"text": "seat 7"}, "no one sits there"),
        BotLine("It is, shall I book it?", "Or would you rather wait?", cut=True),
    ),
    lost=3.0,
)
"""A call that goes on: a question, a tool, and a reply of which half was heard."""
_RATES = (0, 8000, 16000, 22050, 24000, 32000, 44100, 48000)


class ConversationChecks(Checks):
    """Order of control and audio, clean close."""

    def test_its_capabilities_agree_with_one_another(self) -> None:
        """Rates are rates, and what rests on something else does not come alone."""
        claims = self.capabilities()
        assert claims.input_rate in _RATES, f"input_rate {claims.input_rate} is no sample rate"
        assert claims.output_rate in _RATES, f"output_rate {claims.output_rate} is no sample rate"
        assert claims.tools or not claims.background_tools, "background_tools without tools"
        assert not (claims.wants_turn_audio and claims.own_turn_detection), (
            "wants_turn_audio hands over turns that are complete: who detects them itself needs the audio"
        )

    def test_what_is_sent_arrives_in_order(self) -> None:
        """Turns, audio, text and images neither overtake one another nor are lost."""
        claims = self.capabilities()

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            expected: list[str] = []
            for number in range(3):
                harness.turn(0.6)
                expected += ["turn_started", "turn_ended"]
                if claims.input_rate and not claims.wants_turn_audio:
                    expected.insert(-1, "audio")
                if claims.text:
                    harness.put(port.TextInput(f"note {number}"))
                    expected.append("text")
                if claims.images:
                    harness.put(
                        port.ImageInput(JPEG + bytes([number]), "image/jpeg", "ann", f"camera-{number}")
                    )
                    expected.append("image")
            seen = [kind for kind in expected if kind in far.sees]
            await harness.until(lambda: len(_order(harness, far)) >= len(_merged(seen)), f"{seen}")
            await harness.settle()
            assert _order(harness, far) == _merged(seen)
            if claims.input_rate and not claims.wants_turn_audio:
                seconds = sum(item.value for item in harness.received("audio"))
                assert abs(seconds - 1.8) < 0.05, f"{seconds:.2f} s of 1.8 s audio arrived"
            if claims.text and "text" in far.sees:
                assert [item.value for item in harness.received("text")] == [f"note {n}" for n in range(3)]
            if claims.images and "image" in far.sees:
                assert [item.value for item in harness.received("image")] == [
                    JPEG + bytes([n]) for n in range(3)
                ]
            if claims.wants_turn_audio and "turn_ended" in far.sees:
                assert all(abs(item.value - 0.6) < 0.05 for item in harness.received("turn_ended"))

        self.run(check)

    def test_text_arrives_as_it_was_written(self) -> None:
        """With `text`."""
        self.applies(self.capabilities().text, "takes no text")
        words = 'Grüße, "quotes", \U0001f41f and\na second line'

        async def check(harness: Harness, far: FakeService) -> None:
            harness.put(port.TextInput(words))
            await harness.until(lambda: harness.received("text"), "text")
            assert [item.value for item in harness.received("text")] == [words]

        self.run(check)

    def test_pictures_arrive_as_they_are(self) -> None:
        """With `images`: the bytes are passed through."""
        self.applies(self.capabilities().images, "takes no images")

        async def check(harness: Harness, far: FakeService) -> None:
            harness.put(port.ImageInput(JPEG, "image/jpeg", "ann"))
            harness.prompt()
            await harness.until(lambda: harness.received("image"), "an image")
            assert [item.value for item in harness.received("image")] == [JPEG]

        self.run(check)

    def test_its_model_knows_what_was_said_before_this_process(self) -> None:
        """With `conversation`: what users said, what tools answered, and of replies what was heard."""
        self.applies(self.capabilities().conversation, "is told what was said in its instructions")
        self.applies(self.fake_service().shows_knowledge, "nobody can look into its model")

        async def check(harness: Harness, far: FakeService) -> None:
            harness.turn()
            told = ("Is seat seven free?", "no one sits there", "It is, shall I book it?")
            await harness.until(lambda: all(words in far.known() for words in told), "what was said before")
            # The pipeline asks for the rest; as a part of what was said it would be taken for heard.
            assert "Or would you rather wait?" not in far.known()

        self.run(check, earlier=PAST)

    def test_leaving_before_anything_happened_is_clean(self) -> None:
        """A call may be over before the model is there."""

        async def check(harness: Harness, far: FakeService) -> None:
            await asyncio.sleep(0)

        self.run(check)

    def test_leaving_in_the_middle_of_a_reply_is_clean(self) -> None:
        """It closes within its time, leaves no task and no connection, and says nothing afterwards."""
        self.applies(self.capabilities().output_rate > 0, "gives no audio")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            await harness.reply_begins(1000, 3.0)
            await harness.leave()
            if far.connects:
                await harness.until(lambda: far.open_connections() == 0, "end of the connection")

        self.run(check)


def _order(harness: Harness, far: FakeService) -> list[str]:
    """The kinds that arrived, pieces of audio in a row as one."""
    return _merged([item.kind for item in harness.received() if _counts(item) and item.kind in far.sees])


def _counts(item: Received) -> bool:
    return item.kind in ("turn_started", "audio", "turn_ended", "text", "image")


def _merged(kinds: Sequence[str]) -> list[str]:
    merged: list[str] = []
    for kind, run in groupby(kinds):
        merged += [kind] if kind == "audio" else list(run)
    return merged
