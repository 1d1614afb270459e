"""Build hook of fishjam-agents: compiles `fishjam_agents.audio._native` where it can.

Without a C compiler, or where compiling fails, the build goes on in pure Python and says so. A wheel with the
module is for CPython 3.11 and newer of this platform (`cp311-abi3`), one without for any (`py3-none-any`). An
editable installation gets the module into the source tree; `python hatch_build.py` compiles it there, too.

Environment: `FISHJAM_AGENTS_PURE_PYTHON=1` compiles nothing. `CFLAGS`, `LDFLAGS` and `CC` as everywhere.
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

PACKAGE = "fishjam_agents/audio"
PURE_PYTHON = "FISHJAM_AGENTS_PURE_PYTHON"
LIMITED_API = "0x030B0000"

# Sums are the same wherever it is built: nothing is reordered, and no multiplication fused into an addition.
GCC = ["-std=c99", "-O3", "-Wall", "-Wextra", "-fvisibility=hidden"]
GCC += ["-fno-fast-math", "-fno-math-errno", "-ffp-contract=off"]
MSVC = ["/std:c11", "/O2", "/W3", "/fp:precise"]


class NotCompiledError(Exception):
    """Nothing was compiled; the message says why."""


def is_pure(environment: dict[str, str] | os._Environ[str] = os.environ) -> bool:
    """Return whether the environment asks for Python alone."""
    return environment.get(PURE_PYTHON, "") not in ("", "0")


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
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    is_msvc = sys.platform == "win32"
    extension = Extension(
        "fishjam_agents.audio._native",
        sorted(str(file.relative_to(root)) for file in (root / PACKAGE / "native").glob("*.c")),
        depends=sorted(str(file) for file in (root / PACKAGE / "native").glob("*.h")),
        define_macros=[("Py_LIMITED_API", LIMITED_API), ("NATIVE_SOURCES", f'"{sources_digest(root)}"')],
        extra_compile_args=MSVC if is_msvc else GCC,
        libraries=[] if is_msvc else ["m"],
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
        into.mkdir(parents=True, exist_ok=True)
        whole = into / f".{made.name}.{os.getpid()}"
        whole.write_bytes(made.read_bytes())
        whole.chmod(0o755)
        # A program that has the old one loaded keeps it.
        return whole.replace(into / made.name)


def platform_tag() -> str:
    """Return the platform in the name of a wheel that is built here (PEP 425)."""
    platform = re.sub(r"[^0-9A-Za-z]", "_", sysconfig.get_platform())
    return process_macos_plat_tag(platform, compat=False) if sys.platform == "darwin" else platform


class CustomBuildHook(BuildHookInterface[BuilderConfig]):
    """The hook, as hatchling calls it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the files of a wheel are gathered.

        Args:
            version: `editable` or `standard`.
            build_data: Of hatchling; gets the module and the tag of the wheel.
        """
        root = Path(self.root)
        if is_pure():
            return
        self._scratch = TemporaryDirectory()
        try:
            if version == "editable":
                compile_native(root, root / PACKAGE)
                return
            made = compile_native(root, Path(self._scratch.name))
        except NotCompiledError as error:
            self.app.display_warning(
                f"fishjam-agents is built without its compiled part, in pure Python: {error}"
            )
            return
        build_data["force_include"][str(made)] = f"{PACKAGE}/{made.name}"
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{platform_tag()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was compiled for the wheel that has it now."""
        if not is_pure():
            self._scratch.cleanup()


if __name__ == "__main__":
    here = Path(__file__).parent
    try:
        print(compile_native(here, here / PACKAGE))
    except NotCompiledError as error:
        sys.exit(f"not compiled: {error}")
