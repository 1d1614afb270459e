"""The choice between the compiled classes and those in Python, made once, at import.

The compiled module is optional: a build without a compiler goes without it. The classes in Python are the
reference, and run wherever `native` is None.
"""

from __future__ import annotations

import logging
import os
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio import native_sources

PURE_PYTHON = "FISHJAM_AGENTS_PURE_PYTHON"
"""In the environment of a program: "1" chooses Python. In that of a build: it compiles nothing."""

_MODULE = "fishjam_agents.audio._native"

_BY_MYPYC = "fishjam_agents__mypyc"
"""What a wheel holds that was built with FISHJAM_AGENTS_MYPYC (hatch_build.py)."""

_log = logging.getLogger(__name__)


class Native(Protocol):
    """The contents of the compiled module, for type checkers: `_native.pyi` has the signatures."""

    @property
    def SOURCES(self) -> str:  # noqa: N802
        """`native_sources.digest()` of the sources that it was built from."""

    @property
    def Detector(self) -> type[_native.Detector]:  # noqa: N802
        """Twin of `vad.Detector`."""

    @property
    def EchoGuard(self) -> type[_native.EchoGuard]:  # noqa: N802
        """Twin of `audio.echo.EchoGuard`."""

    @property
    def LevelMeter(self) -> type[_native.LevelMeter]:  # noqa: N802
        """Twin of `audio.echo_reference.LevelMeter`."""

    @property
    def LIKENESS_LONGEST(self) -> int:  # noqa: N802
        """Samples that `likeness` searches at most."""

    def likeness(
        self,
        sound: npt.NDArray[np.float64],
        voice: npt.NDArray[np.float64],
        alike: npt.NDArray[np.float64],
        /,
    ) -> None:
        """Twin of `audio.echo_match.likeness`."""


if TYPE_CHECKING:
    from fishjam_agents.audio import _native

    _stub: Native = _native


class Choice(NamedTuple):
    """Either the compiled module, or why Python does its work."""

    native: Native | None
    reason: str
    """As it follows "not compiled: "; "" with a module."""


def choose() -> Choice:
    """Import the compiled module where it may be used; say so in the log where it is there and unfit."""
    if os.environ.get(PURE_PYTHON, "") not in ("", "0"):
        return Choice(None, f"{PURE_PYTHON} is set")
    try:
        module = cast(Native, import_module(_MODULE))
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == _MODULE:
            return Choice(
                None, "what is installed has no compiled module; in a checkout `make native` makes it"
            )
        reason = f"the compiled module does not load: {error}"
    else:
        # Where no source is, module and Python came in one wheel.
        here = native_sources.digest()
        if here in ("", getattr(module, "SOURCES", None)):
            return Choice(module, "")
        reason = "the compiled module is of other sources than those beside it: run `make native`"
    _log.warning("what could run compiled runs in Python: %s", reason)
    return Choice(None, reason)


native, reason = choose()


def describe() -> str:
    """Return `yes`, or `no` and why not; and whether mypyc compiled what is in Python."""
    said = f"no: {reason}" if native is None else "yes"
    return said if find_spec(_BY_MYPYC) is None else f"{said}, and by mypyc what runs for every frame"
