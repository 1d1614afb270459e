"""Conditions of the matrix: shorter deadlines than a call has, and nothing that is left behind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fishjam_agents_gemini import dialing
from fishjam_agents_gemini.emulator import server as gemini_server
from fishjam_agents_gemini.emulator.certificate import make_certificate
from fishjam_agents_vapi import session as vapi_session

from fishjam_agents.backends import link, response_watchdog
from fishjam_agents.backoff import Backoff
from fishjam_agents.fishjam import sockets

PING = 1.5
"""Seconds between pings, and until a connection that answers none is left."""


@contextmanager
def impatient() -> Iterator[None]:
    """Deadlines of a second where a call has ten."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        certificate = make_certificate(Path(folder))
        # One that all emulators share, since the variable is of the process.
        patch.setattr(gemini_server, "make_certificate", lambda _: certificate)
        patch.setenv("SSL_CERT_FILE", str(certificate[0]))
        patch.setattr(sockets, "PING_INTERVAL", PING)
        patch.setattr(sockets, "CONNECT_TIMEOUT", 4.0)
        patch.setattr(sockets, "HANDSHAKE_TIMEOUT", 4.0)
        patch.setattr(sockets, "CLOSE_TIMEOUT", 0.5)
        patch.setattr(link, "BACKOFF", Backoff(first=0.1, longest=1.0))
        patch.setattr(link, "CONNECT_DEADLINE", 6.0)
        patch.setattr(response_watchdog, "PONG", PING)
        patch.setattr(dialing, "_PING_INTERVAL", PING)
        patch.setattr(dialing, "_PING_TIMEOUT", PING)
        patch.setattr(dialing, "SHORT_LIFE", 0.0)
        patch.setattr(dialing, "CLOSE_TIMEOUT", 0.5)
        patch.setattr(vapi_session, "PING_INTERVAL", PING)
        yield
