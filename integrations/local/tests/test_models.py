"""Weights by path and by package, and one sentence where there are none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from fishjam_agents_local.llama_cpp import LlamaCpp
from fishjam_agents_local.models import ModelPackage, find_model
from fishjam_agents_local.onnx_file import is_whole
from fishjam_agents_local.whisper import Whisper
from hypothesis import example, given
from hypothesis import strategies as st

from fishjam_agents.errors import BackendError, ConfigError

MISSING = ModelPackage("no-such-weights", "no_such_weights", "data", 71, "MIT", no_deps=True)
ITSELF = ModelPackage("fishjam-agents-local", "fishjam_agents_local", "models.py", 1, "Apache-2.0")


def test_a_missing_package_is_told_with_its_command_size_and_licence() -> None:
    with pytest.raises(ConfigError, match=r"^ears\.model: there is no model: name one, or run `") as refused:
        find_model(None, MISSING, setting="ears.model")
    assert "--no-deps no-such-weights` (71 MB; MIT)" in str(refused.value)


def test_the_file_of_an_installed_package_is_found_and_described() -> None:
    model = find_model(None, ITSELF, setting="ears.model")
    assert model.path.name == "models.py"
    assert str(model).startswith("models.py, 0 MB, Apache-2.0, from fishjam-agents-local 0.")


def test_paths_of_the_users_own_are_judged_by_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    with pytest.raises(ConfigError, match=r"there is no .*weights\.bin: name one, or run `"):
        find_model(file, MISSING, setting="m")
    file.write_bytes(bytes(3_000_000))
    assert (
        str(find_model(file, None, setting="m"))
        == "weights.bin, 3 MB, your own, under the licence it came with"
    )
    with pytest.raises(ConfigError, match="is a folder: name the file in it"):
        find_model(tmp_path, None, setting="m")
    with pytest.raises(ConfigError, match=r"is a file: name the folder with model\.bin"):
        find_model(file, None, setting="m", files=["model.bin"])
    with pytest.raises(
        ConfigError, match=r"has no model\.bin and no config\.json: it is no model of this kind"
    ):
        find_model(tmp_path, None, setting="m", files=["model.bin", "config.json"])
    (tmp_path / "model.bin").touch()
    (tmp_path / "config.json").touch()
    assert find_model(tmp_path, None, setting="m", files=["model.bin", "config.json"]).path == tmp_path


@given(st.binary(max_size=60))
@example(b"\x3a" + b"\xff" * 9 + b"\x01")
@example(b"\x3a" + b"\xff" * 8 + b"\x7f")
@example(b"\x3a\x05abcd")
def test_what_is_no_onnx_file_is_found_out_whatever_it_holds(content: bytes) -> None:
    with NamedTemporaryFile() as file:
        Path(file.name).write_bytes(content)
        # Whole is a graph of nothing, and what has one.
        assert not is_whole(Path(file.name)) or b"\x3a" in content


def test_an_onnx_file_ends_where_its_fields_do(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"\x08\x08\x3a\x05abcde")
    assert is_whole(file)
    for content in (b"\x08\x08\x3a\x05abcd", b"\x08\x08\x3a\x05abcdef", b"\x08\x08", b""):
        file.write_bytes(content)
        assert not is_whole(file)


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (
            Whisper(threads=7),
            r"stt: \{type: whisper\} needs ctranslate2, which is not installed: run `.*ctranslate2>=",
        ),
        (
            LlamaCpp(threads=7),
            r"llm: \{type: llama_cpp\} needs xllamacpp, which is not installed: run `.*xllamacpp>=",
        ),
    ],
)
def test_an_engine_that_is_missing_is_told_with_its_command(
    part: Whisper | LlamaCpp, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fishjam_agents_local.models.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=told):
        part.check()

    async def call() -> None:
        async with part.connect():
            pass

    # A program of the user's own may start a call without having checked anything.
    with pytest.raises(BackendError, match=told) as refused:
        asyncio.run(call())
    assert refused.value.failure == "config"
