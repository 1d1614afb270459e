"""A voice in a process of its own: programs that keep to the frames, and programs that do not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fishjam_agents_local.worker_process import WorkerProcess

from fishjam_agents.backoff import Backoff
from fishjam_agents.errors import BackendError

LONG = 20.0
FRAMES = """
import json, os, struct, sys, time
def frame(kind, content=b""):
    os.write(1, struct.pack(">cI", kind, len(content)) + content)
lines = sys.stdin
"""
HONEST = "frame(b'R', b'{\"rate\": 8000}')\nfor line in lines:\n    frame(b'S', b'abc'); frame(b'E')"


class Listening:
    """Hears a sentence, from a thread of the test's or of the voice's."""

    def __init__(self) -> None:
        self.sound = b""
        self.heard = threading.Event()
        self.can_stop = threading.Event()
        self.stopped = False
        self._stop: Callable[[], None] = lambda: None

    def put(self, piece: bytes) -> None:
        self.sound += piece
        self.heard.set()

    def on_stop(self, callback: Callable[[], None]) -> None:
        self._stop = callback
        self.can_stop.set()

    def stop(self) -> None:
        self.stopped = True
        self._stop()


@pytest.fixture
def program() -> Iterator[Callable[..., WorkerProcess]]:
    made: list[WorkerProcess] = []

    def make(code: str, **options: object) -> WorkerProcess:
        process = WorkerProcess(
            "Piper",
            [sys.executable, "-c", FRAMES + textwrap.dedent(code)],
            advice="check the voice",
            **options,  # type: ignore[arg-type]
        )
        made.append(process)
        return process

    yield make
    for process in made:
        process.close()
        assert process.pid is None


def said(voice: WorkerProcess, text: str = "Yes.") -> bytes:
    ears = Listening()
    voice.speak({"text": text}, ears)
    return ears.sound


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # One whose parent has not asked for its end is there, and dead.
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_starts_by_itself_and_speaks_sentence_after_sentence(
    program: Callable[..., WorkerProcess],
) -> None:
    voice = program(HONEST)
    assert voice.pid is None
    assert said(voice) == said(voice) == b"abc"
    assert voice.ready == {"rate": 8000}


@pytest.mark.parametrize(
    ("code", "message", "failure"),
    [
        (
            "frame(b'F', b'InvalidProtobuf: no model')",
            "Piper cannot speak (InvalidProtobuf: no model): check the voice",
            "config",
        ),
        ("sys.exit(3)", "Piper ended before it was ready: check the voice", "network"),
        ("print('Loading...', flush=True)", "Piper ended before it was ready: check the voice", "network"),
        ("os.write(1, b'R' + 8 * b'x')", "Piper ended before it was ready: check the voice", "network"),
    ],
)
def test_one_that_cannot_start_says_why_in_a_sentence(
    program: Callable[..., WorkerProcess], code: str, message: str, failure: str
) -> None:
    voice = program(code)
    with pytest.raises(BackendError) as refused:
        voice.start()
    assert str(refused.value) == message
    assert refused.value.failure == failure
    assert voice.pid is None


def test_a_program_that_is_not_there_is_told() -> None:
    voice = WorkerProcess("Piper", ["/nowhere/python"], advice="install it")
    with pytest.raises(BackendError, match=r"^Piper cannot be started \(.*No such file.*\): install it$"):
        voice.start()


@pytest.mark.parametrize(
    ("misdeed", "message"),
    [
        ("sys.exit(1)", "Piper ended in a sentence: it is started anew"),
        ("time.sleep(600)", "Piper stalled for 0.5 s in a sentence: it is started anew"),
        (
            "os.write(1, b'RIFFxxxxWAVEfmt ')",
            "Piper wrote something that is no frame (RIFFx): check the voice",
        ),
        ("os.write(1, struct.pack('>cI', b'S', 100) + b'half'); sys.exit(1)", "Piper ended in a sentence"),
        (
            "frame(b'F', b'ValueError: no phonemes')",
            "Piper could not speak a sentence (ValueError: no phonemes)",
        ),
    ],
)
def test_a_sentence_that_breaks_off_is_told_and_the_next_one_spoken(
    program: Callable[..., WorkerProcess], misdeed: str, message: str
) -> None:
    voice = program(
        f"""
        frame(b'R', b'{{}}')
        for line in lines:
            frame(b'S', b'odd')
            if "bad" in line:
                {misdeed}
            else:
                frame(b'E')
        """,
        stall=0.5 if "600" in misdeed else LONG,
    )
    ears = Listening()
    with pytest.raises(BackendError) as broken:
        voice.speak({"text": "bad"}, ears)
    assert str(broken.value).startswith(message)
    assert ears.sound == b"odd"
    assert said(voice, "good") == b"odd"


def test_a_sentence_is_stopped_and_only_that_one(program: Callable[..., WorkerProcess]) -> None:
    voice = program(
        """
        frame(b'R', b'{}')
        for line in lines:
            if "stop" in line:
                frame(b'E')
            elif "long" in line:
                frame(b'S', b'begun')
            else:
                frame(b'S', b'short'); frame(b'E')
        """
    )
    ears = Listening()
    speaking = threading.Thread(target=voice.speak, args=({"text": "long"}, ears))
    speaking.start()
    assert ears.heard.wait(LONG)
    pid = voice.pid
    ears.stop()
    speaking.join(LONG)
    assert not speaking.is_alive()
    # Who stops late, or twice, must not stop the next sentence: the answer would be taken for its end.
    ears.stop()
    assert said(voice) == b"short"
    ears.stop()
    assert said(voice) == b"short"
    assert voice.pid == pid


def test_a_sentence_that_nobody_wants_any_more_is_not_begun(program: Callable[..., WorkerProcess]) -> None:
    voice = program(HONEST)
    ears = Listening()
    ears.stopped = True
    voice.speak({"text": "Yes."}, ears)
    assert ears.sound == b""


def test_one_that_does_not_stop_is_killed(program: Callable[..., WorkerProcess]) -> None:
    voice = program("frame(b'R', b'{}')\nfor line in lines:\n    frame(b'S', b'on and on')")
    ears = Listening()
    failures = []

    def speak() -> None:
        try:
            voice.speak({"text": "long"}, ears)
        except BackendError as error:
            failures.append(str(error))

    speaking = threading.Thread(target=speak)
    speaking.start()
    assert ears.can_stop.wait(LONG)
    pid = voice.pid
    assert pid is not None
    ears.stop()
    speaking.join(LONG)
    assert not speaking.is_alive()
    assert failures == ["Piper ended in a sentence: it is started anew"]
    assert gone(pid)


def test_one_that_dies_again_and_again_is_left_alone_for_a_while(
    program: Callable[..., WorkerProcess],
) -> None:
    voice = program("frame(b'R', b'{}')\nlines.readline()", backoff=Backoff(0.2, 30.0, jitter=0.0))
    for _ in range(2):
        with pytest.raises(BackendError, match="ended in a sentence"):
            said(voice)
    with pytest.raises(BackendError, match=r"has ended 2 times in a row: it is started again in 0\.\d s"):
        said(voice)

    def is_started() -> bool:
        try:
            voice.start()
        except BackendError:
            return False
        return True

    until(is_started)


def test_one_that_was_killed_while_nobody_spoke_is_started_for_the_next_sentence(
    program: Callable[..., WorkerProcess],
) -> None:
    voice = program(HONEST)
    assert said(voice) == b"abc"
    pid = voice.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: voice.pid is None)
    assert said(voice) == b"abc"
    assert voice.pid not in (None, pid)


def test_it_ends_when_its_owner_is_killed() -> None:
    """By the end of its input, which is all that the kill of another process leaves behind."""
    owner = f"""
import sys, time
from fishjam_agents_local.worker_process import WorkerProcess
program = {FRAMES + HONEST!r}
voice = WorkerProcess("Piper", [sys.executable, "-c", program], advice="")
voice.start()
print(voice.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", owner], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert not gone(pid)
        process.kill()
    until(lambda: gone(pid))
