"""Makes the page in a process of its own: a call that goes on would have to wait for it.

The process is sent a line of JSON and then the sound, and answers with the page.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fishjam_agents.audio.samples import Samples
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.observe.report.page import render

_ROOT = str(Path(__file__).parents[3])
_PROGRAM = f"import sys; sys.path.insert(0, {_ROOT!r}); from {__name__} import main; main()"
_POLITENESS = 10
"""Added to the niceness of the process: audio goes before."""


async def render_apart(
    *,
    room: Iterable[Samples],
    samples: int,
    sample_rate: int,
    timeline: Mapping[str, Any],
    name: str,
    sound_limit: int,
) -> bytes:
    """The report as HTML in UTF-8. Cancelling it ends the process.

    Args:
        room: The recording in pieces, int16, shape (n, 2): callers left, bot right.
        samples: Sum of their lengths.
        sample_rate: Hz.
        timeline: What `timeline.json` holds.
        name: Its heading.
        sound_limit: Bytes of sound it may hold.

    Raises:
        FishjamAgentsError: It could not be made.
    """
    head = {
        "samples": samples,
        "sample_rate": sample_rate,
        "timeline": timeline,
        "name": name,
        "sound_limit": sound_limit,
    }
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", _PROGRAM),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            # Ctrl-C is for the call.
            start_new_session=True,
        )
    except OSError as error:
        raise FishjamAgentsError(
            f"the report cannot be made: no process for it ({error.strerror})"
        ) from error
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_feed(process.stdin, head, room))
            reading = tasks.create_task(process.stdout.read())
            complaining = tasks.create_task(process.stderr.read())
        if await process.wait() != 0:
            why = complaining.result().decode(errors="replace").strip().rpartition("\n")[2]
            raise FishjamAgentsError(f"the report could not be made: {why or 'it was ended'}")
        return reading.result()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _feed(stdin: asyncio.StreamWriter, head: Mapping[str, Any], room: Iterable[Samples]) -> None:
    # One that is gone says why on standard error.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stdin.write(await asyncio.to_thread(lambda: json.dumps(head).encode() + b"\n"))
        for piece in room:
            stdin.write(piece.tobytes())
            # The loop has its turn, whether the process is slow or not.
            await stdin.drain()
            await asyncio.sleep(0)
        stdin.close()
        await stdin.wait_closed()


def main() -> None:
    """Answer one request on standard input."""
    if hasattr(os, "nice"):
        os.nice(_POLITENESS)
    head = json.loads(sys.stdin.buffer.readline())
    samples = head.pop("samples")
    room = np.frombuffer(sys.stdin.buffer.read(), np.int16).reshape(samples, 2)
    page = render(room=room, **head)
    sys.stdout.buffer.write(page.encode("utf-8", "replace"))
