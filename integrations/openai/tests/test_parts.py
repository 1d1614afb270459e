"""Each part against the emulator, through the real `openai` client."""

from __future__ import annotations

import asyncio
import io
import logging
import wave
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest
from fishjam_agents_openai import Chat, Speech, Transcription
from fishjam_agents_openai.access import BASE_URL
from fishjam_agents_openai.emulator import Answer, Broken, Emulator, Failed

from fishjam_agents.backends.cascade import LLMToolCall, LLMUsage, Message, Transcript
from fishjam_agents.backends.port import ToolDeclaration
from fishjam_agents.errors import BackendError, ConfigError
from integrations.openai.tests.asking import HELLO, TURN, ask, run, speak, understand


def test_a_model_answers_in_pieces_and_says_what_it_cost() -> None:
    async def scenario(server: Emulator) -> None:
        words, spent = [], []
        for piece in await ask(server, temperature=0.5, max_tokens=50, extra={"top_k": 3}):
            (words if isinstance(piece, str) else spent).append(piece)
        assert "".join(words) == "Hi there \N{SLIGHTLY SMILING FACE}"
        assert spent == [LLMUsage({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12})]

    server = run(scenario, chats=[Answer(["Hi ", "there ", "\N{SLIGHTLY SMILING FACE}"])])
    (request,) = server.requests
    assert request.fields["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello?"},
    ]
    assert (request.fields["temperature"], request.fields["max_completion_tokens"]) == (0.5, 50)
    assert request.fields["top_k"] == 3
    assert "tools" not in request.fields
    assert "reasoning_effort" not in request.fields
    assert not server.hung_up


def test_a_stream_without_its_end_mark_is_complete_all_the_same() -> None:
    async def scenario(server: Emulator) -> None:
        assert (await ask(server))[0] == "Hi."

    run(scenario, chats=[Answer(["Hi."], done=False)])


def test_tools_are_offered_called_in_pieces_and_answered() -> None:
    tool = ToolDeclaration("weather", "The weather.", {"type": "object", "properties": {}})
    pieces = [
        {
            "tool_calls": [
                {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]},
        {
            "tool_calls": [
                {"index": 1, "id": "c2", "type": "function", "function": {"name": "weather", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Kyoto"}'}}]},
    ]
    calls = [LLMToolCall("c1", "weather", {"city": "Kyoto"}), LLMToolCall("c2", "weather", {})]

    async def scenario(server: Emulator) -> None:
        assert [piece for piece in await ask(server, tools=[tool]) if isinstance(piece, LLMToolCall)] == calls
        answered = [*HELLO, Message("assistant", "", calls), Message("tool", "sunny", call="c1")]
        await ask(server, answered)

    server = run(scenario, chats=[Answer(pieces), Answer(["Sunny."])])
    assert server.requests[0].fields["tools"][0]["function"]["name"] == "weather"
    assistant, answer = server.requests[1].fields["messages"][2:]
    assert assistant["tool_calls"][0] == {
        "id": "c1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Kyoto"}'},
    }
    assert answer == {"role": "tool", "tool_call_id": "c1", "content": "sunny"}


def test_arguments_that_are_no_json_are_told_and_go_back_as_none() -> None:
    broken = {
        "tool_calls": [
            {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
        ]
    }

    async def scenario(server: Emulator) -> None:
        call = LLMToolCall("c", "f", {}, "they are no JSON: {")
        assert (await ask(server))[0] == call
        answered = [*HELLO, Message("assistant", "", [call]), Message("tool", "what?", call="c")]
        await ask(server, answered)

    server = run(scenario, chats=[Answer([broken]), Answer(["Once more."])])
    (sent,) = server.requests[1].fields["messages"][2]["tool_calls"]
    # llama.cpp answers with 500 to arguments in the conversation that are no JSON.
    assert sent["function"]["arguments"] == "{}"


@pytest.mark.parametrize("stream", [False, True])
def test_a_turn_is_sent_as_a_wav_and_understood(stream: bool) -> None:
    async def scenario(server: Emulator) -> None:
        pieces = await understand(
            server, stream=stream, language="en", prompt="Kyoto", extra={"vad_filter": True}
        )
        transcripts = [piece for piece in pieces if isinstance(piece, Transcript)]
        assert transcripts[-1] == Transcript("Good morning.", final=True)
        assert transcripts[:-1] == ([Transcript("Good "), Transcript("Good morning.")] if stream else [])

    server = run(scenario, transcripts=[Answer(["Good ", "morning."])])
    (request,) = server.requests
    with wave.open(io.BytesIO(request.file)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        assert np.array_equal(np.frombuffer(file.readframes(20000), "<i2"), TURN)
    assert (request.fields["language"], request.fields["prompt"]) == ("en", "Kyoto")
    assert request.fields["vad_filter"] == "true"


def test_a_turn_too_short_for_the_service_is_filled_up_with_silence() -> None:
    async def scenario(server: Emulator) -> None:
        async with Transcription(base_url=server.base_url, model="m").connect() as stt:
            assert [piece async for piece in stt.transcribe(TURN[:800])]

    (request,) = run(scenario).requests
    with wave.open(io.BytesIO(request.file)) as file:
        # OpenAI refuses less than 0.1 s.
        assert file.getnframes() / 16000 == 0.2


def test_speech_comes_in_pieces_as_they_are_sent() -> None:
    async def scenario(server: Emulator) -> None:
        assert await speak(server, instructions="calmly", speed=1.5) == b"\1\2\3\4\5\6"

    server = run(scenario, speeches=[Answer([b"\1\2\3", 0.05, b"\4\5\6"])])
    assert server.requests[0].fields == {
        "model": "m",
        "voice": "v",
        "input": "Hi.",
        "instructions": "calmly",
        "speed": 1.5,
        "response_format": "pcm",
    }


@pytest.mark.parametrize(
    ("status", "failure", "retryable"),
    [
        (400, "config", False),
        (401, "auth", False),
        (403, "auth", False),
        (404, "config", False),
        (429, "quota", True),
        (500, "network", True),
        (503, "network", True),
    ],
)
@pytest.mark.parametrize(
    ("part", "answers"), [(ask, "chats"), (understand, "transcripts"), (speak, "speeches")]
)
def test_a_refusal_has_its_kind_and_is_not_tried_again(
    part: Any, answers: str, status: int, failure: str, retryable: bool
) -> None:
    async def scenario(server: Emulator) -> None:
        with pytest.raises(BackendError, match="it says no") as caught:
            await part(server)
        assert (caught.value.failure, caught.value.retryable) == (failure, retryable)

    server = run(scenario, **{answers: [Answer(["it says no"], status=status)]})
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "steps", [["Hel", Broken()], ["Hel", Failed()], [Broken()]], ids=["cut", "failed", "cut at once"]
)
def test_an_answer_that_breaks_off_can_be_asked_for_again(steps: list[Any]) -> None:
    async def scenario(server: Emulator) -> None:
        with pytest.raises(BackendError) as caught:
            await ask(server)
        assert caught.value.retryable
        assert str(caught.value).startswith("the language model's answer")

    run(scenario, chats=[Answer(steps)])


def test_speech_that_breaks_off_can_be_asked_for_again() -> None:
    async def scenario(server: Emulator) -> None:
        with pytest.raises(BackendError, match="speech") as caught:
            await speak(server)
        assert caught.value.retryable

    run(scenario, speeches=[Answer([b"\1\2", Broken()])])


def test_a_server_that_is_slow_to_begin_is_not_waited_for() -> None:
    async def scenario(server: Emulator) -> None:
        with pytest.raises(BackendError, match="did not come in time") as caught:
            await ask(server, timeout=0.2)
        assert caught.value.retryable

    run(scenario, chats=[Answer([5.0, "Late."])])


def test_a_server_that_is_not_there_is_told() -> None:
    async def scenario(server: Emulator) -> None:
        await server.stop()
        with pytest.raises(BackendError, match=r"cannot be had .*: is the server running") as caught:
            async with Chat(base_url="http://127.0.0.1:9/v1", model="m").connect() as chat:
                await anext(chat.reply(HELLO, ()))  # type: ignore[arg-type]
        assert caught.value.retryable

    run(scenario)


@pytest.mark.parametrize("kind", ["chats", "speeches", "transcripts"])
def test_whoever_stops_listening_hangs_up_at_once(kind: str) -> None:
    async def first(server: Emulator) -> None:
        if kind == "chats":
            async with Chat(base_url=server.base_url, model="m").connect() as chat:
                async with aclosing(chat.reply(HELLO, ())) as pieces:  # type: ignore[type-var]
                    await anext(pieces)
                await hung_up(server)
        elif kind == "speeches":
            async with Speech(base_url=server.base_url, model="m", voice="v").connect() as tts:
                async with aclosing(tts.speak("Hi.")) as sounds:  # type: ignore[type-var]
                    await anext(sounds)
                await hung_up(server)
        else:
            async with Transcription(base_url=server.base_url, model="m", stream=True).connect() as stt:
                async with aclosing(stt.transcribe(TURN)) as words:  # type: ignore[type-var]
                    await anext(words)
                await hung_up(server)

    async def hung_up(server: Emulator) -> None:
        while not server.hung_up:  # noqa: ASYNC110 - what is waited for is on the other side of a socket
            await asyncio.sleep(0.005)

    step = bytes(32) if kind == "speeches" else "word "
    run(first, **{kind: [Answer([step, 15.0, step])]})


def test_a_key_is_sent_and_neither_shown_nor_given_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-openai")

    async def scenario(server: Emulator) -> None:
        await ask(server)
        await ask(server, api_key="sk-mine")

    server = run(scenario)
    assert [request.headers.get("authorization") for request in server.requests] == [None, "Bearer sk-mine"]
    assert all("openai-organization" not in request.headers for request in server.requests)
    assert "sk-mine" not in repr(Chat(model="m", api_key="sk-mine"))


def test_a_key_in_the_address_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    # Whoever set up our own logging before has silenced the client's.
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "httpx2")
    run(lambda server: ask(server, query={"key": "query-secret"}, headers={"api-key": "header-secret"}))
    assert "/v1/chat/completions" in caplog.text
    assert "secret" not in caplog.text


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    run(ask)


def test_without_an_address_the_environments_is_taken_with_the_environments_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(server: Emulator) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
        Chat(model="m").check()
        async with Chat(model="m").connect() as chat:
            await anext(chat.reply(HELLO, ()))  # type: ignore[arg-type]

    (request,) = run(scenario).requests
    assert request.headers["authorization"] == "Bearer sk-mine"
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:8080")
    with pytest.raises(ConfigError, match="OPENAI_BASE_URL 'localhost:8080' is no address"):
        Chat(model="m").check()


@pytest.mark.parametrize("part", [ask, understand, speak])
def test_azure_is_reached_with_its_header_and_its_version(part: Any) -> None:
    settings = {"headers": {"api-key": "azure-key"}, "query": {"api-version": "2026-10-01"}}

    async def scenario(server: Emulator) -> None:
        server.key = "azure-key"
        await part(server, **settings)

    (request,) = run(scenario).requests
    assert request.query == {"api-version": "2026-10-01"}
    assert "authorization" not in request.headers
    assert "azure-key" not in repr(Chat(model="m", **settings))


def test_check_wants_a_key_for_openai_and_an_address_that_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="there is no key for OpenAI: set OPENAI_API_KEY"):
        Chat(model="m").check()
    with pytest.raises(ConfigError, match="base_url 'localhost:8080' is no address"):
        Speech(model="m", voice="v", base_url="localhost:8080").check()
    for address, shown in (
        ("https:///v1?key=sesame", "https:///v1\\?\\*\\*\\*"),
        ("https://[v1?key=sesame", "https://\\[v1\\?\\*\\*\\*"),
    ):
        with pytest.raises(ConfigError, match=f"base_url '{shown}' is no address"):
            Chat(model="m", base_url=address).check()
    Transcription(model="m", base_url="http://localhost:8000/v1").check()
    monkeypatch.setenv("OPENAI_API_KEY", "sk")
    Chat(model="m").check()


def test_check_is_told_model_voice_and_address_and_no_secret() -> None:
    address = "http://me:password@127.0.0.1:8880/v1?key=abcdefgh"
    assert Speech(model="kokoro", voice="af_sky", base_url=address).describe() == (
        "model kokoro, voice af_sky at http://***@127.0.0.1:8880/v1?***"
    )
    assert Chat(model="m", base_url=BASE_URL).describe() == f"model m at {BASE_URL}"
