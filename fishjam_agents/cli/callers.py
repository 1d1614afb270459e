"""The recordings that `--caller` names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fishjam_agents.audio.wav import Clip, read_wav
from fishjam_agents.errors import AudioError, ConfigError


def read_callers(paths: Iterable[Path]) -> list[Clip]:
    """Read the callers' recordings before anything starts.

    Raises:
        ConfigError: A file is no WAV that can be used: a mistake in the command, as one in a scenario is.
    """
    try:
        return [read_wav(path) for path in paths]
    except AudioError as error:
        raise ConfigError(str(error)) from error
