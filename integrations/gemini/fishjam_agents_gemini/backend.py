"""`type: gemini`: Google's Gemini Live, through Google's own client."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from fishjam_agents.backends import Backend, Capabilities, Conversation
from fishjam_agents.backends.link import CONNECT_DEADLINE
from fishjam_agents.errors import ConfigError

from .models import Family, family_of
from .session import GeminiSession
from .settings import Activity, Compression, Said, Thinking, Transcription, Vertex

KEY_VARIABLES = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
"""Where google-genai looks for a key, in this order."""


@dataclass(frozen=True, slots=True)
class Gemini(Backend):
    """Settings of Gemini Live. None, and what is left out, is not sent; the service has its own defaults.

    Attributes:
        model: Any model of the Live API.
        api_key: Key of the Gemini API, or an ephemeral token (`auth_tokens/...`); without it the variables
            GOOGLE_API_KEY and GEMINI_API_KEY are looked at.
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
    """

    audio_kept: ClassVar[float] = 5.0
    loads: ClassVar[Sequence[str]] = ("google.genai", "fishjam_agents_gemini.loading")

    model: str = "gemini-3.8-live"
    api_key: str | None = field(default=None, repr=False)
    vertex: Vertex | None = None
    base_url: str | None = None
    api_version: str | None = None
    voice: str | None = None
    language: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    max_output_tokens: int | None = None
    seed: int | None = None
    media_resolution: Literal["low", "medium", "high"] | None = None
    thinking: Thinking | None = None
    affective_dialog: bool | None = None
    proactive_audio: bool | None = None
    transcription: Transcription = Transcription()  # noqa: RUF009 - frozen
    compression: Compression | None = None
    resumption: bool = True
    activity: Activity = Activity()  # noqa: RUF009 - frozen
    history: tuple[Said, ...] = ()
    safety: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    google_search: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    prices: Mapping[str, float] = field(default_factory=dict)
    max_image: int = 4_000_000
    setup_timeout: float = 10.0
    answer_timeout: float = 20.0

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise ValueError("model must be the name of a Live model, like gemini-3.8-live")
        if self.setup_timeout <= 0 or self.answer_timeout <= 0:
            raise ValueError("setup_timeout and answer_timeout must be positive")
        if self.setup_timeout >= CONNECT_DEADLINE:
            raise ValueError(f"setup_timeout must be below {CONNECT_DEADLINE:g} s: a call waits no longer")
        unknown = self.prices.keys() - PRICED
        if unknown:
            raise ValueError(f"prices knows no {min(unknown)}: use {', '.join(sorted(PRICED))}")

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]
        """What the model's family can do."""
        return Capabilities(
            input_rate=16000,
            output_rate=24000,
            own_turn_detection=True,
            images=True,
            tools=True,
            background_tools=self.family.background_tools,
            text=True,
        )

    @property
    def family(self) -> Family:
        """The family of the model."""
        return family_of(self.model)

    def key(self) -> str | None:
        """The key to be used: the setting, else the environment's."""
        given = [self.api_key, *(os.environ.get(name) for name in KEY_VARIABLES)]
        return next((key.strip() for key in given if key and key.strip()), None)

    def check(self) -> None:
        """Verify that there is a key, and that the model's family takes what is set.

        Raises:
            ConfigError: Something is wrong, in one sentence that says what to do.
        """
        family, thinking = self.family, self.thinking
        if self.vertex is not None and self.labels:
            raise ConfigError("google-genai sends no labels to Vertex AI: remove labels")
        if self.vertex is None and self.key() is None:
            raise ConfigError(
                f"Gemini needs a key: set {KEY_VARIABLES[1]}, or api_key, or vertex; or put "
                "`python -m fishjam_agents_gemini.emulator` before the command, which needs none"
            )
        if thinking is not None and thinking.budget is not None and not family.thinking_budget:
            raise ConfigError(f"{family.name} takes no thinking.budget: remove it{_or_level(family)}")
        if thinking is not None and thinking.level is not None and not family.thinking_level:
            raise ConfigError(f"{family.name} takes no thinking.level: remove it")
        if self.affective_dialog is not None and not family.affective_dialog:
            raise ConfigError(f"{family.name} knows no affective_dialog: remove it")
        if self.proactive_audio is False and family.proactive_audio == "always":
            raise ConfigError(f"{family.name} is always proactive: remove proactive_audio")
        if self.proactive_audio is not None and family.proactive_audio == "never":
            raise ConfigError(f"{family.name} knows no proactive_audio: remove it")

    @asynccontextmanager
    async def connect(self, conversation: Conversation) -> AsyncIterator[GeminiSession]:
        """Open a session, resumed where an earlier one of the call left off.

        Raises:
            BackendError: It cannot be opened; `failure` says why.
        """
        # Google's client is loaded with the first call, not before.
        from .dialing import dial

        async with AsyncExitStack() as stack:
            yield await dial(self, conversation, stack)


PRICED = frozenset({"input_text", "input_audio", "input_image", "input_video", "output_text", "output_audio"})
"""What has a price."""


def _or_level(family: Family) -> str:
    return ", or use thinking.level" if family.thinking_level else ""
