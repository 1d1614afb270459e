"""The system prompt of a bot that stands in a file of its own."""

from __future__ import annotations

from pathlib import Path

from fishjam_agents.config.document import Section
from fishjam_agents.config.problems import Problems
from fishjam_agents.config.sections import SectionReader
from fishjam_agents.config.variables import VariableError, expand, held

MAX_BYTES = 1_000_000
"""A larger file is taken for something else than instructions."""


def read_instructions(
    section: Section, path: str, reader: SectionReader, problems: Problems
) -> tuple[str | None, Path | None]:
    """Return the instructions of a bot, and the file that they stand in, if they stand in one.

    Variables are expanded as in `instructions`. Blank lines around the text are left out.

    Args:
        section: The bot's settings.
        path: Their key.
        reader: Reads sections.
        problems: Takes what is wrong.
    """
    text = reader.text(section.entries.get("instructions"), f"{path}.instructions")
    key = f"{path}.instructions_file"
    file = reader.value(Path, section.entries.get("instructions_file"), key)
    if file is None:
        return text, None
    line = reader.lines.get(key)
    if text is not None:
        problems.add(line, f"{path} has both instructions and instructions_file: give one of them")
        return text, file
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        # Of a longer file the end is not read, and may be within a character.
        written = "" if len(content) > MAX_BYTES else content.decode("utf-8-sig")
    except FileNotFoundError:
        problems.add(line, f"{key}: there is no file {file}: check the path")
    except OSError as error:
        problems.add(line, f"{key}: {file} cannot be read ({error.strerror}): check it")
    except UnicodeDecodeError:
        problems.add(line, f"{key}: {file} is not text in UTF-8: save it as UTF-8")
    else:
        if len(content) > MAX_BYTES:
            problems.add(line, f"{key}: {file} has more than {MAX_BYTES} bytes: give a file of instructions")
        elif not written.strip():
            problems.add(line, f"{key}: {file} is empty: write the instructions in it")
        else:
            problems.hide(held(written, reader.environ))
            try:
                return expand(written, reader.environ).strip(), file
            except VariableError as error:
                problems.add(line, f"{key}: {file}: {error}")
    return None, file
