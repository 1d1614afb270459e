"""A real `redis-server` for tests: on loopback, in a folder of its own, gone at the end."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

PROGRAM = "redis-server"
START_SECONDS = 15.0
"""Seconds that it has to answer."""


class RedisServer:
    """A Redis that this program starts and ends; a context manager.

    Args:
        folder: Where it may write.
        keeps: Whether it writes every command to disk, and finds it again when it is started again.
    """

    def __init__(self, folder: Path, *, keeps: bool = False) -> None:
        self._folder = folder
        self._keeps = keeps
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def is_installed() -> bool:
        """Return whether the program is on this machine: `apt install redis-server`."""
        return shutil.which(PROGRAM) is not None

    @property
    def url(self) -> str:
        """Its address: `redis://127.0.0.1:PORT/0`."""
        return f"redis://127.0.0.1:{self._port}/0"

    def __enter__(self) -> Self:
        """Start it on a port that is free."""
        for _ in range(5):
            with closing(socket.socket()) as free:
                free.bind(("127.0.0.1", 0))
                self._port = free.getsockname()[1]
            try:
                self.start()
            except ChildProcessError:
                # Somebody else has taken the port meanwhile.
                continue
            return self
        raise ChildProcessError(f"{PROGRAM} does not start")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.kill()

    def start(self) -> None:
        """Start it again on the same port.

        Raises:
            ChildProcessError: It ended at once, or does not answer.
        """
        self._process = subprocess.Popen(
            [
                *(PROGRAM, "--bind", "127.0.0.1", "--port", str(self._port), "--dir", str(self._folder)),
                *("--daemonize", "no", "--save", "", "--appendfsync", "always"),
                *("--appendonly", "yes" if self._keeps else "no"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # Ctrl-C is for the tests.
            start_new_session=True,
        )
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            if self._answers():
                return
            time.sleep(0.02)
        self.kill()
        raise ChildProcessError(f"{PROGRAM} does not start")

    def _answers(self) -> bool:
        """Return whether it takes commands: this process, and not another Redis that has its port."""
        assert self._process is not None
        try:
            with closing(socket.create_connection(("127.0.0.1", self._port), 1.0)) as connection:
                connection.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
                answer = b"".join(iter(lambda: connection.recv(4096), b""))
        except OSError:
            return False
        return answer.startswith(b"+PONG") and f"\r\nprocess_id:{self._process.pid}\r\n".encode() in answer

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it hang: it keeps its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
