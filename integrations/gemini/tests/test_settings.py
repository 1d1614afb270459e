"""Settings: what is sent of them, and what is refused before anything connects."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from fishjam_agents_gemini import Activity, Compression, Gemini, Thinking, Transcription, Vertex
from fishjam_agents_gemini.emulator import GeminiEmulator

from fishjam_agents.errors import ConfigError
from integrations.gemini.tests.talk import talking

Run = Callable[..., None]


def test_without_settings_nothing_optional_is_sent(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        bare = Gemini(transcription=Transcription(False, False), resumption=False)
        async with talking(bare, turn_mode="backend"):
            connection = await emulator.connection(0)
        assert connection.setup == {"model": "models/gemini-3.8-live"}

    run(test)


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        (Gemini("gemini-3.8-live", thinking=Thinking(level="low")), "takes no thinking.level"),
        (Gemini("gemini-3.8-live", thinking=Thinking(budget=0)), "takes no thinking.budget: remove it"),
        (Gemini("gemini-3.8-live", affective_dialog=True), "knows no affective_dialog"),
        (Gemini("gemini-3.8-live-extended-thinking", proactive_audio=False), "is always proactive"),
        (Gemini("gemini-3.1-flash-live-preview", proactive_audio=True), "knows no proactive_audio"),
        (Gemini("gemini-3.1-flash-live-preview", thinking=Thinking(budget=1)), "or use thinking.level"),
        (Gemini("gemini-2.5-flash-native-audio", thinking=Thinking(level="high")), "Gemini 2.5"),
    ],
)
def test_what_the_models_family_does_not_take_is_said_before_connecting(
    backend: Gemini, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "key")
    with pytest.raises(ConfigError, match=words):
        backend.check()


@pytest.mark.parametrize(
    "backend",
    [
        Gemini("gemini-3.8-live", activity=Activity(interrupts=False)),
        Gemini("gemini-3.8-live-extended-thinking", thinking=Thinking(level="low")),
        Gemini("gemini-2.5-flash-native-audio", affective_dialog=True, thinking=Thinking(budget=0)),
        Gemini("somebody-elses-model", thinking=Thinking(1, "low"), proactive_audio=False),
    ],
)
def test_what_it_takes_is_let_through(backend: Gemini, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "key")
    backend.check()


def test_without_a_key_the_check_says_where_to_put_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="set GEMINI_API_KEY"):
        Gemini().check()
    assert "GEMINI_API_KEY" not in os.environ


EVERYTHING = Gemini(
    "gemini-2.5-flash-native-audio",
    voice="Puck",
    language="en-US",
    temperature=0.5,
    top_p=0.9,
    top_k=40,
    max_output_tokens=100,
    seed=7,
    media_resolution="low",
    thinking=Thinking(budget=0),
    affective_dialog=True,
    proactive_audio=True,
    transcription=Transcription(languages=("en-US",)),
    compression=Compression(25600, 12800),
    activity=Activity(False, "all_input", "high", "low", 20, 300),
    safety={"HARM_CATEGORY_HARASSMENT": "BLOCK_NONE"},
    labels={"shop": "shoes"},
    google_search=True,
    raw={
        "context_window_compression": {"trigger_tokens": 30000},
        "tools": [{"url_context": {}}],
        "input_audio_transcription": {"diarization": True},
    },
)


def test_every_setting_reaches_the_service_by_the_name_it_has_there(run: Run) -> None:
    async def test(emulator: GeminiEmulator) -> None:
        async with talking(EVERYTHING, turn_mode="backend", instructions="Be brief."):
            setup = (await emulator.connection(0)).setup
        assert setup == {
            "model": "models/gemini-2.5-flash-native-audio",
            "generationConfig": {
                "temperature": 0.5,
                "topP": 0.9,
                "topK": 40.0,
                "maxOutputTokens": 100,
                "seed": 7,
                "mediaResolution": "MEDIA_RESOLUTION_LOW",
                "speechConfig": {
                    "voice_config": {"prebuilt_voice_config": {"voice_name": "Puck"}},
                    "language_code": "en-US",
                },
                "thinkingConfig": {"thinking_budget": 0},
                "enableAffectiveDialog": True,
            },
            "systemInstruction": {"parts": [{"text": "Be brief."}], "role": "user"},
            "tools": [{"googleSearch": {}}, {"urlContext": {}}],
            "sessionResumption": {},
            "inputAudioTranscription": {"language_codes": ["en-US"], "diarization": True},
            "outputAudioTranscription": {"language_codes": ["en-US"]},
            "realtimeInputConfig": {
                "automatic_activity_detection": {
                    "start_of_speech_sensitivity": "START_SENSITIVITY_HIGH",
                    "end_of_speech_sensitivity": "END_SENSITIVITY_LOW",
                    "prefix_padding_ms": 20,
                    "silence_duration_ms": 300,
                },
                "activity_handling": "NO_INTERRUPTION",
                "turn_coverage": "TURN_INCLUDES_ALL_INPUT",
            },
            "contextWindowCompression": {
                "trigger_tokens": 30000,
                "sliding_window": {"target_tokens": 12800},
            },
            "proactivity": {"proactive_audio": True},
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
            "labels": {"shop": "shoes"},
        }

    run(test)


def test_vertex_ai_takes_no_labels() -> None:
    with pytest.raises(ConfigError, match="remove labels"):
        Gemini(vertex=Vertex("shop", "europe-west4"), labels={"a": "b"}).check()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": " "}, "name of a Live model"),
        ({"answer_timeout": 0}, "must be positive"),
        ({"setup_timeout": 15}, "must be below 15 s"),
        ({"prices": {"input_smell": 1.0}}, "knows no input_smell: use input_audio"),
    ],
)
def test_values_that_cannot_be_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Gemini(**settings)
