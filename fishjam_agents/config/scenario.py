"""From a scenario file to a `Scenario`, with the same messages as config.yaml."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from fishjam_agents.config.document import read_document
from fishjam_agents.config.problems import Problems
from fishjam_agents.config.sections import SectionReader
from fishjam_agents.testing.scenario import Scenario


def load_scenario(path: str | os.PathLike[str], environ: Mapping[str, str] = os.environ) -> Scenario:
    """Read a scenario. Relative paths in it are relative to the file.

    Args:
        path: The file.
        environ: Where `${VAR}` in it is looked up.

    Raises:
        ConfigError: It cannot be used as written; one line for each mistake, each with file and line.
    """
    source = Path(path)
    problems = Problems(str(source))
    smallest = "`callers: {ann: {lines: [{wav: question.wav}]}}`"
    document = read_document(source, environ, problems, smallest)
    reader = SectionReader(problems, source.parent)
    given = reader.read(Scenario, document, "")
    if given is not None:
        for key, wav in _recordings(given.settings):
            if not wav.is_file():
                problems.add(reader.lines.get(key), f"{key}: there is no file {wav}: check the path")
    problems.check()
    # What could not be read has been raised.
    assert given is not None
    scenario = given.settings
    return scenario if scenario.name else replace(scenario, name=source.stem)


def _recordings(scenario: Scenario) -> Iterator[tuple[str, Path]]:
    for name, caller in scenario.callers.items():
        for index, line in enumerate(caller.lines):
            if line.wav is not None:
                yield f"callers.{name}.lines[{index}].wav", line.wav
        if caller.noise is not None and caller.noise.wav is not None:
            yield f"callers.{name}.noise.wav", caller.noise.wav
