"""Refusals of the service for each family of models, by the name of the model.

Sources: Google's Live API model pages and migration notes of September 2026, and public reports of refusals:
JSON schemas that models up to 2.5 do not see (googleapis/python-genai#1147), names that `parameters` does not
know (mastra-ai/mastra#17023), tools of extended thinking (livekit/agents#7302).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_OLD = re.compile(r"-(1\.|2\.)")
_LATEST = "3.8"
_EXTENDED = re.compile(r"3\.8.*extended")
_INVALID = "Invalid JSON payload received."
NO_SCHEDULING = "Function response scheduling is not supported for this model"
JSON_SCHEMA = ("parameters_json_schema", "parametersJsonSchema")
"""Keys under which a declaration has its JSON schema, in either casing."""
_CAMEL = (
    "type format title description nullable default example enum items properties required anyOf minItems "
    "maxItems minProperties maxProperties minLength maxLength minimum maximum pattern propertyOrdering"
)
_SCHEMA = frozenset(_CAMEL.split()) | {re.sub(r"([A-Z])", r"_\1", name).lower() for name in _CAMEL.split()}
"""Fields of a `Schema`, in either casing (google-genai's `types.Schema`)."""


def is_extended(model: str) -> bool:
    """Return whether a model thinks long: its tools are all asynchronous."""
    return _EXTENDED.search(model) is not None


def runs_in_background(model: str, declaration: Mapping[str, Any]) -> bool:
    """Return whether the model talks on while this tool runs."""
    default = "NON_BLOCKING" if _LATEST in model else "BLOCKING"
    return bool(declaration.get("behavior", default) == "NON_BLOCKING")


def sees_json_schema(model: str) -> bool:
    """Return whether it takes notice of `parametersJsonSchema`."""
    return _OLD.search(model) is None


def refusal_of_setup(setup: Mapping[str, Any]) -> str | None:
    """Return the reason to refuse a setup with 1007; None takes it."""
    model = setup["model"]
    generation = setup.get("generationConfig", {})
    thinking = generation.get("thinkingConfig")
    proactive = setup.get("proactivity", {})
    if _LATEST in model:
        if thinking is not None and not is_extended(model):
            return "Thinking config is not supported for this model."
        if generation.get("enableAffectiveDialog") is not None:
            return f'{_INVALID} Unknown name "enableAffectiveDialog" at "setup.generation_config"'
        if _of(proactive, "proactiveAudio", "proactive_audio") is False:
            return "Proactive audio cannot be disabled for this model."
    if not re.search(r"-2\.", model) and _of(thinking or {}, "thinkingBudget", "thinking_budget") is not None:
        return "Thinking budget is not supported for this model."
    if _OLD.search(model) and _of(thinking or {}, "thinkingLevel", "thinking_level") is not None:
        return "Thinking level is not supported for this model."
    return refusal_of_tools(model, setup.get("tools", []))


def refusal_of_tools(model: str, tools: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the reason to refuse tools with 1007; None takes them."""
    for tool in declarations(tools):
        if is_extended(model) and tool.get("behavior") == "BLOCKING":
            return "Blocking function calling is not supported for this model."
        unknown = next(_unknown(tool.get("parameters") or {}), None)
        if unknown is not None:
            return f'{_INVALID} Unknown name "{unknown}" at "function_declarations.parameters"'
    return None


def refusal_of_response(model: str, response: Mapping[str, Any]) -> str | None:
    """Return the reason to refuse the response of a tool with 1007; None takes it."""
    return NO_SCHEDULING if is_extended(model) and response.get("scheduling") is not None else None


def declarations(tools: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The functions that are declared in a list of tools."""
    for tool in tools:
        yield from _of(tool, "functionDeclarations", "function_declarations") or ()


def _unknown(schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for name in schema if name not in _SCHEMA)
    below = [*schema.get("properties", {}).values(), *(_of(schema, "anyOf", "any_of") or ())]
    if schema.get("items"):
        below.append(schema["items"])
    for each in below:
        yield from _unknown(each)


def _of(mapping: Mapping[str, Any], *names: str) -> Any:
    return next((mapping[name] for name in names if name in mapping), None)
