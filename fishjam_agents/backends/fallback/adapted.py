"""A backend in a call that was begun for one of another shape."""

from __future__ import annotations

from dataclasses import dataclass

from fishjam_agents.backends.capabilities import Capabilities
from fishjam_agents.backends.fallback.backend import Fallback
from fishjam_agents.backends.port import Backend


@dataclass(frozen=True, slots=True)
class Adapted(Fallback):
    """One backend, as a call takes it that was begun with other capabilities.

    Attributes:
        promised: Capabilities that the call was begun with.
    """

    promised: Capabilities = Capabilities()  # noqa: RUF009 - frozen

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]
        """Those that the call was begun with."""
        return self.promised


def adapted(backend: Backend, promised: Capabilities) -> Backend:
    """Return a backend that takes and gives audio as a call was begun for; itself where it does."""
    own = backend.capabilities
    shape = ("input_rate", "output_rate", "wants_turn_audio", "wants_suspected")
    if all(getattr(own, name) == getattr(promised, name) for name in shape):
        return backend
    return Adapted([backend], attempts=5, recovery=None, promised=promised)
