"""JSON Schema of dialogues, for editors; `fishjam-agents dialogue-schema` writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from fishjam_agents.cli.output import say
from fishjam_agents.config import settings_schema
from fishjam_agents.errors import ConfigError
from fishjam_agents_local.intents.dialogue import Dialogue
from fishjam_agents_local.intents.reading import LISTS


def dialogue_schema() -> dict[str, Any]:
    """The schema: it knows wrong keys, types and words; what they mean together only the loader judges."""
    return settings_schema(Dialogue, "dialogue.yaml of fishjam_agents", LISTS)


def text() -> str:
    """The schema as a file has it."""
    return json.dumps(dialogue_schema(), indent=1, ensure_ascii=False) + "\n"


def _write(
    out: Annotated[
        Path | None, typer.Option(help="File to write it to.", show_default="standard output")
    ] = None,
) -> None:
    """Print the JSON Schema of dialogue.yaml, the file of `llm: {type: intents}`.

    Editors with yaml-language-server use it where the file says: # yaml-language-server: $schema=FILE
    """
    if out is None:
        say(text().rstrip())
        return
    try:
        out.write_text(text(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {out} ({error.strerror}): give another file with --out") from error
    say(str(out))


def main(arguments: list[str]) -> int:
    """Run `fishjam-agents dialogue-schema`."""
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(_write)
    return int(app(arguments, prog_name="fishjam-agents dialogue-schema", standalone_mode=False) or 0)
