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

        async def check(rig: Harness, far: FakeService) -> None:
            await rig.connected()
            await rig.until(lambda: far.open_connections() == 1, "a connection")
            await far.refuse("network")
            await far.drop()
            await rig.until(lambda: rig.of(port.BackendFailure), "notice of the loss")
            assert rig.of(port.BackendFailure)[0].retryable
            assert rig.of(port.BackendFailure)[0].failure == "network"
            before = len(rig.received())
            for _ in range(3):
                rig.turn(8.0)
            if claims.text:
                rig.put(port.TextInput("meanwhile"))
            await far.refuse(None)
            await rig.until(lambda: rig.outages, "the end of the outage", far.patience * 2)
            rig.turn(0.6)
            awaited = "turn_ended" if "turn_ended" in far.sees else "audio"
            count = 4 if awaited == "turn_ended" else 1
            await rig.until(lambda: len(_since(rig, before, awaited)) >= count, "what was said meanwhile")
            await rig.settle(0.5)
            for kind in ("turn_started", "turn_ended"):
                if kind in far.sees:
                    assert len(_since(rig, before, kind)) == 4, f"{kind} was lost or came twice"
            if claims.text and "text" in far.sees:
                assert [item.value for item in _since(rig, before, "text")] == ["meanwhile"]
            if claims.input_rate and not claims.wants_turn_audio:
                seconds = sum(item.value for item in _since(rig, before, "audio"))
                kept = getattr(rig.backend, "audio_kept", 10.0)
                assert 0.5 <= seconds <= kept + 0.7, f"{seconds:.1f} s of audio arrived, {kept:g} s are kept"
                assert [e for e in rig.of(port.BackendWarning) if "dropped" in e.message], (
                    "nobody was told of the loss"
                )

        self.run(check)

    def test_a_service_that_never_answers_is_given_up_in_time(self) -> None:
        """A connection without a word is a failure within the deadline, and is tried again."""
        self._connects()

        async def check(rig: Harness, far: FakeService) -> None:
            await rig.connected()
            await far.hold()
            await far.drop()
            await rig.until(lambda: len(rig.of(port.BackendFailure)) >= 2, "notice that nobody answers", 10.0)
            assert all(event.retryable for event in rig.of(port.BackendFailure))
            await far.refuse(None)
            await rig.until(lambda: rig.outages, "the end of the outage", 10.0)

        self.run(check)

    def test_a_first_connection_that_is_refused_is_tried_again(self) -> None:
        """A service that is away for a moment costs a moment."""
        self._connects()

        async def check(rig: Harness, far: FakeService) -> None:
            await rig.until(lambda: rig.of(port.BackendFailure), "notice of the refusal")
            await far.refuse(None)
            await rig.connected()
            assert rig.failure is None

        self.run(check, lambda far: far.refuse("network"))

    @pytest.mark.parametrize("kind", _FINAL)
    def test_what_only_the_user_can_mend_ends_with_a_sentence(self, kind: FailureKind) -> None:
        """A rejected key and the like: the right kind, what to do about it, no secret, no attempts."""
        self._connects()
        self.applies(kind in self.far_side().refusals, f"the far side has no failure of kind {kind}")

        async def check(rig: Harness, far: FakeService) -> None:
            if kind == "quota":
                await rig.until(lambda: rig.failure or rig.of(port.BackendFailure), "notice of the quota")
                kinds = [event.failure for event in rig.of(port.BackendFailure)]
                assert (rig.failure.failure if rig.failure else kinds[0]) == "quota"
                message = str(rig.failure) if rig.failure else rig.of(port.BackendFailure)[0].message
            else:
                error = await rig.failed(far.patience)
                assert error.failure == kind, f"{kind} was told as {error.failure}: {error}"
                assert not error.retryable
                message = str(error)
            assert "\n" not in message, message
            assert ": " in message, f"say what happened and what to do: {message!r}"
            _hides(far.secret, message, *map(repr, rig.events))

        self.run(check, lambda far: far.refuse(kind))

    def test_its_settings_show_no_secret(self) -> None:
        """Reprs end in logs and traces."""
        far = self.far_side()
        self.applies(far.secret is not None, "has no secret")
        _hides(far.secret, repr(far.backend()), str(far.backend()))

    def _connects(self) -> None:
        self.applies(self.far_side().connects, "has no lasting connection to lose")


def _since(rig: Harness, start: int, kind: str) -> list[Received]:
    return [item for item in rig.received()[start:] if item.kind == kind]


def _hides(secret: str | None, *texts: str) -> None:
    found = any(secret is not None and secret in text for text in texts)
    assert not found, "it shows its secret"
