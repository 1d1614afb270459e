"""Smart Turn v3 of Pipecat, a small network that hears whether a turn sounds complete (BSD-2-Clause, Daily).

It comes with the extra `smart-turn` (onnxruntime, no torch), its weights with the wheel of `pipecat-ai`, of
which nothing else is used, or from a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from fishjam_agents.audio.log_mel import CHANNELS, FRAMES, SAMPLES, Features, log_mel
from fishjam_agents.audio.samples import Samples
from fishjam_agents.errors import ConfigError, MissingExtraError

SETTING = "turns.end_of_turn.model"
EXTRA = "smart-turn"
_WHEEL = "pipecat-ai"
_FOLDER = Path("audio", "turn", "smart_turn", "data")
_FILES = "smart-turn-v3*.onnx"
_INPUT = "input_features"
_GET_IT = "run `pip install --no-deps pipecat-ai`, or name the file of a Smart Turn v3 (docs/turn-taking.md)"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """Weights on disk.

    Attributes:
        path: The file.
        source: Where it comes from, with its licence where that is known.
    """

    path: Path
    source: str

    def __str__(self) -> str:
        return f"{self.path.name}, {self.path.stat().st_size / 1e6:.1f} MB, {self.source}"


def find_model(path: Path | None = None) -> ModelFile:
    """Find the weights, without reading them.

    Args:
        path: The file; None for that of the installed `pipecat-ai`.

    Raises:
        ConfigError: There are none.
        MissingExtraError: onnxruntime is not installed.
    """
    if find_spec("onnxruntime") is None:
        raise MissingExtraError("turns.end_of_turn: smart_turn", EXTRA)
    if path is None:
        return _of_the_wheel()
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name the file in it", setting=SETTING)
    if not path.is_file():
        raise ConfigError(f"there is no file {path}: {_GET_IT}", setting=SETTING)
    return ModelFile(path, "your own file")


def _of_the_wheel() -> ModelFile:
    # The package cannot be imported without what it depends on; where it lies can be found.
    spec = find_spec("pipecat")
    folders = [Path(place) / _FOLDER for place in (spec and spec.submodule_search_locations) or ()]
    found = sorted(file for folder in folders for file in folder.glob(_FILES))
    if not found:
        where = f" in the installed {_WHEEL}" if folders else f", and {_WHEEL} is not installed"
        raise ConfigError(f"there is no model{where}: {_GET_IT}", setting="turns.end_of_turn")
    try:
        package = metadata(_WHEEL)
        licence = package.json.get("license_expression", "licence in the wheel")
        source = f"{licence}, from {_WHEEL} {package['Version']}"
    except PackageNotFoundError:
        source = f"from {folders[0]}"
    return ModelFile(found[-1], source)


class SmartTurnModel:
    """The network in memory; one serves all calls of a process, from any thread.

    Args:
        path: The weights.

    Raises:
        ConfigError: The file is damaged, or another model.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError("turns.end_of_turn: smart_turn", EXTRA) from error
        options = onnxruntime.SessionOptions()
        # Threads that wait for each other cost more than they gain: 17 in place of 24 ms, for 27 ms of CPU.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
            inputs = {given.name: given.shape for given in self._session.get_inputs()}
            fits = inputs.keys() == {_INPUT} and inputs[_INPUT][1:] == [CHANNELS, FRAMES]
            if fits:
                # The first run allocates, and shows whether the answer is one.
                self.ask(log_mel(np.zeros(SAMPLES, np.int16)))
        except Exception as error:
            # onnxruntime has a class of its own for each failure, and all of them say: not this file.
            raise ConfigError(
                f"{path} cannot be loaded, it may be damaged: {_GET_IT}", setting=SETTING
            ) from error
        if not fits:
            raise ConfigError(f"{path} is another model: {_GET_IT}", setting=SETTING)

    def __call__(self, sound: Samples) -> float:
        """Probability that a turn is complete, 0 to 1; 24 ms of one core.

        Args:
            sound: Its last 8 s, or all of it, with some 0.2 s of quiet behind: int16 mono at 16 kHz.
        """
        return self.ask(log_mel(sound))

    def ask(self, features: Features) -> float:
        """Probability for a spectrogram."""
        answer = np.asarray(self._session.run(None, {_INPUT: features[np.newaxis]})[0])
        return float(answer.reshape(1)[0])


def load_model(path: Path | None = None) -> SmartTurnModel:
    """Load the weights and run them once, on first use; later calls share the model.

    Args:
        path: The file; None for that of the installed `pipecat-ai`.

    Raises:
        ConfigError: There is none, or it is damaged, or another model.
        MissingExtraError: onnxruntime is not installed.
    """
    return _loaded(path)


# By what was asked for: finding the file anew at each pause would cost a good part of what the network does.
@lru_cache(maxsize=4)
def _loaded(path: Path | None) -> SmartTurnModel:
    return SmartTurnModel(find_model(path).path)
