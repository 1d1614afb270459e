"""Messages about an exception of the user's own code: its place, and the way to see the rest."""

from __future__ import annotations

import inspect
import sysconfig
import traceback
from pathlib import Path
from types import FrameType

SEE = "`log: {level: debug}` shows the traceback"
"""Hint that shows how to see the whole of a bug of which one sentence is given."""

_OURS = str(Path(__file__).parents[1])
_PYTHON = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def raised_at(error: BaseException, *, foreign: bool = False) -> str:
    """The line an exception came from, as `bot.py:12`.

    It is the innermost one outside of Python's library and of installed packages: a `KeyError` that `json`
    raises is mended where `json` was called.

    Args:
        error: It was raised and caught.
        foreign: Whether lines of ours are passed over, too, where there is another one.

    Returns:
        File and line, the file relative to the current folder where it lies in it.
    """
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    # Code that was generated, as that of dataclasses is, lies in no file.
    frames = [frame for frame in frames if not frame[0].startswith("<")]
    # Ours first: it may be an installed package itself.
    ours = [frame for frame in frames if _within(frame[0], _OURS)]
    theirs = [frame for frame in frames if frame not in ours and not _within(frame[0], *_PYTHON)]
    if foreign and theirs:
        frames = theirs
    else:
        frames = [frame for frame in frames if frame in ours or frame in theirs] or frames
    if not frames:
        return "an unknown line"
    return shown(*frames[-1])


def shown(file: str, line: int | None) -> str:
    """A line of a file as messages have it: relative to the current folder where the file lies in it."""
    path, here = Path(file), Path.cwd()
    return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{line}"


def defined_at(function: object) -> str:
    """The place where a function is written, as a clause; "" where nothing is known of it."""
    code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)  # type: ignore[arg-type]
    return "" if code is None else f", at {shown(code.co_filename, code.co_firstlineno)}"


def users_line(frame: FrameType) -> str | None:
    """The innermost line of a running stack that is neither ours nor an installed package's."""
    lines = [(one.filename, one.lineno) for one in traceback.extract_stack(frame)]
    theirs = [line for line in lines if not line[0].startswith("<") and not _within(line[0], _OURS, *_PYTHON)]
    return shown(*theirs[-1]) if theirs else None


def of_a_user(error: BaseException) -> bool:
    """Return whether code that is neither ours nor an installed package's raised it."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    files = [file for file in files if not file.startswith("<") and not _within(file, *_PYTHON)]
    return bool(files) and not _within(files[-1], _OURS)


def describe(error: BaseException) -> str:
    """A bug in a clause: what was raised, and where."""
    return f"{error!r}, raised at {raised_at(error)}"


def _within(file: str, *folders: str) -> bool:
    return any(Path(file).is_relative_to(folder) for folder in folders)
