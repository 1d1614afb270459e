"""SettingError: data that reads as the sentence it is told in, wherever the setting stands."""

from __future__ import annotations

from typing import Any

import pytest

from fishjam_agents.errors import SettingError


@pytest.mark.parametrize(
    ("error", "alone", "in_file"),
    [
        (
            SettingError("end_silence", "must be below 10 s, not 99", section="turns"),
            "turns.end_silence must be below 10 s, not 99",
            "agent.turns.end_silence must be below 10 s, not 99",
        ),
        (
            SettingError("every", "must be below 10 s, not 99"),
            "every must be below 10 s, not 99",
            "agent.turns: every must be below 10 s, not 99",
        ),
        (
            SettingError("every", action="only demand takes it"),
            "every: only demand takes it",
            "agent.turns.every: only demand takes it",
        ),
        (
            SettingError(None, "has both a and b", "keep one", section="turns", fields=["a", "b"]),
            "turns has both a and b: keep one",
            "agent.turns has both a and b: keep one",
        ),
        (
            SettingError(None, "it needs a or b", "give one", fields=["a", "b"]),
            "it needs a or b: give one",
            "agent.turns: it needs a or b: give one",
        ),
    ],
)
def test_a_setting_error_reads_as_one_sentence(error: SettingError, alone: str, in_file: str) -> None:
    assert (str(error), error.at(""), error.at("agent.turns")) == (alone, alone, in_file)


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"field": "a"}, ("a",)),
        ({"field": "a", "fields": ["b"]}, ("a", "b")),
        ({"field": None, "fields": ["b", "c"]}, ("b", "c")),
    ],
)
def test_it_names_the_settings_it_speaks_of(given: dict[str, Any], fields: tuple[str, ...]) -> None:
    assert SettingError(**given).fields == fields
