from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from fishjam_agents.observe.log import LineFormatter


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Commands set up logging for their process; here that is the process of all tests."""
    root = logging.getLogger()
    loggers = [root, *map(logging.getLogger, ("asyncio", "httpcore", "httpx", "uvicorn", "websockets"))]
    before = [logger.level for logger in loggers]
    yield
    for handler in [known for known in root.handlers if isinstance(known.formatter, LineFormatter)]:
        root.removeHandler(handler)
        handler.close()
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration of a parrot."""
    monkeypatch.delenv("FISHJAM_ID", raising=False)
    path = tmp_path / "config.yaml"
    path.write_text("agent: {backend: {type: parrot}}\nlog: {level: error}\n")
    return path
