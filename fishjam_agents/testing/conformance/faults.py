"""Checks of connections that are alive and wrong: half-open ones, messages that are none or too large."""

from __future__ import annotations

from typing import Literal

from fishjam_agents.backends import port
from fishjam_agents.testing.conformance.checks import Checks
from fishjam_agents.testing.conformance.fake_service import FakeService
from fishjam_agents.testing.conformance.harness import Harness


class FaultChecks(Checks):
    """The call goes on, over the same connection or over another one."""

    def test_a_half_open_connection_is_noticed_and_what_was_said_into_it_arrives_once(self) -> None:
        """Exactly once where the service takes up the conversation, else at most once."""
        claims = self.capabilities()
        self.applies(self.fake_service().connects, "has no lasting connection to lose")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            await harness.until(lambda: far.open_connections() == 1, "a connection")
            await harness.reply_begins(3000, 0.4)
            await harness.until(lambda: harness.of(port.ReplyAudioEnded), "the end of a reply")
            before = len(harness.received())
            await far.stall()
            harness.turn(0.6)
            if claims.text:
                harness.put(port.TextInput("is anybody there"))
            await harness.until(
                lambda: harness.of(port.BackendFailure), "notice of the dead connection", far.notices
            )
            (failure,) = harness.of(port.BackendFailure)
            assert failure.retryable
            assert failure.failure == "network"
            await harness.until(lambda: far.open_connections() == 1, "the next connection")
            await harness.settle(1.0)
            for kind in ("text", "turn_ended"):
                if kind not in far.sees or (kind == "text" and not claims.text):
                    continue
                found = [item for item in harness.received()[before:] if item.kind == kind]
                assert len(found) <= 1, f"{kind} arrived {len(found)} times"
                if far.resumes:
                    assert found, f"{kind} that was said into a dead connection was lost"
            await harness.reply_begins(5000, 0.4)
            await harness.leave()
            await far.drop()
            await harness.settle()

        self.run(check)

    def test_messages_that_are_none_do_not_end_the_call(self) -> None:
        """They are passed over, or cost a connection."""
        self._survives("garble")

    def test_a_message_that_is_too_large_does_not_end_the_call(self) -> None:
        """It is read, or costs a connection; other calls of the process have their memory still."""
        self._survives("flood")

    def _survives(self, trouble: Literal["garble", "flood"]) -> None:
        fake_service = self.fake_service()
        self.applies(fake_service.connects and fake_service.messages, "has no connection with messages")

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            await harness.reply_begins(3000, 0.4)
            await harness.until(lambda: harness.of(port.ReplyAudioEnded), "the end of a reply")
            await getattr(far, trouble)()
            await harness.settle(1.0)
            await harness.until(lambda: far.open_connections() == 1, "a connection")
            assert all(event.retryable for event in harness.of(port.BackendFailure))
            assert harness.failure is None, str(harness.failure)
            await harness.reply_begins(5000, 0.4)

        self.run(check)
