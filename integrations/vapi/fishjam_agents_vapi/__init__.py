"""Vapi assistants in Fishjam rooms: bridged by this process, or by Fishjam itself."""

from __future__ import annotations

from fishjam_agents_vapi import control
from fishjam_agents_vapi.backend import Vapi
from fishjam_agents_vapi.peer import VapiPeer
from fishjam_agents_vapi.settings import CallSettings
from fishjam_agents_vapi.webhook_settings import WebhookSettings

__all__ = ["CallSettings", "Vapi", "VapiPeer", "WebhookSettings", "control"]
