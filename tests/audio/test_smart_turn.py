"""The network that hears whether a turn is complete: its features, its answers, and files that are none."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from audio_fixtures.corpus import sentences
from fishjam_agents.audio.log_mel import SAMPLES, Features, log_mel, whisper_log_mel
from fishjam_agents.audio.log_mel import _filters as log_mel_filters
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.smart_turn import SmartTurnModel, find_model, load_model
from fishjam_agents.audio.wav import read_wav
from fishjam_agents.errors import ConfigError, FishjamAgentsError, MissingExtraError

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
QUESTION = read_wav(FIXTURES / "alice_question.wav").samples
NEEDED = pytest.mark.skipif(
    not (importlib.util.find_spec("pipecat") and importlib.util.find_spec("onnxruntime")),
    reason="needs onnxruntime and the wheel of pipecat-ai: uv sync --all-extras --all-groups",
)


@cache
def reference() -> ModuleType:
    """Pipecat's own features, by which the network was trained; its package cannot be imported."""
    file = find_model().path.parents[1] / "_whisper_features.py"
    spec = importlib.util.spec_from_file_location("whisper_features", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expected(sound: Samples) -> Features:
    padded = np.zeros(SAMPLES, np.float32)
    last = sound[-SAMPLES:]
    padded[SAMPLES - len(last) :] = last.astype(np.float32) / 32768
    features: Features = reference().compute_whisper_log_mel_features(padded)
    return features


@NEEDED
@pytest.mark.parametrize("seconds", [0.3, 1.0, 3.3, 8.0, 11.0])
def test_features_are_those_the_network_was_trained_with(seconds: float) -> None:
    sound = np.resize(QUESTION, round(seconds * 16000)).astype(np.int16)
    found = log_mel(sound)
    assert found.dtype == np.float32
    assert np.abs(found - expected(sound)).max() < 1e-4


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.5, 3.3, 14.99, 15.0, 16.0])
@pytest.mark.parametrize("channels", [80, 128])
def test_features_for_whisper_are_of_the_sound_and_the_zeros_behind_it(seconds: float, channels: int) -> None:
    sound = np.resize(QUESTION, round(seconds * 16000)).astype(np.int16)
    # As Whisper itself does: all of the zeros are transformed, too.
    padded = np.zeros(15 * 16000)
    padded[: len(sound)] = sound[: 15 * 16000] / 32768
    centred = np.pad(padded, 200, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = [np.abs(np.fft.rfft(centred[at : at + 400] * hann)) ** 2 for at in range(0, 15 * 16000, 160)]
    logarithm = np.log10(np.maximum(np.array(power) @ log_mel_filters(channels), 1e-10))
    whole = (np.maximum(logarithm, logarithm.max() - 8.0) + 4.0) / 4.0
    found = whisper_log_mel(sound, 15, channels)
    assert found.shape == (channels, 1500)
    assert np.abs(found - whole.T).max() < 1e-6


@pytest.mark.parametrize("sound", [np.empty(0, np.int16), np.zeros(16000, np.int16)])
def test_features_of_silence_are_numbers(sound: Samples) -> None:
    assert np.isfinite(log_mel(sound)).all()


@NEEDED
def test_the_answers_are_those_to_the_reference_but_for_the_network_s_own_rounding() -> None:
    """Its int8 rounding moves a probability by up to 0.2 for features that differ by 1e-7; the mean stays."""
    model = load_model()
    quiet = np.zeros(3200, np.int16)
    ours, theirs = [], []
    for said in [said for said in sentences(1, 32) if said.band == 16000][:20]:
        sound = np.concatenate((said.samples, quiet)).astype(np.int16)
        ours.append(model(sound))
        features = expected(sound)[np.newaxis].astype(np.float32)
        theirs.append(model.ask(features[0]))
    assert np.abs(np.subtract(ours, theirs)).max() <= 0.2
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=0.02)
    assert all(0.0 <= answer <= 1.0 for answer in ours)


@NEEDED
def test_a_model_is_looked_for_and_loaded_once_for_all_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model()
    with monkeypatch.context() as patch:
        # No answer of a loaded model needs its file, nor the time it takes to find it.
        patch.setattr("fishjam_agents.audio.smart_turn.find_model", None)
        assert load_model(None) is load_model() is model
    assert str(find_model()).startswith("smart-turn-v3")
    assert "BSD-2-Clause, from pipecat-ai" in str(find_model())


def test_a_file_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(
        ConfigError, match=r"turns.end_of_turn.model: there is no file .*missing.onnx: run `pip"
    ):
        find_model(tmp_path / "missing.onnx")
    with pytest.raises(ConfigError, match=r"is a folder: name the file in it$"):
        find_model(tmp_path)


@NEEDED
def test_a_truncated_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(find_model().path.read_bytes()[:100_000])
    with pytest.raises(ConfigError, match=r"cut.onnx cannot be loaded, it may be damaged: run `pip"):
        load_model(path)
    path.write_bytes(b"")
    with pytest.raises(ConfigError, match=r"cannot be loaded"):
        SmartTurnModel(path)


def field(number: int, *content: bytes | str | int) -> bytes:
    """A field of a protobuf message: text and messages have a length, numbers none."""
    if isinstance(content[0], int):
        return bytes([number << 3, content[0]])
    joined = b"".join(part.encode() if isinstance(part, str) else part for part in content)  # type: ignore[union-attr]
    return bytes([number << 3 | 2, len(joined)]) + joined


def another_model() -> bytes:
    """A network that gives back its only input, a number: ONNX's messages by hand (onnx.proto)."""

    def value(name: str) -> bytes:
        shape = field(2, field(1, field(1, 1)))
        return field(1, name) + field(2, field(1, field(1, 1), shape))

    node = field(1, field(1, "x"), field(2, "y"), field(4, "Identity"))
    graph = node + field(2, "g") + field(11, value("x")) + field(12, value("y"))
    return field(1, 8) + field(8, field(2, 13)) + field(7, graph)


def test_another_model_is_told(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = tmp_path / "identity.onnx"
    path.write_bytes(another_model())
    with pytest.raises(ConfigError, match=r"identity.onnx is another model: run `pip"):
        load_model(path)


def test_what_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    find_spec = importlib.util.find_spec
    home = "fishjam_agents.audio.smart_turn.find_spec"
    monkeypatch.setattr(home, lambda name: None if name == "pipecat" else find_spec(name))
    with pytest.raises(ConfigError, match="there is no model, and pipecat-ai is not installed: run `pip"):
        find_model()
    monkeypatch.setattr(home, lambda name: None)
    with pytest.raises(MissingExtraError, match=r"smart_turn needs the extra 'smart-turn'"):
        find_model()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(FishjamAgentsError, match=r"smart_turn needs the extra 'smart-turn'"):
        SmartTurnModel(Path("anything.onnx"))
