"""Build hook of fishjam-agents: compiles `fishjam_agents.audio._native` where it can.

Without a C compiler, or where compiling fails, the build goes on in pure Python and says so. A wheel with the
module is for CPython 3.11 and newer of this platform (`cp311-abi3`), one without for any (`py3-none-any`). An
editable installation gets the module into the source tree; `python hatch_build.py` compiles it there, too.

Environment: `FISHJAM_AGENTS_PURE_PYTHON=1` compiles nothing. `FISHJAM_AGENTS_MYPYC=1` has mypyc compile
modules in Python beside it, which makes a wheel for one version of CPython; what cannot be compiled then ends
the build.
`CFLAGS`, `LDFLAGS` and `CC` as everywhere.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.macos import process_macos_plat_tag
from packaging.tags import sys_tags

PACKAGE = "fishjam_agents/audio"
PURE_PYTHON = "FISHJAM_AGENTS_PURE_PYTHON"
MYPYC = "FISHJAM_AGENTS_MYPYC"
LIMITED_API = "0x030B0000"

# What runs for every frame, and what nobody subclasses or replaces: classes that mypyc compiles are closed,
# and take no value of another type than their signatures say. The decoder of messages is given text to refuse
# and events are asked for their `__dict__`, so that both stay out.
_HOT_IN = {
    "audio": ["company", "echo_reference", "near_voice", "reblock"],
    "fishjam": ["frames"],
    "hearing": ["detector_bank", "media_clock", "microphone", "ring", "thinning"],
    "pipeline": ["replies", "room_audio"],
    "playout": ["audio_output", "reply", "schedule", "sender", "ticker"],
    "protocol": ["agent_encoder"],
    "turns": [
        *("decision", "decision_log", "judge", "machine", "noise", "resumption", "turn_ending", "voicing"),
    ],
}
HOT = [f"fishjam_agents/{folder}/{name}.py" for folder, names in _HOT_IN.items() for name in names]

# Sums are the same wherever it is built: nothing is reordered, and no multiplication fused into an addition.
GCC = ["-std=c99", "-O3", "-Wall", "-Wextra", "-fvisibility=hidden"]
# Nor does clang make `exp10` of `pow`, which Python does not.
GCC += ["-fno-fast-math", "-fno-math-errno", "-ffp-contract=off", "-fno-builtin-pow"]
MSVC = ["/std:c11", "/O2", "/W3", "/fp:precise"]


class NotCompiledError(Exception):
    """Nothing was compiled; the message says why."""


def is_set(variable: str) -> bool:
    """Return whether the environment asks for it."""
    return os.environ.get(variable, "") not in ("", "0")


def sources_digest(root: Path) -> str:
    """Return the digest that the import will compare; one definition of it serves both."""
    spec = spec_from_file_location("native_sources", root / PACKAGE / "native_sources.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.digest())


def compile_native(root: Path, into: Path) -> Path:
    """Compile the module.

    Args:
        root: The folder of pyproject.toml.
        into: Where the module is put, whole or not at all; one that is there is replaced.

    Raises:
        NotCompiledError: It could not be compiled.
    """
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise NotCompiledError("this Python has no limited API")
    try:
        from setuptools import Distribution, Extension
        from setuptools.command.build_ext import build_ext
    except ImportError as error:
        raise NotCompiledError(str(error)) from error

    is_msvc = sys.platform == "win32"
    extension = Extension(
        "fishjam_agents.audio._native",
        sorted(str(file.relative_to(root)) for file in (root / PACKAGE / "native").glob("*.c")),
        depends=sorted(str(file) for file in (root / PACKAGE / "native").glob("*.h")),
        define_macros=[("Py_LIMITED_API", LIMITED_API), ("NATIVE_SOURCES", f'"{sources_digest(root)}"')],
        extra_compile_args=MSVC if is_msvc else GCC,
        libraries=[] if is_msvc else ["m"],
        # Linked with -ffast-math, loading it would flush denormals in the whole program (gcc before 13).
        extra_link_args=[] if is_msvc else ["-fno-fast-math"],
        py_limited_api=True,
    )
    before = Path.cwd()
    with TemporaryDirectory() as scratch:
        command = build_ext(Distribution({"name": "fishjam-agents", "ext_modules": [extension]}))
        command.build_lib = str(Path(scratch, "lib"))
        command.build_temp = str(Path(scratch, "temp"))
        try:
            # Sources are named from the root on, so that no path of this machine comes into the module.
            os.chdir(root)
            command.ensure_finalized()
            command.run()
        except Exception as error:  # distutils has no common base of what it raises.
            raise NotCompiledError(" ".join(str(error).split()) or type(error).__name__) from error
        finally:
            os.chdir(before)
        [made] = Path(scratch, "lib").rglob("_native*")
        try:
            into.mkdir(parents=True, exist_ok=True)
            whole = into / f".{os.getpid()}.{made.name}"
            whole.write_bytes(made.read_bytes())
            whole.chmod(0o755)
            # A program that has the old one loaded keeps it; on Windows it cannot be replaced.
            return whole.replace(into / made.name)
        except OSError as error:
            raise NotCompiledError(str(error)) from error


def compile_hot(root: Path, into: Path) -> dict[str, str]:
    """Compile the modules of `HOT` with mypyc.

    Args:
        root: The folder of pyproject.toml.
        into: An empty folder for what is made.

    Returns:
        Each file that was made, with its place in a wheel.

    Raises:
        NotCompiledError: They could not be compiled; what mypy or the compiler said is on standard error.
    """
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    before = Path.cwd()
    try:
        os.chdir(root)
        # Without the settings of the project: most of what the package imports is not there at a build.
        options = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent"]
        options += [f"--cache-dir={os.devnull}"]
        extensions = mypycify(
            [*options, *HOT],
            debug_level="0",
            multi_file=True,
            target_dir=str(into / "temp"),
            group_name="fishjam_agents",
        )
        command = build_ext(Distribution({"name": "fishjam-agents", "ext_modules": extensions}))
        command.build_lib = str(into / "lib")
        command.build_temp = str(into / "temp")
        command.ensure_finalized()
        command.run()
    except (Exception, SystemExit) as error:  # mypyc ends the process that asked it.
        raise NotCompiledError(f"mypyc: {error}") from error
    finally:
        os.chdir(before)
    made = (file for file in (into / "lib").rglob("*") if file.is_file())
    return {str(file): file.relative_to(into / "lib").as_posix() for file in made}


def platform_tag() -> str:
    """Return the platform in the name of a wheel that is built here (PEP 425)."""
    # As hatchling has it: a Python of 32 bits on a kernel of 64 is of another platform than the kernel.
    platform = next(t.platform for t in sys_tags() if not re.match("(many|musl)linux", t.platform))
    return process_macos_plat_tag(platform, compat=False) if sys.platform == "darwin" else platform


class CustomBuildHook(BuildHookInterface[BuilderConfig]):
    """The hook, as hatchling calls it."""

    def dependencies(self) -> list[str]:
        """Return what a build needs beside setuptools."""
        return ["mypy>=2.4,<3", "numpy>=1.26,<3"] if is_set(MYPYC) else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the files of a wheel are gathered.

        Args:
            version: `editable` or `standard`.
            build_data: Of hatchling; gets the module and the tag of the wheel.
        """
        root = Path(self.root)
        if is_set(PURE_PYTHON):
            return
        self._scratch = TemporaryDirectory()
        scratch = Path(self._scratch.name)
        try:
            if version == "editable":
                compile_native(root, root / PACKAGE)
                return
            made = compile_native(root, scratch)
        except NotCompiledError as error:
            if is_set(MYPYC) and version != "editable":
                raise
            self.app.display_warning(
                f"fishjam-agents is built without its compiled part, in pure Python: {error}"
            )
            return
        build_data["force_include"][str(made)] = f"{PACKAGE}/{made.name}"
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{platform_tag()}"
        if is_set(MYPYC):
            build_data["force_include"].update(compile_hot(root, scratch))
            python = f"cp{sys.version_info.major}{sys.version_info.minor}"
            build_data["tag"] = f"{python}-{python}-{platform_tag()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was compiled for the wheel that has it now."""
        if not is_set(PURE_PYTHON):
            self._scratch.cleanup()


if __name__ == "__main__":
    here = Path(__file__).parent
    try:
        print(compile_native(here, here / PACKAGE))
    except NotCompiledError as error:
        sys.exit(f"not compiled: {error}")
