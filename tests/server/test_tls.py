"""HTTPS beside HTTP on one port: a phone in the same network gets its microphone over nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from fishjam_agents.errors import ConfigError
from fishjam_agents.fishjam import AsyncFishjamClient
from fishjam_agents.protocol import encode_auth_request
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.address import machine_addresses, machine_names
from fishjam_agents.server.settings import PeerConfig
from fishjam_agents.server.tls import holders, self_signed, tls_context
from fishjam_agents.session import PeerType

x509 = pytest.importorskip("cryptography.x509", reason="the extra `webrtc` is not installed")


def trusting(pem: bytes) -> ssl.SSLContext:
    """A client that trusts one certificate and checks names against it."""
    text = pem.decode()
    return ssl.create_default_context(cadata=text[text.index("-----BEGIN CERTIFICATE") :])


def blind() -> ssl.SSLContext:
    """A client like a person who clicks the warning away."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Either loop: looking at a first byte and leaving it there is not the same code in both."""
    if request.param == "asyncio":
        return asyncio.run
    runner: Run = pytest.importorskip("uvloop", reason="the extra `uvloop` is not installed").run
    return runner


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    pem = self_signed(["127.0.0.1", "localhost"]).decode()
    at = pem.index("-----BEGIN CERTIFICATE")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    key.write_text(pem[:at])
    certificate.write_text(pem[at:])
    return certificate, key


def test_the_certificate_is_for_every_name_and_address_of_this_machine() -> None:
    certificate = x509.load_pem_x509_certificate(self_signed(holders("0.0.0.0")))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert {"127.0.0.1", "::1", *machine_addresses()} <= addresses
    assert {"localhost", *machine_names()} <= set(names.get_values_for_type(x509.DNSName))
    # Apple's systems take none that is valid for longer.
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days <= 398


def test_two_certificates_have_nothing_in_common_and_leave_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert self_signed(["localhost"]) != self_signed(["localhost"])
    assert tls_context("auto", "0.0.0.0") is not None
    assert list(tmp_path.iterdir()) == []


def test_auto_is_off_on_loopback_and_off_is_off() -> None:
    assert tls_context("auto", "127.0.0.1") is None
    assert tls_context("auto", "localhost") is None
    assert tls_context("off", "0.0.0.0") is None


def test_addresses_of_this_machine_are_addresses_that_others_can_use() -> None:
    for address in machine_addresses():
        parsed = ipaddress.ip_address(address)
        assert not parsed.is_loopback
        assert not parsed.is_link_local
        assert not parsed.is_unspecified


def test_one_port_speaks_http_and_https(files: tuple[Path, Path], run: Run) -> None:
    async def scenario() -> None:
        async with EmbeddedServer(tls=files) as server:
            secure = f"https://localhost:{server.port}"
            trust = trusting(files[0].read_bytes())
            async with AsyncFishjamClient(server.url, server.token) as client:
                room = await client.create_room()
                agent = server.rooms.get(room.id).add_peer(PeerConfig(PeerType.AGENT))
                token = server.rooms.token(server.rooms.get(room.id), agent)
            async with httpx.AsyncClient(
                verify=trust, headers={"authorization": f"Bearer {server.token}"}
            ) as http:
                answer = await http.get(f"{secure}/room/{room.id}", headers={"origin": secure})
                assert (answer.status_code, answer.json()["data"]["id"]) == (200, room.id)
            for url, context in ((server.url, None), (secure, trust)):
                async with websockets.connect(
                    url.replace("http", "ws") + "/socket/agent/websocket", ssl=context
                ) as session:
                    await session.send(encode_auth_request(token))
                    assert await session.recv() == b"\x0a\x00"
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(scenario())


def test_a_server_for_the_network_shows_the_page_over_https_and_sdks_stay_with_http() -> None:
    async def scenario() -> None:
        async with EmbeddedServer("0.0.0.0", token="own") as server:
            assert server.url == f"http://127.0.0.1:{server.port}"
            assert all(url.startswith("https://") for url in server.public_urls if url != server.url)
            async with AsyncFishjamClient(server.url, "own") as client:
                await client.create_room()
            async with httpx.AsyncClient(verify=blind()) as http:
                host = {"host": f"192.168.1.5:{server.port}"}
                # A link opened without the s: the page moves to where it gets a microphone.
                answer = await http.get(f"{server.url}/", headers=host)
                assert (answer.status_code, answer.headers["location"]) == (307, f"https://{host['host']}/")
                for url, status in (
                    (f"{server.url}/validate", 404),
                    (f"https://127.0.0.1:{server.port}/validate", 404),
                ):
                    assert (await http.get(url, headers=host)).status_code == status
                answer = await http.get(f"{server.url}/")
                assert answer.status_code != 307
                # Peers are sent where their backend came from.
                room = server.rooms.create()
                own = {"authorization": "Bearer own", **host}
                for base, scheme in ((server.url, "ws"), (f"https://127.0.0.1:{server.port}", "wss")):
                    answer = await http.post(
                        f"{base}/room/{room.id}/peer", json={"type": "webrtc"}, headers=own
                    )
                    url = answer.json()["data"]["peer_websocket_url"]
                    assert url == f"{scheme}://{host['host']}/socket/peer/websocket"
                answer = await http.get(f"https://127.0.0.1:{server.port}/", headers=host)
                assert answer.status_code != 307
        async with EmbeddedServer("0.0.0.0", token="own", tls="off") as server:
            assert all(url.startswith("http://") for url in server.public_urls)
            async with httpx.AsyncClient() as http:
                answer = await http.get(f"{server.url}/", headers={"host": "192.168.1.5"})
                assert answer.status_code != 307
        async with EmbeddedServer() as server:
            assert server.public_urls == [server.url]

    asyncio.run(scenario())


def test_who_says_nothing_or_nonsense_holds_up_nobody(
    files: tuple[Path, Path], run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with EmbeddedServer(tls=files) as server:
            address = ("127.0.0.1", server.port)
            for first in (b"", b"\x16\x03\x01", b"\x16" + bytes(200)):
                for _ in range(20):
                    strangers.enter_context(socket.create_connection(address)).sendall(first)
            with socket.create_connection(address):
                pass
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.open_connection(
                    "127.0.0.1", server.port, ssl=ssl.create_default_context(), server_hostname="localhost"
                )
            async with httpx.AsyncClient(verify=trusting(files[0].read_bytes())) as http:
                answer = await http.get(f"https://localhost:{server.port}/validate")
                assert answer.status_code == 404
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with caplog.at_level(logging.INFO), contextlib.ExitStack() as strangers:
        run(scenario())
    assert not [record for record in caplog.records if record.exc_info]


def test_files_that_are_no_certificate_and_key_are_told_with_what_to_do(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    certificate, key = files
    other = tmp_path / "other.pem"
    other.write_bytes(self_signed(["localhost"]))
    locked = tmp_path / "locked.pem"
    from cryptography.hazmat.primitives import serialization

    locked.write_bytes(
        serialization.load_pem_private_key(key.read_bytes(), None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    text = tmp_path / "text"
    text.write_text("hello")
    for pair, words in (
        ((tmp_path / "none.pem", key), "cannot read the certificate .*none.pem .*: give a PEM file"),
        ((certificate, tmp_path), "cannot read the key .*: give a PEM file"),
        ((certificate, other), "do not belong together"),
        ((text, key), "not both PEM"),
        ((certificate, text), "not both PEM"),
        ((certificate, certificate), "not both PEM"),
        ((certificate, locked), "locked with a password"),
    ):
        with pytest.raises(ConfigError, match=words):
            asyncio.run(EmbeddedServer(tls=pair).start())
