"""Where an exception came from, as it is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fishjam_agents.backends.cascade import Cascade
from fishjam_agents.backends.tracebacks import describe, raised_at

HERE = Path(__file__)


def line(words: str) -> int:
    return next(n for n, text in enumerate(HERE.read_text().splitlines(), 1) if text.endswith(words))


def test_the_line_of_the_users_code_is_told_and_not_that_of_a_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(HERE.parent)
    with pytest.raises(ValueError, match="Expecting value") as caught:
        json.loads("")  # the library's
    assert raised_at(caught.value) == f"test_tracebacks.py:{line('# the library' + chr(39) + 's')}"
    assert describe(caught.value).startswith("JSONDecodeError(")


def test_a_file_elsewhere_is_told_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyError) as caught:
        raise KeyError("x")
    assert raised_at(caught.value).startswith(f"{HERE}:")


def test_a_mistake_that_ours_found_is_the_users_line_where_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE.parent)
    with pytest.raises(ValueError, match="stt: a cascade needs") as caught:
        Cascade([], [], [])  # ours
    assert raised_at(caught.value, foreign=True) == f"test_tracebacks.py:{line('# ours')}"
    assert "cascade/backend.py:" in raised_at(caught.value).replace("\\", "/")


def test_an_exception_that_was_never_raised_has_no_line() -> None:
    assert raised_at(KeyError("x")) == "an unknown line"
