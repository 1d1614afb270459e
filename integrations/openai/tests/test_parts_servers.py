"""What servers do in their own ways, each as its source or documents have it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from fishjam_agents_openai import Chat
from fishjam_agents_openai.emulator import DIALECTS, Answer, Emulator, Failed, Raw

from fishjam_agents.backends.cascade import ContextFullError, LLMToolCall, LLMUsage, Reasoning, Transcript
from fishjam_agents.errors import BackendError
from integrations.openai.tests.asking import HELLO, ask, run, speak, understand

THINKING = ["llama.cpp", "ollama", "vllm"]
FISH = "Der Fisch sagt \N{FISH}: „Grüße“."


def words(pieces: list[Any]) -> str:
    return "".join(piece for piece in pieces if isinstance(piece, str))


@pytest.mark.parametrize("server", THINKING)
def test_what_a_model_reasons_is_not_among_its_words(server: str) -> None:
    async def scenario(emulator: Emulator) -> None:
        pieces = await ask(emulator)
        assert words(pieces) == "Yes."
        assert [piece for piece in pieces if isinstance(piece, Reasoning)]

    run(scenario, chats=[Answer(["Yes."])], dialect=DIALECTS[server])


@pytest.mark.parametrize("server", THINKING)
@pytest.mark.parametrize(
    "settings",
    [{"reasoning_effort": "none"}, {"extra": {"chat_template_kwargs": {"enable_thinking": False}}}],
    ids=["reasoning_effort", "chat_template_kwargs"],
)
def test_a_model_can_be_told_not_to_reason(server: str, settings: dict[str, Any]) -> None:
    async def scenario(emulator: Emulator) -> None:
        assert not [piece for piece in await ask(emulator, **settings) if isinstance(piece, Reasoning)]

    run(scenario, chats=[Answer(["Yes."])], dialect=DIALECTS[server])


def test_ollama_gives_every_call_the_same_index_and_they_are_two_all_the_same() -> None:
    def call(name: str, arguments: str) -> dict[str, Any]:
        function = {"name": "weather", "arguments": arguments}
        return {"tool_calls": [{"index": 1, "id": name, "type": "function", "function": function}]}

    async def scenario(emulator: Emulator) -> None:
        calls = [piece for piece in await ask(emulator) if isinstance(piece, LLMToolCall)]
        assert calls == [
            LLMToolCall("c1", "weather", {"city": "Kyoto"}),
            LLMToolCall("c2", "weather", {"city": "Oslo"}),
        ]

    answer = Answer([call("c1", '{"city": "Kyoto"}'), call("c2", '{"city": "Oslo"}')])
    run(scenario, chats=[answer], dialect=DIALECTS["ollama"])


def test_calls_without_an_id_or_with_one_that_was_there_before_get_one_of_their_own() -> None:
    async def scenario(emulator: Emulator) -> None:
        settings = {"base_url": emulator.base_url, "model": "m"}
        async with Chat(**settings).connect() as chat:
            ids = [
                piece.call
                for _ in range(2)
                async for piece in chat.reply(HELLO, ())
                if isinstance(piece, LLMToolCall)
            ]
        assert len(set(ids)) == len(ids) == 4
        assert ids[0] == "same"

    def answer() -> Answer:
        function = {"name": "f", "arguments": "{}"}
        return Answer(
            [
                {"tool_calls": [{"index": 0, "id": "same", "function": function}]},
                {"tool_calls": [{"index": 1, "function": function}]},
            ]
        )

    run(scenario, chats=[answer(), answer()])


def test_vllm_counts_on_in_every_chunk_and_is_counted_once() -> None:
    async def scenario(emulator: Emulator) -> None:
        spent = [piece for piece in await ask(emulator) if isinstance(piece, LLMUsage)]
        assert spent == [LLMUsage({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12})]

    run(scenario, chats=[Answer(["One, ", "two, ", "three."])], dialect=DIALECTS["vllm"])


def test_vllm_streams_a_transcript_in_the_form_of_a_chat() -> None:
    async def scenario(emulator: Emulator) -> None:
        assert await understand(emulator, stream=True) == [
            Transcript("Good "),
            Transcript("Good morning."),
            Transcript("Good morning.", final=True),
        ]

    run(scenario, transcripts=[Answer(["Good ", "morning."])], dialect=DIALECTS["vllm"])


def test_llama_cpp_ends_a_streamed_transcript_with_an_empty_text_and_the_words_before_it_stay() -> None:
    async def scenario(emulator: Emulator) -> None:
        pieces = await understand(emulator, stream=True)
        assert pieces[-1] == Transcript("Good morning.", final=True)

    run(scenario, transcripts=[Answer(["Good ", "morning."])], dialect=DIALECTS["llama.cpp"])


def test_a_transcript_that_is_null_is_of_a_turn_without_a_word() -> None:
    async def scenario(emulator: Emulator) -> None:
        assert await understand(emulator) == [Transcript("", final=True)]

    run(scenario, transcripts=[Answer(['{"text": null}'], kind="application/json")])


def test_a_server_that_cannot_stream_a_transcript_is_understood_at_once() -> None:
    async def scenario(emulator: Emulator) -> None:
        pieces = await understand(emulator, stream=True)
        assert pieces == [LLMUsage({"seconds": 2}), Transcript("Good morning.", final=True)]

    run(scenario, transcripts=[Answer(["Good morning."], streams=False)])


@pytest.mark.parametrize("extra", [{}, {"response_format": "text"}])
def test_a_transcript_in_plain_text_loses_its_newline(extra: dict[str, Any]) -> None:
    async def scenario(emulator: Emulator) -> None:
        assert await understand(emulator, extra=extra) == [Transcript("Yes.", final=True)]

    run(scenario, transcripts=[Answer(["Yes."], plain=True)])


def test_speaches_speaks_at_the_rate_it_is_asked_for_and_with_a_voice_that_is_named() -> None:
    async def scenario(emulator: Emulator) -> None:
        pcm = await speak(emulator, "Hi.", sample_rate=16000, extra={"sample_rate": 16000})
        assert len(pcm) == 3 * 16000 // 20 * 2

    (request,) = run(scenario, dialect=DIALECTS["speaches"]).requests
    assert request.fields["response_format"] == "pcm"
    assert request.fields["voice"] == "v"


def test_kokoro_takes_some_names_for_its_model_and_says_which() -> None:
    async def scenario(emulator: Emulator) -> None:
        for model in ("kokoro", "tts-1"):
            assert await speak(emulator, model=model)
        with pytest.raises(BackendError, match=r"Unsupported model: m\. Supported models: gpt-4o") as caught:
            await speak(emulator)
        assert (caught.value.failure, caught.value.retryable) == ("config", False)

    run(scenario, dialect=DIALECTS["kokoro"])


@pytest.mark.parametrize("server", DIALECTS)
def test_no_server_is_left_to_send_mp3(server: str) -> None:
    async def scenario(emulator: Emulator) -> None:
        assert len(await speak(emulator, "Hello.", model="kokoro")) == 6 * 1200 * 2

    run(scenario, dialect=DIALECTS[server])


@pytest.mark.parametrize("kind", ["text/html", "application/json", "audio/mpeg"])
def test_what_is_no_pcm_is_not_played_as_noise(kind: str) -> None:
    async def scenario(emulator: Emulator) -> None:
        with pytest.raises(
            BackendError, match=rf"speech from http://127\.0\.0\.1:\d+/v1 came as ({kind}|text)"
        ) as caught:
            await speak(emulator)
        assert caught.value.failure == "config"

    run(scenario, speeches=[Answer(["not sound"], kind=kind)])


@pytest.mark.parametrize(
    ("part", "answers"), [(ask, "chats"), (understand, "transcripts"), (speak, "speeches")]
)
def test_a_web_page_in_place_of_an_answer_tells_of_a_wrong_address(part: Any, answers: str) -> None:
    async def scenario(emulator: Emulator) -> None:
        for settings in ({}, {"stream": True}) if part is understand else ({},):
            with pytest.raises(BackendError, match="check base_url") as caught:
                await part(emulator, **settings)
            assert caught.value.failure == "config"

    page = Answer(["<!DOCTYPE html><title>llama.cpp</title>"], kind="text/html")
    run(scenario, **{answers: [page, page]})


def test_a_letter_that_comes_byte_by_byte_comes_whole() -> None:
    async def scenario(emulator: Emulator) -> None:
        assert words(await ask(emulator)) == FISH

    run(scenario, chats=[Answer([FISH], crumbs=True)])


def test_a_transcript_that_comes_byte_by_byte_comes_whole() -> None:
    async def scenario(emulator: Emulator) -> None:
        assert (await understand(emulator, stream=True))[-1] == Transcript(FISH, final=True)

    run(scenario, transcripts=[Answer([FISH], crumbs=True)])


@pytest.mark.parametrize(
    "data",
    [
        b": keep-alive\n\n",
        b"event: ping\ndata: {}\n\n",
        b'data: {"object": "ping", "at": 1}\n\n',
        b'data: {"id": "", "object": "", "model": "", "choices": [], "prompt_filter_results": []}\n\n',
        b'data: {"choices": [{"index": 0, "new_field": 1}]}\n\n',
        b'data: {"choices": [{"index": 0, "delta": {"content": null}}]}\n\n',
    ],
    ids=["comment", "named event", "unknown object", "filters of Azure", "no delta", "no content"],
)
def test_what_is_no_word_of_an_answer_is_passed_over(data: bytes) -> None:
    async def scenario(emulator: Emulator) -> None:
        assert words(await ask(emulator)) == "One two"

    run(scenario, chats=[Answer([Raw(data), "One ", Raw(data), "two", Raw(data)])])


def test_events_of_a_transcript_that_nobody_knows_are_passed_over() -> None:
    unknown = Raw(b'data: {"type": "transcript.text.segment", "text": "No."}\n\n')

    async def scenario(emulator: Emulator) -> None:
        assert (await understand(emulator, stream=True))[-1] == Transcript("Yes.", final=True)

    run(scenario, transcripts=[Answer([unknown, "Yes."])])


@pytest.mark.parametrize(
    "rubbish", [b"data: {what?\n\n", b'data: {"\xff": 1}\n\n'], ids=["no JSON", "no UTF-8"]
)
@pytest.mark.parametrize(("part", "answers"), [(ask, "chats"), (understand, "transcripts")])
def test_rubbish_in_a_stream_can_be_asked_for_again(part: Any, answers: str, rubbish: bytes) -> None:
    async def scenario(emulator: Emulator) -> None:
        with pytest.raises(BackendError, match="is not readable") as caught:
            await part(emulator, **({"stream": True} if part is understand else {}))
        assert caught.value.retryable

    run(scenario, **{answers: [Answer(["One ", Raw(rubbish)])]})


def test_a_failure_in_the_middle_is_one_line_without_the_key() -> None:
    async def scenario(emulator: Emulator) -> None:
        with pytest.raises(BackendError) as caught:
            await ask(emulator, api_key="sk-secret")
        told = r"the language model's answer from http://[\d.:]+/v1 broke off \(\*\*\* is out\): try again"
        assert re.fullmatch(told, str(caught.value))

    run(scenario, chats=[Answer(["Hel", Failed("sk-secret is out\nTraceback (most recent call last)")])])


@pytest.mark.parametrize(
    ("answer", "failure", "retryable", "advice"),
    [
        (Answer(["slow down"], 429, headers={"Retry-After": "20"}), "quota", True, "try again in 20 s"),
        (Answer(["slow down"], 429), "quota", True, "see the limits of the account"),
        (Answer(["no credit"], 429, "insufficient_quota"), "quota", False, "see the limits of the account"),
        (Answer(["pay first"], 402), "quota", False, "see the limits of the account"),
        (Answer(["not that"], 400, "content_filter"), "config", True, "check the settings"),
        (Answer(["too long"], 400, "context_length_exceeded"), "config", True, "a longer context"),
    ],
)
def test_a_refusal_says_what_to_do(answer: Answer, failure: str, retryable: bool, advice: str) -> None:
    async def scenario(emulator: Emulator) -> None:
        with pytest.raises(BackendError) as caught:
            await ask(emulator)
        error = caught.value
        assert (error.failure, error.retryable) == (failure, retryable)
        assert str(error).endswith(advice)

    run(scenario, chats=[answer])


FULL = [
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "the request exceeds the available context size (4096 tokens), try increasing it",
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4900 in the "
    "messages, 100 in the completion). Please reduce the length of the messages or completion.",
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with "
    "context length of only 4096 tokens",
    "prompt is too long: 210000 tokens > 200000 maximum",
]


@pytest.mark.parametrize("said", FULL)
@pytest.mark.parametrize("how", ["refused", "in the stream"])
def test_a_conversation_that_is_too_long_is_told_apart(said: str, how: str) -> None:
    answer = Answer([said], 400) if how == "refused" else Answer([Failed(said)])

    async def scenario(emulator: Emulator) -> None:
        with pytest.raises(ContextFullError, match="there is no room for the conversation"):
            await ask(emulator)

    run(scenario, chats=[answer])


@pytest.mark.parametrize("said", ["bad request", "the model is unknown", "max_tokens must be at least 1"])
def test_other_refusals_are_not_taken_for_a_full_context(said: str) -> None:
    async def scenario(emulator: Emulator) -> None:
        with pytest.raises(BackendError) as caught:
            await ask(emulator)
        assert not isinstance(caught.value, ContextFullError)

    run(scenario, chats=[Answer([said], 400)])


def test_a_server_that_closes_idle_connections_is_connected_anew_without_a_word() -> None:
    async def scenario(emulator: Emulator) -> None:
        async with Chat(base_url=emulator.base_url, model="m").connect() as chat:
            for _ in range(3):
                assert [piece async for piece in chat.reply(HELLO, ())]
                while emulator.open_connections:  # noqa: ASYNC110 - it is the server that closes
                    await asyncio.sleep(0.01)

    assert len(run(scenario, idle=0.1).requests) == 3


def test_an_answer_that_is_no_stream_is_told_of() -> None:
    async def scenario(emulator: Emulator) -> None:
        with pytest.raises(BackendError, match="is no stream: check base_url"):
            await ask(emulator)

    run(scenario, chats=[Answer(['{"choices": [{"message": {"content": "Hi."}}]}'], kind="application/json")])


def test_a_refusal_of_the_model_is_spoken() -> None:
    async def scenario(emulator: Emulator) -> None:
        assert words(await ask(emulator)) == "I must not."

    run(scenario, chats=[Answer([{"refusal": "I must "}, {"refusal": "not."}])])
