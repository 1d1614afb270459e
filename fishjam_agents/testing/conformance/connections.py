"""Checks of connections: refused, lost, silent; deadlines, and the kinds of failure."""

from __future__ import annotations

import pytest

from fishjam_agents.backends import port
from fishjam_agents.errors import FailureKind
from fishjam_agents.testing.conformance.checks import Checks
from fishjam_agents.testing.conformance.fake_service import FakeService, Received
from fishjam_agents.testing.conformance.harness import Harness

_FINAL: tuple[FailureKind, ...] = ("auth", "config", "quota", "protocol")


class ConnectionChecks(Checks):
    """Bounded outbox, reconnect with replay, deadlines, failure kinds."""

    def test_what_is_said_while_it_is_away_is_bounded_and_arrives_once(self) -> None:
        """Control entries all arrive, in order; of the audio the latest, as much as is kept."""
        claims = self.capabilities()
        self._connects()

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            await harness.until(lambda: far.open_connections() == 1, "a connection")
            await far.refuse("network")
            await far.drop()
            await harness.until(lambda: harness.of(port.BackendFailure), "notice of the loss")
            assert harness.of(port.BackendFailure)[0].retryable
            assert harness.of(port.BackendFailure)[0].failure == "network"
            before = len(harness.received())
            for _ in range(3):
                harness.turn(8.0)
            if claims.text:
                harness.put(port.TextInput("meanwhile"))
            await far.refuse(None)
            await harness.until(lambda: harness.outages, "the end of the outage", far.patience * 2)
            harness.turn(0.6)
            awaited = "turn_ended" if "turn_ended" in far.sees else "audio"
            count = 4 if awaited == "turn_ended" else 1
            await harness.until(
                lambda: len(_since(harness, before, awaited)) >= count, "what was said meanwhile"
            )
            await harness.settle(0.5)
            for kind in ("turn_started", "turn_ended"):
                if kind in far.sees:
                    assert len(_since(harness, before, kind)) == 4, f"{kind} was lost or came twice"
            if claims.text and "text" in far.sees:
                assert [item.value for item in _since(harness, before, "text")] == ["meanwhile"]
            if claims.input_rate and not claims.wants_turn_audio:
                seconds = sum(item.value for item in _since(harness, before, "audio"))
                kept = getattr(harness.backend, "audio_kept", 10.0)
                assert 0.5 <= seconds <= kept + 0.7, f"{seconds:.1f} s of audio arrived, {kept:g} s are kept"
                assert [e for e in harness.of(port.BackendWarning) if "dropped" in e.message], (
                    "nobody was told of the loss"
                )

        self.run(check)

    def test_a_service_that_never_answers_is_given_up_in_time(self) -> None:
        """A connection without a word is a failure within the deadline, and is tried again."""
        self._connects()

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.connected()
            await far.hold()
            await far.drop()
            await harness.until(
                lambda: len(harness.of(port.BackendFailure)) >= 2, "notice that nobody answers", 10.0
            )
            assert all(event.retryable for event in harness.of(port.BackendFailure))
            await far.refuse(None)
            await harness.until(lambda: harness.outages, "the end of the outage", 10.0)

        self.run(check)

    def test_a_first_connection_that_is_refused_is_tried_again(self) -> None:
        """A service that is away for a moment costs a moment."""
        self._connects()

        async def check(harness: Harness, far: FakeService) -> None:
            await harness.until(lambda: harness.of(port.BackendFailure), "notice of the refusal")
            await far.refuse(None)
            await harness.connected()
            assert harness.failure is None

        self.run(check, lambda far: far.refuse("network"))

    @pytest.mark.parametrize("kind", _FINAL)
    def test_what_only_the_user_can_mend_ends_with_a_sentence(self, kind: FailureKind) -> None:
        """A rejected key and the like: the right kind, what to do about it, no secret, no attempts."""
        self._connects()
        self.applies(kind in self.fake_service().refusals, f"the far side has no failure of kind {kind}")

        async def check(harness: Harness, far: FakeService) -> None:
            if kind == "quota":
                await harness.until(
                    lambda: harness.failure or harness.of(port.BackendFailure), "notice of the quota"
                )
                kinds = [event.failure for event in harness.of(port.BackendFailure)]
                assert (harness.failure.failure if harness.failure else kinds[0]) == "quota"
                message = (
                    str(harness.failure) if harness.failure else harness.of(port.BackendFailure)[0].message
                )
            else:
                error = await harness.failed(far.patience)
                assert error.failure == kind, f"{kind} was told as {error.failure}: {error}"
                assert not error.retryable
                message = str(error)
            assert "\n" not in message, message
            assert ": " in message, f"say what happened and what to do: {message!r}"
            _hides(far.secret, message, *map(repr, harness.events))

        self.run(check, lambda far: far.refuse(kind))

    def test_its_settings_show_no_secret(self) -> None:
        """Reprs end in logs and traces."""
        far = self.fake_service()
        self.applies(far.secret is not None, "has no secret")
        _hides(far.secret, repr(far.backend()), str(far.backend()))

    def _connects(self) -> None:
        self.applies(self.fake_service().connects, "has no lasting connection to lose")


def _since(harness: Harness, start: int, kind: str) -> list[Received]:
    return [item for item in harness.received()[start:] if item.kind == kind]


def _hides(secret: str | None, *texts: str) -> None:
    found = any(secret is not None and secret in text for text in texts)
    assert not found, "it shows its secret"
