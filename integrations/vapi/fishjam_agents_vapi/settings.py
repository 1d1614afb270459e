"""Settings of the call made at Vapi, which both ways into a room have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fishjam_agents.backends.key_file import check_key_file, read_key
from fishjam_agents.backends.port import Backend, ToolDeclaration
from fishjam_agents.backends.vendors import VendorEndpoint, VendorLimits
from fishjam_agents.backends.vendors.endpoint import fingerprint
from fishjam_agents.errors import ConfigError, SettingError
from fishjam_agents.secrecy import shown_url
from fishjam_agents.urls import has_host

API_URL = "https://api.vapi.ai"
URL_VARIABLE = "VAPI_URL"
KEY_VARIABLE = "VAPI_API_KEY"

_WHO = ("assistant_id", "assistant", "squad_id", "squad")


@dataclass(frozen=True, slots=True)
class CallSettings(Backend):
    """The call. One of `assistant_id`, `assistant`, `squad_id` and `squad` is given.

    Attributes:
        assistant_id: An assistant kept at Vapi.
        assistant: An assistant for this call alone, as Vapi's API takes it.
        squad_id: A squad kept at Vapi.
        squad: A squad for this call alone.
        assistant_overrides: What is different in this call, as Vapi's API takes it (`variableValues`).
        name: Name of the call in Vapi's dashboard.
        api_key: A private key; None takes `VAPI_API_KEY`.
        api_key_file: A file that holds the key, in place of `api_key`; each call reads it.
        url: Vapi's API; None takes `VAPI_URL`, and without it Vapi's own.
        limits: Limits of the account, for all calls of a process.
    """

    assistant_id: str | None = None
    assistant: Mapping[str, Any] | None = None
    squad_id: str | None = None
    squad: Mapping[str, Any] | None = None
    assistant_overrides: Mapping[str, Any] | None = None
    name: str | None = None
    api_key: str | None = field(default=None, repr=False)
    api_key_file: Path | None = None
    url: str | None = None
    limits: VendorLimits = VendorLimits()  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        given = [name for name in _WHO if getattr(self, name)]
        if len(given) != 1:
            what = " and ".join(given) if given else f"none of {', '.join(_WHO)}"
            raise SettingError(
                None, f"{what} given", "give one of them, who answers the call", fields=given or _WHO
            )

    @property
    def endpoint(self) -> VendorEndpoint:
        """The account, by its key."""
        return VendorEndpoint("Vapi", self.api_url, fingerprint(self._given_key))

    @property
    def api_url(self) -> str:
        """Base URL of Vapi's API."""
        return self.url or os.environ.get(URL_VARIABLE) or API_URL

    @property
    def key(self) -> str:
        """The private key.

        Raises:
            ConfigError: There is none, or it can be no key.
        """
        key = self._given_key
        if not key:
            raise ConfigError(
                f"Vapi needs a key: set api_key, or {KEY_VARIABLE}, to a private key of your account"
            )
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ConfigError(f"the key for Vapi can be none: check api_key, or {KEY_VARIABLE}")
        return key

    @property
    def _given_key(self) -> str:
        if self.api_key is None and self.api_key_file is not None:
            return read_key(self.api_key_file) or ""
        return (self.api_key or os.environ.get(KEY_VARIABLE) or "").strip()

    def check(self) -> None:
        """See that there is a key and an address.

        Raises:
            ConfigError: One is missing or wrong.
        """
        check_key_file(self.api_key, self.api_key_file)
        _ = self.key
        if not self.api_url.startswith(("https://", "http://")):
            raise ConfigError(
                f"the address of Vapi's API begins with https://, not {self.api_url!r}: correct url"
            )
        if not has_host(self.api_url):
            raise ConfigError(
                f"the address of Vapi's API, {shown_url(self.api_url)!r}, names no host, or a wrong port: "
                "correct url"
            )

    def body(
        self,
        sample_rate: int,
        tools: Sequence[ToolDeclaration] = (),
        server: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The body of `POST /call` (docs.vapi.ai/api-reference/calls/create).

        Args:
            sample_rate: Hz of the audio both ways.
            tools: The tools on offer; an assistant of this call alone is told of them. One kept at Vapi, and
                a squad, have theirs there.
            server: Where Vapi asks for results of tools.
        """
        overrides = dict(self.assistant_overrides or {})
        if server is not None:
            overrides.setdefault("server", dict(server))
        assistant = None if self.assistant is None else dict(self.assistant)
        if assistant is not None and tools:
            model = dict(assistant.get("model") or {})
            model["tools"] = [*(model.get("tools") or ()), *(_tool(tool) for tool in tools)]
            assistant["model"] = model
        said = {
            "assistantId": self.assistant_id,
            "assistant": assistant,
            "squadId": self.squad_id,
            "squad": self.squad,
            "assistantOverrides": overrides or None,
            "name": self.name,
        }
        audio: dict[str, Literal["pcm_s16le", "raw"] | int] = {
            "format": "pcm_s16le",
            "container": "raw",
            "sampleRate": sample_rate,
        }
        transport = {"provider": "vapi.websocket", "audioFormat": audio}
        return {**{key: value for key, value in said.items() if value is not None}, "transport": transport}


def _tool(tool: ToolDeclaration) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}
