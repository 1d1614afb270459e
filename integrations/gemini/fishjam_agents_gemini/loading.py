"""Importing this loads and builds what Google's client would load and build in the loop at its first use."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

from google.genai import types

# Its sockets, and what its HTTP client imports when it is made and closed.
for _name in (
    "google.genai.live",
    "google.auth.aio.credentials",
    "httpcore2",
    "anyio._backends._asyncio",
    "encodings.idna",
    "fishjam_agents_gemini.dialing",
    "fishjam_agents.backends.direct_socket",
):
    # What has another name in another version is then loaded by whoever needs it.
    with suppress(ImportError):
        import_module(_name)

# What is sent and what comes; those that are parts of others are built by themselves, too.
for _model in (
    types.HttpOptions,
    types.LiveConnectConfig,
    types.LiveConnectParameters,
    types.FunctionDeclaration,
    types.Tool,
    types.LiveSendRealtimeInputParameters,
    types.ActivityStart,
    types.ActivityEnd,
    types.Blob,
    types.Part,
    types.Content,
    types.UserContent,
    types.FunctionResponse,
    types.LiveClientToolResponse,
    types.LiveServerMessage,
    types.LiveServerSetupComplete,
    types.LiveServerContent,
    types.LiveServerToolCall,
    types.FunctionCall,
    types.LiveServerSessionResumptionUpdate,
    types.Transcription,
    types.UsageMetadata,
    types.ModalityTokenCount,
):
    _model.model_rebuild()
