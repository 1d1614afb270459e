"""`schema`: the JSON Schema of config.yaml, with which editors complete and check it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fishjam_agents.cli.output import say
from fishjam_agents.errors import ConfigError


def schema(
    out: Annotated[
        Path | None, typer.Option(help="File to write it to.", show_default="standard output")
    ] = None,
) -> None:
    """Print the JSON Schema of config.yaml, with the backends that are installed here.

    Editors with yaml-language-server use it where the file says: # yaml-language-server: $schema=FILE
    """
    from fishjam_agents.config import config_schema

    text = json.dumps(config_schema(), indent=1, ensure_ascii=False)
    if out is None:
        say(text)
        return
    try:
        out.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {out} ({error.strerror}): give another file with --out") from error
    say(str(out))
