"""The settings as google-genai's `LiveConnectConfig` wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .schemas import as_openapi
from .settings import Activity, GeminiSettings

if TYPE_CHECKING:
    from fishjam_agents.backends.port import ToolDeclaration


def live_config(
    settings: GeminiSettings,
    *,
    turn_mode: str,
    instructions: str | None,
    tools: Sequence[ToolDeclaration],
    handle: str | None,
    seeding: bool,
) -> dict[str, Any]:
    """The setup of one connection, as a dictionary. Nothing is in it that was not asked for.

    Args:
        settings: The backend.
        turn_mode: Who rules over turns; with `local` the service's own detection is switched off.
        instructions: The system prompt.
        tools: The tools on offer.
        handle: Of the session to be resumed.
        seeding: Whether a history follows.
    """
    config: dict[str, Any] = {
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "top_k": settings.top_k,
        "max_output_tokens": settings.max_output_tokens,
        "seed": settings.seed,
        "media_resolution": _named("MEDIA_RESOLUTION_", settings.media_resolution),
        "enable_affective_dialog": settings.affective_dialog,
        "system_instruction": instructions,
        "speech_config": _speech(settings),
        "thinking_config": _thinking(settings),
        "tools": declarations(settings, tools),
        "realtime_input_config": _realtime(settings.activity, turn_mode),
        "context_window_compression": _compression(settings),
        "safety_settings": [
            {"category": category, "threshold": threshold} for category, threshold in settings.safety.items()
        ],
        "labels": dict(settings.labels),
    }
    if settings.proactive_audio is not None:
        config["proactivity"] = {"proactive_audio": settings.proactive_audio}
    if settings.family.initial_history and seeding:
        config["history_config"] = {"initial_history_in_client_content": True}
    given = {name: value for name, value in config.items() if value is not None and value not in ([], {})}
    languages = list(settings.transcription.languages)
    transcription = {"language_codes": languages} if languages else {}
    if settings.transcription.input:
        given["input_audio_transcription"] = dict(transcription)
    if settings.transcription.output:
        given["output_audio_transcription"] = dict(transcription)
    if settings.resumption:
        given["session_resumption"] = {"handle": handle} if handle else {}
    return _over(given, settings.raw)


def _named(prefix: str, value: str | None) -> str | None:
    return None if value is None else prefix + value.upper()


def _speech(settings: GeminiSettings) -> dict[str, Any]:
    speech: dict[str, Any] = {}
    if settings.voice is not None:
        speech["voice_config"] = {"prebuilt_voice_config": {"voice_name": settings.voice}}
    if settings.language is not None:
        speech["language_code"] = settings.language
    return speech


def _thinking(settings: GeminiSettings) -> dict[str, Any]:
    thinking = settings.thinking
    if thinking is None:
        return {}
    given = {"thinking_budget": thinking.budget, "thinking_level": _named("", thinking.level)}
    return {name: value for name, value in given.items() if value is not None}


def _compression(settings: GeminiSettings) -> dict[str, Any] | None:
    compression = settings.compression
    if compression is None:
        return None
    config: dict[str, Any] = {"sliding_window": {}}
    if compression.trigger_tokens is not None:
        config["trigger_tokens"] = compression.trigger_tokens
    if compression.target_tokens is not None:
        config["sliding_window"] = {"target_tokens": compression.target_tokens}
    return config


def _realtime(activity: Activity, turn_mode: str) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if activity.interrupts is not None:
        config["activity_handling"] = (
            "START_OF_ACTIVITY_INTERRUPTS" if activity.interrupts else "NO_INTERRUPTION"
        )
    if activity.coverage is not None:
        config["turn_coverage"] = f"TURN_INCLUDES_{activity.coverage.upper()}"
    if turn_mode == "local":
        config["automatic_activity_detection"] = {"disabled": True}
        return config
    detection = {
        "start_of_speech_sensitivity": _named("START_SENSITIVITY_", activity.start_sensitivity),
        "end_of_speech_sensitivity": _named("END_SENSITIVITY_", activity.end_sensitivity),
        "prefix_padding_ms": activity.prefix_padding_ms,
        "silence_duration_ms": activity.silence_duration_ms,
    }
    given = {name: value for name, value in detection.items() if value is not None}
    if given:
        config["automatic_activity_detection"] = given
    return config


def declarations(settings: GeminiSettings, tools: Sequence[ToolDeclaration]) -> list[dict[str, Any]]:
    """Tools as the setup has them."""
    declared: list[dict[str, Any]] = []
    if settings.google_search:
        declared.append({"google_search": {}})
    if tools:
        declared.append({"function_declarations": [_declaration(settings, tool) for tool in tools]})
    return declared


def _declaration(settings: GeminiSettings, tool: ToolDeclaration) -> dict[str, Any]:
    declaration: dict[str, Any] = {"name": tool.name, "description": tool.description}
    family = settings.family
    if tool.parameters.get("properties") and family.json_schema:
        declaration["parameters_json_schema"] = dict(tool.parameters)
    elif tool.parameters.get("properties"):
        declaration["parameters"] = as_openapi(tool.parameters)
    if family.background_tools or family.asynchronous_only:
        blocking = tool.blocking and not family.asynchronous_only
        declaration["behavior"] = "BLOCKING" if blocking else "NON_BLOCKING"
    return declaration


def _over(config: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with `raw` laid over it: mappings are joined, lists appended to, the rest replaced."""
    result = dict(config)
    for name, value in raw.items():
        known = result.get(name)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            result[name] = _over(known, value)
        elif isinstance(known, list) and isinstance(value, list):
            result[name] = [*known, *value]
        else:
            result[name] = value
    return result
