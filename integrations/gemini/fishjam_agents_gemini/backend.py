"""`type: gemini`: Google's Gemini Live, through Google's own client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar

from fishjam_agents.backends import Backend, BackendContext, Capabilities
from fishjam_agents.backends.key_file import check_key_file
from fishjam_agents.errors import ConfigError
from fishjam_agents.secrecy import shown_url
from fishjam_agents.urls import has_host

from .models import Family
from .session import GeminiSession
from .settings import KEY_VARIABLES, GeminiSettings


@dataclass(frozen=True, slots=True)
class Gemini(GeminiSettings, Backend):
    """Gemini Live; its settings are those of `GeminiSettings`."""

    audio_kept: ClassVar[float] = 5.0
    remembers: ClassVar[bool] = True
    loads: ClassVar[Sequence[str]] = ("google.genai", "fishjam_agents_gemini.loading")

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]
        """Capabilities of the model's family."""
        return Capabilities(
            input_rate=16000,
            output_rate=24000,
            own_turn_detection=True,
            images=True,
            tools=True,
            slow_updates=not self.family.context_update,
            background_tools=self.family.background_tools,
            text=True,
            respond=True,
            conversation=True,
        )

    def check(self) -> None:
        """Verify that there is a key, and that the model's family takes what is set.

        Raises:
            ConfigError: Something is wrong, in one sentence that says what to do.
        """
        check_key_file(self.api_key, self.api_key_file)
        family, thinking = self.family, self.thinking
        if self.base_url is not None and not has_host(self.base_url):
            raise ConfigError(
                f"base_url {shown_url(self.base_url)!r} names no host, or a wrong port: write it like "
                "https://generativelanguage.googleapis.com"
            )
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
    async def connect(self, context: BackendContext) -> AsyncIterator[GeminiSession]:
        """Open a session, resumed where an earlier one of the call left off.

        Raises:
            BackendError: It cannot be opened; `failure` says why.
        """
        # Google's client is loaded with the first call, not before.
        from .dialing import dial

        async with AsyncExitStack() as stack:
            yield await dial(self, context, stack)


def _or_level(family: Family) -> str:
    return ", or use thinking.level" if family.thinking_level else ""
