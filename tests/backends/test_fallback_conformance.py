"""The public kit over fallbacks: seen from the pipeline they are backends like any other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fishjam_agents.backends import Backend, BackendContext, Capabilities, Fallback, Parrot
from fishjam_agents.backends import port as p
from fishjam_agents.errors import BackendError, FailureKind
from fishjam_agents.testing.conformance import BackendConformance, FakeService, InProcess
from tests.testing.test_conformance import ScriptedService


@dataclass(frozen=True)
class Refusing(Backend):
    """A service that lets nobody in."""

    in_process = True
    offers: Capabilities = Parrot.capabilities
    kind: Callable[[], FailureKind] = lambda: "auth"

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]
        return self.offers

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[p.InlineSession]:
        raise BackendError("nobody is let in: ask for a key", failure=self.kind())
        yield


class TestAlone(BackendConformance):
    def fake_service(self) -> FakeService:
        return InProcess(Fallback([Parrot(speed=1.0, chunk=0.05)]), echoes=True)


class TestStandIn(BackendConformance):
    def fake_service(self) -> FakeService:
        return InProcess(Fallback([Refusing(), Parrot(speed=1.0, chunk=0.05)]), echoes=True)


class TestStandInOfAnotherKind(BackendConformance):
    """The first takes frames at 24 kHz and speaks at 16 kHz, the parrot wants whole turns at 16 kHz."""

    def fake_service(self) -> FakeService:
        streaming = Capabilities(input_rate=24000, output_rate=16000)
        return InProcess(Fallback([Refusing(streaming), Parrot(speed=1.0, chunk=0.05)]), echoes=True)


class FallbackService(ScriptedService):
    """All of the kit, lost connections included; what is to stand in for the service never works."""

    def backend(self) -> Backend:
        return Fallback([self.model, Refusing(self.claims, lambda: self.model.door or "auth")], deadline=0.9)


class TestService(BackendConformance):
    def fake_service(self) -> FakeService:
        return FallbackService()
