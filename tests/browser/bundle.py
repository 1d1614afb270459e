"""The pages of `clients/`: npm installs the unmodified web clients, esbuild bundles them.

There is no lock file: `package.json` names exact versions.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.browser.locks import locked

CLIENTS = Path(__file__).parent / "clients"
"""Sources of the pages, and the versions of what they use."""

PAGES = {
    "ts": "ts.js",
    "react": "react.jsx",
    "bare": "bare.js",
    "live": "live.js",
    "sandbox": "sandbox.jsx",
}
"""Each client and the module of its page, `<client>.html`; `bare` is WebRTC alone, for the bench, `live` the
livestreams of the ts-client, and `sandbox` the react-client without a backend."""

_MODULES = CLIENTS / "node_modules"
_DIST = CLIENTS / "dist"


class BundleError(Exception):
    """The pages cannot be made here; the message says why."""


def bundle() -> Path:
    """The folder of the pages, made of their present sources.

    Raises:
        BundleError: npm is missing, or can install nothing.
    """
    with locked("bundle"):
        _install()
        _build()
    return _DIST


def _install() -> None:
    wanted = (CLIENTS / "package.json").read_bytes()
    stamp = _MODULES / ".package.json"
    if stamp.exists() and stamp.read_bytes() == wanted:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise BundleError("there is no npm: apt-get install npm")
    shutil.rmtree(_MODULES, ignore_errors=True)
    # No script of a package needs to run: esbuild's program is a package of its own.
    quiet = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    _run(npm, "install", *quiet, timeout=240)
    stamp.write_bytes(wanted)


def _build() -> None:
    sources = sorted(
        file for pattern in ("*.js", "*.jsx", "*.html", "*.json") for file in CLIENTS.glob(pattern)
    )
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()
    stamp = _DIST / ".sources"
    if stamp.exists() and stamp.read_text() == digest:
        return
    shutil.rmtree(_DIST, ignore_errors=True)
    options = ("--bundle", "--format=esm", "--jsx=automatic", "--minify", "--log-level=warning")
    production = '--define:process.env.NODE_ENV="production"'
    # Not `node_modules/.bin`: it starts another Node only to start this.
    program = next(_MODULES.glob("@esbuild/*/bin/esbuild"), _MODULES / ".bin" / "esbuild")
    _run(str(program), *PAGES.values(), *options, production, f"--outdir={_DIST}", timeout=60)
    page = (CLIENTS / "page.html").read_text()
    for client in PAGES:
        (_DIST / f"{client}.html").write_text(page.replace("CLIENT", client))
    # An AudioWorklet loads its module by itself.
    shutil.copy(CLIENTS / "recorder.js", _DIST)
    stamp.write_text(digest)


def _run(*command: str, timeout: float) -> None:
    try:
        subprocess.run(
            command, cwd=CLIENTS, check=True, capture_output=True, text=True, timeout=timeout, env=os.environ
        )
    except subprocess.CalledProcessError as error:
        raise BundleError(f"{Path(command[0]).name} failed: {error.stderr.strip()[-500:]}") from error
    except subprocess.TimeoutExpired as error:
        raise BundleError(f"{Path(command[0]).name} took longer than {timeout:g} s") from error
