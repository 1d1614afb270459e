"""config.yaml: read it, build its pipelines, describe them."""

from __future__ import annotations

from fishjam_agents.config.describe import describe, describe_rooms
from fishjam_agents.config.factory import pipeline_factory
from fishjam_agents.config.load import load_config
from fishjam_agents.config.schema import config_schema, settings_schema
from fishjam_agents.config.settings import (
    AgentSettings,
    Config,
    GreetingSettings,
    OwnWordsSettings,
    PartialSettings,
)
from fishjam_agents.config.shared_accounts import backends_of, differing_limits

__all__ = [
    "AgentSettings",
    "Config",
    "GreetingSettings",
    "OwnWordsSettings",
    "PartialSettings",
    "backends_of",
    "config_schema",
    "describe",
    "describe_rooms",
    "differing_limits",
    "load_config",
    "pipeline_factory",
    "settings_schema",
]
