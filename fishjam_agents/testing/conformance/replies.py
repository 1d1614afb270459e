"""Checks of what comes from the model: replies, their end, interruptions."""

from __future__ import annotations

import numpy as np

from fishjam_agents.backends import port
from fishjam_agents.events import Heard
from fishjam_agents.testing.conformance.checks import Checks
from fishjam_agents.testing.conformance.fake_service import FakeService
from fishjam_agents.testing.conformance.harness import Harness

_OLD, _NEW = 2000, 9000
"""Sample values of an interrupted reply and of the one after it."""


class ReplyChecks(Checks):
    """Replies, interruption, stale replies."""

    def test_a_turn_is_answered_with_audio_that_begins_and_ends(self) -> None:
        """One id from the start of a reply to its end, and nothing of it afterwards."""
        self.applies(self.capabilities().output_rate > 0, "gives no audio")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            reply = await harness.reply_begins(_OLD, 0.6)
            await harness.until(
                lambda: [e for e in harness.of(port.ReplyAudioEnded) if e.reply == reply], "end of the reply"
            )
            await harness.settle()
            about = [e for e in harness.events if getattr(e, "reply", None) == reply]
            assert isinstance(about[0], port.ReplyStarted), f"a reply began with {about[0]}"
            kinds = [type(e) for e in about]
            assert kinds.count(port.ReplyStarted) == kinds.count(port.ReplyAudioEnded) == 1
            last_audio = max(i for i, kind in enumerate(kinds) if kind is port.ReplyAudio)
            assert last_audio < kinds.index(port.ReplyAudioEnded), "audio after the end of its reply"
            audio = _audio(harness, reply)
            assert audio.dtype == np.int16
            assert audio.ndim == 1
            if far.marks_replies:
                seconds = len(audio) / harness.capabilities.output_rate
                assert 0.55 <= seconds <= 2.0, f"{seconds:.2f} s of audio for a reply of 0.6 s"
                assert abs(float(np.median(audio)) - _OLD) < 200, "the audio is not what was sent"

        self.run(check)

    def test_every_reply_has_an_id_of_its_own(self) -> None:
        """Also over reconnects: audio of a dead reply is told by its id."""
        self.applies(self.capabilities().output_rate > 0, "gives no audio")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            replies = [await harness.reply_begins(_OLD, 0.4) for _ in range(3)]
            if far.connects:
                await far.drop()
                await harness.until(lambda: harness.of(port.BackendFailure), "notice of the loss")
                await harness.until(lambda: far.open_connections() == 1, "the next connection")
                replies.append(await harness.reply_begins(_OLD, 0.4))
            assert len(set(replies)) == len(replies), replies

        self.run(check)

    def test_an_interrupted_reply_ends_and_its_late_audio_is_in_no_other(self) -> None:
        """With `cancel` it ends; what of it comes late keeps its own id, by which the pipeline drops it."""
        claims = self.capabilities()
        self.applies(claims.output_rate > 0, "gives no audio")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            old = await harness.reply_begins(_OLD, 3.0)
            harness.put(port.InterruptInput(Heard(old, 0.25, "so far")))
            await harness.settle(0.5)
            before = len(_audio(harness, old))
            await harness.settle(0.5)
            if claims.cancel:
                assert len(_audio(harness, old)) == before, "an interrupted reply goes on"
            await far.late_audio()
            new = await harness.reply_begins(_NEW, 0.6)
            await far.late_audio()
            await harness.settle(0.3)
            assert new != old
            if far.marks_replies:
                audio = _audio(harness, new)
                assert abs(float(np.median(audio)) - _NEW) < 900, "audio of a dead reply is in the next one"
                assert np.mean(np.abs(audio.astype(np.int32) - _OLD) < 200) < 0.05

        self.run(check)

    def test_what_was_heard_reaches_the_model(self) -> None:
        """With `truncate`: the model forgets what nobody heard."""
        self.applies(self.capabilities().truncate, "does not forget what was not heard")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            reply = await harness.reply_begins(_OLD, 3.0)
            enough = harness.capabilities.output_rate * 0.3
            await harness.until(
                lambda: len(_audio(harness, reply)) >= enough, "as much audio as is to be heard"
            )
            harness.put(port.InterruptInput(Heard(reply, 0.25, "so far")))
            harness.prompt()
            await harness.until(lambda: harness.received("interrupt"), "the interruption")
            (item,) = harness.received("interrupt")
            if isinstance(item.value, str):
                assert item.value == "so far"
            else:
                assert item.value is not None
                assert abs(item.value - 0.25) < 0.05

        self.run(check)

    def test_an_interruption_without_a_reply_harms_nothing(self) -> None:
        """The app may interrupt at any time."""
        self.applies(self.capabilities().output_rate > 0, "gives no audio")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            harness.put(port.InterruptInput(None))
            await harness.reply_begins(_NEW, 0.4)

        self.run(check)

    def test_a_reply_that_was_interrupted_before_it_began_is_not_spoken(self) -> None:
        """With `cancel`: what was asked for and is not wanted any more."""
        claims = self.capabilities()
        self.applies(claims.output_rate > 0 and claims.cancel, "what is generated is not taken back")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            await far.reply(3.0, _OLD)
            harness.turn(0.6, _OLD)
            harness.put(port.InterruptInput(None))
            await harness.settle(0.7)
            before = len(harness.of(port.ReplyAudio))
            await harness.settle(0.5)
            assert len(harness.of(port.ReplyAudio)) == before, "a reply that nobody wants is spoken"
            await harness.reply_begins(_NEW, 0.4)

        self.run(check)

    def test_a_reply_is_whole_though_somebody_else_speaks_meanwhile(self) -> None:
        """With `replies_wait`: it may be played later, so a turn of another peer takes nothing from it."""
        claims = self.capabilities()
        self.applies(claims.output_rate > 0 and claims.replies_wait, "its replies do not wait")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            first = await harness.reply_begins(_OLD, 1.0)
            second = await harness.reply_begins(_NEW, 0.4)
            for reply in (first, second):
                await harness.until(
                    lambda reply=reply: [e for e in harness.of(port.ReplyAudioEnded) if e.reply == reply],  # type: ignore[misc]
                    "the end of both replies",
                )
            if far.marks_replies:
                seconds = len(_audio(harness, first)) / harness.capabilities.output_rate
                assert seconds > 0.95, f"{seconds:.2f} s of a reply of 1 s are left"

        self.run(check)

    def test_the_models_own_verdict_is_told(self) -> None:
        """With `own_turn_detection`: that the user interrupts, speaks, or is answered anew."""
        self.applies(self.capabilities().own_turn_detection, "leaves turns to us")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            await harness.reply_begins(_OLD, 3.0)
            begun = len(harness.events)
            await far.interrupt()
            await harness.until(
                lambda: [e for e in harness.events[begun:] if _is_verdict(e)], "the model's verdict"
            )

        self.run(check)

    def test_given_words_are_spoken_under_the_id_they_were_given(self) -> None:
        """With `verbatim_say`."""
        self.applies(self.capabilities().verbatim_say, "does not speak given words")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            harness.put(port.TextInput("good morning", verbatim=True, reply="say-7"))
            await harness.until(
                lambda: [e for e in harness.of(port.ReplyAudioEnded) if e.reply == "say-7"], "the words"
            )
            assert len(_audio(harness, "say-7"))

        self.run(check)

    def test_what_the_app_asks_for_is_said_under_the_id_it_was_given(self) -> None:
        """With `respond`."""
        self.applies(self.capabilities().respond, "cannot be told what to say")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            await far.reply(0.4, _OLD)
            harness.put(port.TextInput("Ask for the number.", reply="say-8", instructs=True))
            await harness.until(
                lambda: [e for e in harness.of(port.ReplyAudioEnded) if e.reply == "say-8"], "the reply"
            )
            assert len(_audio(harness, "say-8"))

        self.run(check)

    def test_what_the_app_asks_for_cuts_nothing_short(self) -> None:
        """With `respond`: it is said after the answer that is being given."""
        self.applies(self.capabilities().respond, "cannot be told what to say")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            answer = await harness.reply_begins(_OLD, 1.0)
            await far.reply(0.4, _NEW)
            harness.put(port.TextInput("Ask for the number.", reply="say-9", instructs=True))
            for reply in (answer, "say-9"):
                await harness.until(
                    lambda reply=reply: [e for e in harness.of(port.ReplyAudioEnded) if e.reply == reply],  # type: ignore[misc]
                    "the end of both replies",
                )
            if far.marks_replies:
                seconds = len(_audio(harness, answer)) / harness.capabilities.output_rate
                assert seconds > 0.95, f"{seconds:.2f} s of a reply of 1 s are left"

        self.run(check)


def _audio(harness: Harness, reply: str) -> port.Samples:
    pieces = [event.samples for event in harness.of(port.ReplyAudio) if event.reply == reply]
    return np.concatenate(pieces) if pieces else np.empty(0, np.int16)


def _is_verdict(event: port.BackendEvent) -> bool:
    speaks = isinstance(event, port.UserSpeech) and event.speaking
    return speaks or isinstance(event, (port.Interrupted, port.ReplyStarted))
