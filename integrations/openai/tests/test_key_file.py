"""Keys in files that change while calls go on, against the emulators."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from fishjam_agents_openai import Chat, Speech, Transcription
from fishjam_agents_openai.emulator import Emulator
from fishjam_agents_openai.emulator.realtime import RealtimeEmulator
from fishjam_agents_openai.emulator.steps import Close
from fishjam_agents_openai.realtime import Realtime

from fishjam_agents.backends import port
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.backends.vendors import Vendors
from fishjam_agents.errors import BackendError, ConfigError
from fishjam_agents.secrecy import conceal
from integrations.openai.tests.asking import HELLO, TURN

OLD, NEW = "key-of-yesterday", "key-of-today"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "openai"
    file.write_text(f"{OLD}\n")
    return file


def write(key: Path, text: str) -> None:
    key.write_text(text)


def within(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_each_request_of_a_part_has_the_key_as_it_is(key: Path) -> None:
    async def scenario() -> None:
        async with Emulator(key=OLD) as server:
            access = {"base_url": server.base_url, "api_key_file": key}
            chat, speech = Chat(model="m", **access), Speech(model="m", voice="v", **access)
            ears = Transcription(model="m", **access)
            async with chat.connect() as llm, speech.connect() as tts, ears.connect() as stt:
                for current in (OLD, NEW):
                    server.key = current
                    write(key, current)
                    assert [piece async for piece in llm.reply(HELLO, ())]
                    assert [piece async for piece in tts.speak("Hi.")]
                    assert [piece async for piece in stt.transcribe(TURN)]
            assert {request.headers["authorization"] for request in server.requests} == {
                f"Bearer {OLD}",
                f"Bearer {NEW}",
            }

    within(scenario)


def test_a_session_keeps_its_key_until_it_connects_anew(key: Path) -> None:
    async def scenario() -> None:
        async with RealtimeEmulator(key=OLD) as server:
            backend = Realtime(model="m", base_url=server.base_url, api_key_file=key)
            events: list[port.BackendEvent] = []
            outages: list[float] = []
            link = BackendLink(backend, "call", events.append, outages.append)
            running = asyncio.create_task(link.run())
            await link.connected.wait()
            before = backend.endpoint
            server.key = NEW
            write(key, NEW)
            assert backend.endpoint != before
            assert len(server.open) == 1
            server.lines[0].abort()
            while not outages:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)
            assert server.headers[-1]["authorization"] == f"Bearer {NEW}"
            # Its place went along with it.
            assert {account.endpoint: account.calls for account in Vendors.shared()} == {
                before: 0,
                backend.endpoint: 1,
            }
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    within(scenario)


def test_a_key_that_is_refused_is_followed_by_the_one_in_the_file(key: Path) -> None:
    async def scenario() -> None:
        async with RealtimeEmulator(key=OLD, key_refused="close") as server:
            backend = Realtime(model="m", base_url=server.base_url, api_key_file=key)
            outages: list[float] = []
            link = BackendLink(backend, "call", lambda event: None, outages.append)
            running = asyncio.create_task(link.run())
            await link.connected.wait()
            # The service ends the session, since its key is none any more.
            server.key = NEW
            write(key, NEW)
            await server.lines[0].close(Close(3000, "invalid_request_error.invalid_api_key"))
            while not outages:
                assert not running.done(), running.exception()
                await asyncio.sleep(0.01)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    within(scenario)


def test_a_refused_key_without_another_ends_the_call(key: Path) -> None:
    async def scenario() -> None:
        async with RealtimeEmulator(key=NEW) as server:
            backend = Realtime(model="m", base_url=server.base_url, api_key_file=key)
            with pytest.raises(BackendError) as ended:
                await BackendLink(backend, "call", lambda event: None, lambda seconds: None).run()
            assert ended.value.failure == "auth"
            assert OLD not in str(ended.value)

    within(scenario)


def test_a_file_that_is_away_for_a_moment_has_the_key_it_had(key: Path) -> None:
    access = Chat(model="m", base_url="http://127.0.0.1:1/v1", api_key_file=key)
    before = access.endpoint
    assert before.fingerprint
    for content in ("", "KEY=abc def\n", f"{OLD}\n{NEW}\n"):
        key.write_text(content)
        assert access.endpoint == before
    key.unlink()
    assert access.endpoint == before


def test_a_new_key_stands_in_no_log(key: Path) -> None:
    access = Chat(model="m", base_url="http://127.0.0.1:1/v1", api_key_file=key)
    key.write_text("key-that-came-later")
    assert access.endpoint
    assert conceal("Bearer key-that-came-later", {}) == "Bearer <openai>"
    assert "key-that-came-later" not in repr(access)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read (No such file or directory): check it"),
        (b"", "is empty: write the key into it, and nothing else"),
        (b"KEY=abc def\n", "holds more than a key: write the key into it, and nothing else"),
        (b"k" * 16384 + "\u00e9".encode(), "holds more than a key: write the key into it, and nothing else"),
        (b"\xff\xfe\x00k", "is not text: write the key into it, and nothing else"),
    ],
)
def test_a_file_without_a_key_is_refused(key: Path, content: bytes | None, sentence: str) -> None:
    key.unlink()
    if content is not None:
        key.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        Chat(model="m", api_key_file=key).check()
    assert str(refused.value) == f"api_key_file {key} {sentence}"


def test_there_is_one_key(key: Path) -> None:
    with pytest.raises(ConfigError, match="keep one of them"):
        Chat(model="m", api_key="k", api_key_file=key).check()
