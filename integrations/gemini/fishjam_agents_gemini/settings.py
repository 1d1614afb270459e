"""The settings of Gemini Live: `backend: {type: gemini}` and the mappings in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fishjam_agents.backends.connecting import CONNECT_DEADLINE
from fishjam_agents.backends.key_file import read_key
from fishjam_agents.backends.vendors import VendorEndpoint, VendorLimits
from fishjam_agents.backends.vendors.endpoint import fingerprint
from fishjam_agents.errors import SettingError
from fishjam_agents.units import Bytes, Milliseconds, Seconds, Tokens

from .models import Family, family_of

KEY_VARIABLES = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
"""Environment variables in which google-genai looks for a key, in this order."""
PRICED = frozenset({"input_text", "input_audio", "input_image", "input_video", "output_text", "output_audio"})
"""Amounts that have a price."""
ThinkingLevel = Literal["minimal", "low", "medium", "high", "xhigh"]


@dataclass(frozen=True, slots=True)
class Vertex:
    """Vertex AI in place of the Gemini API; credentials are the application default ones of Google Cloud.

    Attributes:
        project: Google Cloud project.
        location: Region, like `us-central1`.
    """

    project: str
    location: str


@dataclass(frozen=True, slots=True)
class Transcription:
    """Choice of the sides whose words the model writes down.

    Attributes:
        input: The users'. Needed for `on_transcript`.
        output: The bot's. Needed for what was heard of a reply to have words.
        languages: Hints, as BCP 47 codes.
    """

    input: bool = True
    output: bool = True
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Thinking:
    """Amount of the model's thinking before it speaks. Thoughts are never spoken.

    Attributes:
        budget: Tokens, for models 2.5; 0 switches thinking off.
        level: For models 3.1 and extended thinking.
    """

    budget: Tokens | None = None
    level: ThinkingLevel | None = None


@dataclass(frozen=True, slots=True)
class Compression:
    """A sliding window over the conversation, without which a session ends after 15 minutes of audio.

    Attributes:
        trigger_tokens: Length of the context at which it is cut; None leaves that to the service.
        target_tokens: What is left of it.
    """

    trigger_tokens: Tokens | None = None
    target_tokens: Tokens | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """The service's view of when somebody speaks. Its detection works only with `turns.mode: backend`.

    Attributes:
        interrupts: Whether speech ends a reply that is being generated.
        coverage: What of the input belongs to a turn.
        start_sensitivity: How readily speech is found.
        end_sensitivity: How readily its end is found.
        prefix_padding_ms: Speech before it counts as begun, in milliseconds.
        silence_duration_ms: Silence that ends a turn, in milliseconds.
    """

    interrupts: bool | None = None
    coverage: Literal["only_activity", "all_input", "audio_activity_and_all_video"] | None = None
    start_sensitivity: Literal["low", "high"] | None = None
    end_sensitivity: Literal["low", "high"] | None = None
    prefix_padding_ms: Milliseconds | None = None
    silence_duration_ms: Milliseconds | None = None


@dataclass(frozen=True, slots=True)
class HistoryMessage:
    """An entry of the conversation that the model is to know when the call begins.

    Attributes:
        role: Who said it.
        text: What.
    """

    role: Literal["user", "model"]
    text: str


@dataclass(frozen=True, slots=True)
class GeminiSettings:
    """Settings of Gemini Live. None, and what is left out, is not sent; the service has its own defaults.

    Attributes:
        model: Any model of the Live API.
        api_key: Key of the Gemini API, or an ephemeral token (`auth_tokens/...`); without it the variables
            GOOGLE_API_KEY and GEMINI_API_KEY are looked at.
        api_key_file: A file that holds the key, in place of `api_key`; each connection reads it.
        vertex: Vertex AI in place of the Gemini API.
        base_url: Where the service is, if not at Google's own address.
        api_version: Version of the API, like `v1beta`; the client's own default otherwise.
        voice: Name of a prebuilt voice, like `Puck`.
        language: Language it speaks, as a BCP 47 code.
        temperature: Randomness of the words.
        top_p: Nucleus sampling.
        top_k: Sampling among so many.
        max_output_tokens: Longest reply, in tokens.
        seed: For repeatable answers.
        media_resolution: How closely images are looked at.
        thinking: How much it thinks.
        affective_dialog: Whether it follows the speaker's mood.
        proactive_audio: Whether it may stay silent when it was not spoken to.
        transcription: Which words are written down. Both sides' unless switched off.
        compression: A sliding window over the conversation; calls over 15 minutes need it.
        resumption: Whether the session is resumed on a new connection. On unless switched off.
        activity: The service's view of when somebody speaks.
        history: What the model is to know when the call begins.
        safety: Threshold by harm category, as the API names them.
        labels: Labels of the bill.
        google_search: Whether it may search the web.
        raw: Anything else of google-genai's `LiveConnectConfig`, by its names; it goes over everything above.
        prices: Price of a million tokens by `input_text`, `input_audio`, `input_image`, `input_video`,
            `output_text`, `output_audio`; turns on the running cost.
        max_image: Largest image that is sent, in bytes.
        setup_timeout: Seconds the service may take to accept the setup.
        answer_timeout: Seconds it may take to answer before the connection is looked after.
        limits: Limits of the account, for all calls of a process.
    """

    model: str = "gemini-3.8-live"
    api_key: str | None = field(default=None, repr=False)
    api_key_file: Path | None = None
    vertex: Vertex | None = None
    base_url: str | None = None
    api_version: str | None = None
    voice: str | None = None
    language: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    max_output_tokens: Tokens | None = None
    seed: int | None = None
    media_resolution: Literal["low", "medium", "high"] | None = None
    thinking: Thinking | None = None
    affective_dialog: bool | None = None
    proactive_audio: bool | None = None
    transcription: Transcription = Transcription()
    compression: Compression | None = None
    resumption: bool = True
    activity: Activity = Activity()
    history: tuple[HistoryMessage, ...] = ()
    safety: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    google_search: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    prices: Mapping[str, float] = field(default_factory=dict)
    max_image: Bytes = 4_000_000
    setup_timeout: Seconds = 10.0
    answer_timeout: Seconds = 20.0
    limits: VendorLimits = VendorLimits()  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise SettingError("model", "must be the name of a Live model, like gemini-3.8-live")
        if self.setup_timeout <= 0 or self.answer_timeout <= 0:
            raise SettingError(
                "setup_timeout", "and answer_timeout must be positive", fields=["answer_timeout"]
            )
        if self.setup_timeout >= CONNECT_DEADLINE:
            raise SettingError(
                "setup_timeout", f"must be below {CONNECT_DEADLINE:g} s", "a call waits no longer"
            )
        unknown = self.prices.keys() - PRICED
        if unknown:
            raise SettingError("prices", f"knows no {min(unknown)}", f"use {', '.join(sorted(PRICED))}")

    @property
    def family(self) -> Family:
        """The family of the model."""
        return family_of(self.model)

    @property
    def endpoint(self) -> VendorEndpoint:
        """The account: by project for Vertex AI, by key otherwise."""
        if (vertex := self.vertex) is not None:
            address = self.base_url or f"{vertex.location}/{vertex.project}"
            return VendorEndpoint("Gemini on Vertex AI", address)
        return VendorEndpoint("Gemini", self.base_url or "", fingerprint(self.key()))

    def key(self) -> str | None:
        """The key to be used: the setting, else that in the file as it is now, else the environment's."""
        if self.api_key is None and self.api_key_file is not None:
            return read_key(self.api_key_file)
        given = [self.api_key, *(os.environ.get(name) for name in KEY_VARIABLES)]
        return next((key.strip() for key in given if key and key.strip()), None)
