"""The JSON Schemas that the examples' files name, with our integrations: `make schema` writes them."""

from __future__ import annotations

import json
from pathlib import Path

from fishjam_agents_local.intents.schema import text as dialogue_text

from fishjam_agents.config import config_schema

FILE = Path(__file__).parents[2] / "examples" / "config.schema.json"
DIALOGUE = FILE.with_name("dialogue.schema.json")


def text() -> str:
    """The schema; without the backend that is there to be copied."""
    return json.dumps(config_schema(leave_out=["template"]), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
    DIALOGUE.write_text(dialogue_text(), encoding="utf-8")
