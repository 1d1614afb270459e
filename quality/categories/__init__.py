"""Measured categories, one module for each: those of Full-Duplex-Bench, and noise, onset and echo.

Full-Duplex-Bench (arXiv:2503.04721) asks of a full-duplex model: does it stay quiet in a pause, does it take
its turn and how soon, does it give way to an interruption. Its first version also asks whether the model
gives backchannels; a bot that gives none can only be asked to survive them, as version 1.5 does.
"""

from __future__ import annotations

NAMES = ("noise", "onset", "turn_taking", "pause", "backchannel", "interruption", "echo", "loudspeaker")
"""Modules with a function `measure(bench) -> Part`, in the order of the report. `places` is no part of
it, as its sounds are to be installed first: `python -m quality.recorded`."""
