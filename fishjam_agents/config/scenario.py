"""From a scenario file to a `Scenario`, with the same messages as config.yaml."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from fishjam_agents.audio.wav import read_wav
from fishjam_agents.config.document import Node, Scalar, Section, Sequence, read_document
from fishjam_agents.config.problems import Problems, SourceLocation
from fishjam_agents.config.sections import SectionReader
from fishjam_agents.config.settings import AGENT_KEYS
from fishjam_agents.errors import AudioError, ConfigError
from fishjam_agents.testing.scenario import Scenario

ENDINGS = (".yaml", ".yml")
"""Suffixes of scenario files."""

_SMALLEST = "`callers: {ann: {lines: [{wav: question.wav}]}}`"
_BOT_SECTIONS = ("agent", "limits")
_AGENT_KEYS = {key: f"bot.agent.{key}" for key in AGENT_KEYS}


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """A scenario as a file gives it.

    Attributes:
        source: The file as it was named.
        scenario: What happens and what is expected.
        bot: Settings to lay over the bot's config.yaml (`load_config(..., over=bot)`), None without any.
        lines: Where each key stands, by its path (`expect.events[0].event`).
    """

    source: Path
    scenario: Scenario
    bot: Section | None = None
    lines: Mapping[str, SourceLocation] = field(default_factory=dict, repr=False)

    def where(self, key: str) -> str:
        """`cough.yaml:7`, where the file gives a key; the file alone where it does not."""
        return str(self.lines.get(key, self.source))


def load_scenario(path: str | os.PathLike[str], environ: Mapping[str, str] = os.environ) -> ScenarioFile:
    """Read a scenario. Relative paths in it are relative to the file.

    Args:
        path: The file.
        environ: Where `${VAR}` in it is looked up.

    Raises:
        ConfigError: It cannot be used as written; one line for each mistake, each with file and line.
    """
    source = Path(path)
    problems = Problems(str(source))
    document = read_document(source, environ, problems, _SMALLEST)
    reader = SectionReader(problems)
    given = reader.read(Scenario, document, "", besides=("bot",))
    bot = _bot(document.entries.get("bot"), reader)
    for key, node in _recordings(document.entries.get("callers"), "callers"):
        if not (node.null or node.broken) and (wrong := _unreadable(node)) is not None:
            problems.add(node.line, f"{key}: {wrong}")
    if given is not None:
        for key, wrong in _unplayable(given.settings):
            problems.add(reader.lines[key], f"{key}: {wrong}")
    problems.check()
    # What could not be read has been raised.
    assert given is not None
    scenario = given.settings
    if not scenario.name:
        scenario = replace(scenario, name=source.stem)
    return ScenarioFile(source, scenario, bot, reader.lines)


def load_suite(folder: Path) -> list[ScenarioFile]:
    """The scenarios of a folder, by the names of their files.

    Raises:
        ConfigError: There is none, or some cannot be used; every mistake of every file at once.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix in ENDINGS)
    if not paths:
        raise ConfigError(f"{folder} holds no scenario: put .yaml files there, or name one")
    suite: list[ScenarioFile] = []
    mistakes: list[str] = []
    names: dict[str, Path] = {}
    for path in paths:
        try:
            loaded = load_scenario(path)
        except ConfigError as error:
            mistakes.append(str(error))
            continue
        name = loaded.scenario.name
        if name in names:
            # Each has a folder of that name for its results.
            mistakes.append(
                f"{loaded.where('name')}: {names[name]} is called {name}, too: rename one of them"
            )
        names[name] = path
        suite.append(loaded)
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return suite


def _bot(node: Node | None, reader: SectionReader) -> Section | None:
    """The `bot` section with its keys noted; what is in them, the reader of config.yaml judges."""
    section = reader.mapping(node, "bot", _BOT_SECTIONS, _AGENT_KEYS)
    return section if section is not None and section.entries else None


def _recordings(node: Node | None, path: str) -> Iterator[tuple[str, Scalar]]:
    """Every `wav` below a node with its key; also in a file of which something else is wrong."""
    if isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield from _recordings(item, f"{path}[{index}]")
    elif isinstance(node, Section):
        for key, value in node.entries.items():
            if key == "wav" and isinstance(value, Scalar):
                yield f"{path}.{key}", value
            else:
                yield from _recordings(value, f"{path}.{key}")


def _unplayable(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Lines that would be silent, pictures that are not there: the key of each, and what is wrong."""
    for name, caller in scenario.callers.items():
        if caller.camera is not None and not caller.camera.is_file():
            yield f"callers.{name}.camera", f"there is no file {caller.camera}: check the path"
        for index, line in enumerate(caller.lines):
            if line.wav is None or not line.start:
                continue
            with suppress(AudioError):  # told by its key `wav`
                seconds = read_wav(line.wav).seconds
                if line.start >= seconds:
                    yield (
                        f"callers.{name}.lines[{index}].start",
                        f"{line.wav.name} ends after {seconds:.2f} s: begin before",
                    )


def _unreadable(node: Scalar) -> str | None:
    """Return the problem of a recording; None if there is none."""
    path = Path(node.line.source).parent / Path(node.text).expanduser()
    if not path.exists():
        near = difflib.get_close_matches(path.name, [wav.name for wav in path.parent.glob("*.wav")], n=1)
        return f"there is no file {path}: {f'did you mean {near[0]}?' if near else 'check the path'}"
    try:
        read_wav(path)
    except AudioError as error:
        return str(error)
    return None
