"""A command of the program, run in the process of the tests."""

from __future__ import annotations

import pytest

from fishjam_agents import cli


def command(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Run `fishjam-agents WORDS`: its exit code, what it prints, and what it prints as an error."""
    with pytest.raises(SystemExit) as exited:
        cli.main([str(word) for word in words])
    printed = capsys.readouterr()
    code = exited.value.code or 0
    assert isinstance(code, int)
    return code, printed.out, printed.err
