"""The doors to the service: a key, an ephemeral token, and Vertex AI with a service account."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fishjam_agents_gemini import Gemini, Vertex
from fishjam_agents_gemini.emulator import Connection, GeminiEmulator, Request
from fishjam_agents_gemini.emulator.certificate import make_certificate, temporary_folder

from fishjam_agents.backends import port as p
from fishjam_agents.errors import BackendError, ConfigError
from integrations.gemini.tests.talk import Talk, talking, voice
from tests.fishjam.test_secrecy import redirecting, thief

Run = Callable[..., None]
TOKEN = "auth_tokens/emulated"
ACCESS = "access-token-of-a-service-account"
pytestmark = pytest.mark.usefixtures("impatient")
WEATHER = p.ToolDeclaration("weather", "Tells the weather.", {"type": "object", "properties": {}}, False)


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Application default credentials: a service account with tokens of this machine; what was asked."""
    asked: list[str] = []

    class Tokens(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            body = json.dumps({"access_token": ACCESS, "expires_in": 3600, "token_type": "Bearer"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Tokens) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = tmp_path / "account.json"
        file.write_text(
            json.dumps(
                {
                    "type": "service_account",
                    "project_id": "shop",
                    "private_key_id": "1",
                    "private_key": key.decode(),
                    "client_email": "bot@shop.iam.gserviceaccount.com",
                    "client_id": "1",
                    "token_uri": f"http://127.0.0.1:{server.server_port}/token",
                }
            )
        )
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        yield asked
        server.shutdown()
        thread.join(timeout=5)


async def whole_conversation(emulator: GeminiEmulator, talk: Talk) -> Connection:
    """A turn, a picture, a tool, text, and all of it again over a new connection."""

    async def asks(connection: Connection, request: Request) -> None:
        await connection.call_tool("weather")

    talk.put(p.ImageInput(b"\xff\xd8 a picture", "image/jpeg"))
    talk.say(voice(0.1))
    await talk.until(p.BackendUsage)
    emulator.answers.append(asks)
    talk.put(p.TextInput("What is the weather like?"))
    call = await talk.until(p.ToolCall)
    talk.put(p.ToolResultInput(call.call, "grey", "weather", scheduling="interrupt"))
    await talk.until(p.BackendUsage, 2)
    (await emulator.connection(0)).abort()
    await talk.until(p.BackendFailure)
    talk.say(voice(0.1))
    await talk.until(p.BackendUsage, 3)
    assert talk.error is None
    return emulator.connections[-1]


def test_an_ephemeral_token_opens_a_session_by_its_own_method_and_version(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(Gemini(api_key=TOKEN), tools=[WEATHER]) as talk:
            connection = await whole_conversation(emulator, talk)
        assert connection.path.endswith("v1alpha.GenerativeService.BidiGenerateContentConstrained")
        assert connection.headers["authorization"] == f"Token {TOKEN}"
        assert connection.resumed is not None

    run(test, key=TOKEN)


@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_an_ephemeral_token_at_another_version_is_refused_and_not_repeated(run: Run, version: str) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(Gemini(api_key=TOKEN, api_version=version)) as talk:
            error = await talk.ended()
        assert error.failure == "auth"
        assert "emulated" not in str(error)

    run(test, key=TOKEN)


@pytest.mark.parametrize("turn_mode", ["local", "backend"])
def test_vertex_ai_works_with_the_application_default_credentials(
    run: Run, account: list[str], turn_mode: str
) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        backend = Gemini(
            "gemini-live-2.5-flash-native-audio",
            vertex=Vertex("shop", "europe-west4"),
            base_url=emulator.url,
            voice="Puck",
        )
        backend.check()
        async with talking(backend, tools=[WEATHER], turn_mode=turn_mode) as talk:
            if turn_mode == "local":
                connection = await whole_conversation(emulator, talk)
            else:
                talk.audio(voice(0.3))
                talk.put(p.AudioEndedInput("ann"))
                talk.audio(np.zeros(12000, np.int16))
                await talk.until(p.BackendUsage)
                assert talk.error is None
                connection = await emulator.connection(0)
        assert connection.path.endswith("LlmBidiService/BidiGenerateContent")
        assert connection.headers["authorization"] == f"Bearer {ACCESS}"
        model = "publishers/google/models/gemini-live-2.5-flash-native-audio"
        assert connection.setup["model"] == f"projects/shop/locations/europe-west4/{model}"
        assert set(account) == {"/token"}

    run(test, key=ACCESS)


def test_vertex_ai_without_credentials_says_what_to_do(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nothing.json"))

    async def test(emulator: GeminiEmulator) -> None:
        backend = Gemini(vertex=Vertex("shop", "europe-west4"), base_url=emulator.url)
        async with talking(backend) as talk:
            error = await talk.ended()
        assert (error.failure, error.retryable) == ("auth", False)
        assert "run gcloud auth" in str(error)
        assert not asyncio.all_tasks() - {asyncio.current_task()}

    run(test)


def test_a_token_that_vertex_ai_refuses_is_the_users_to_mend(run: Run, account: list[str]) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        backend = Gemini(vertex=Vertex("shop", "europe-west4"), base_url=emulator.url)
        async with talking(backend) as talk:
            error = await talk.ended()
        assert (error.failure, error.retryable) == ("auth", False)
        assert ACCESS not in str(error)

    run(test, key="another")


def test_the_certificate_of_an_emulator_that_was_killed_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    killed = tmp_path / f"gemini-emulator-{gone.pid}-x"
    killed.mkdir()
    (killed / "certificate.pem").touch()
    with temporary_folder() as first, temporary_folder():
        assert Path(first).exists()
        assert not killed.exists()
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("key", ["sesame-4711", "auth_tokens/sesame"])
def test_a_program_that_logs_everything_logs_no_key(
    run: Callable[..., None], caplog: pytest.LogCaptureFixture, key: str
) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(Gemini(api_key=key)) as talk:
            talk.say(voice(0.2))
            await talk.until(p.ReplyAudioEnded)

    caplog.set_level(logging.DEBUG)
    # The emulator is Google's side.
    logging.getLogger("websockets.server").setLevel(logging.WARNING)
    run(test, key=key)
    assert "sesame" not in caplog.text
    assert "sesame" not in repr(Gemini(api_key=key, raw={"secret": "sesame"}))


@pytest.mark.parametrize("name", ["ä..", "a" * 70 + ".example", "127.0.0.1:99999", ""])
def test_an_address_without_a_host_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        Gemini(base_url=f"http://{name}", api_key="k").check()


def test_a_key_follows_no_redirect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, context = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def scenario() -> None:
        async with thief(context) as (elsewhere, told), redirecting(elsewhere, tls=context) as url:
            conversation = p.BackendContext("c", lambda event: None)
            with pytest.raises(BackendError, match="redirects to"):
                async with Gemini(base_url=url, api_key="none-of-yours").connect(conversation):
                    pass
        assert told == []

    asyncio.run(scenario())
