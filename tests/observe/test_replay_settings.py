from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from fishjam_agents.observe.replay import settings as replay_settings
from fishjam_agents.observe.replay.settings import LostObjectError, plain_settings, settings_of
from fishjam_agents.turns.settings import TurnSettings


@dataclass(frozen=True)
class Rule:
    types: ClassVar[dict[str, type[Rule]]] = {}


@dataclass(frozen=True)
class After(Rule):
    seconds: float = 0.5


@dataclass(frozen=True)
class Own(Rule):
    seconds: float = 9.0


Rule.types["after"] = After


@dataclass(frozen=True)
class Group:
    words: tuple[str, ...] = ()
    voice: float | None = None


@dataclass(frozen=True)
class Turns:
    """Settings with every shape of value."""

    name: str = "ann"
    end: float | None = None
    rule: Rule = After()
    group: Group | tuple[Rule, ...] = Group()


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(replay_settings, "TurnSettings", Turns)
    return Turns


def through_json(settings: Any) -> Any:
    return json.loads(json.dumps(plain_settings(settings)))


@pytest.mark.parametrize(
    "settings", [Turns(), Turns("bob", 0.5, After(0.7), Group(("mhm",), 1.0)), Turns(rule=After(2))]
)
def test_settings_are_read_back_as_they_were(turns: Any, settings: Turns) -> None:
    assert settings_of(through_json(settings)) == settings


@pytest.mark.parametrize(
    ("settings", "name"), [(Turns(rule=Own()), "rule"), (Turns(group=(Own(),)), "group")]
)
def test_an_object_of_the_users_own_is_named_and_may_be_replaced(
    turns: Any, settings: Turns, name: str
) -> None:
    plain = through_json(settings)
    with pytest.raises(
        LostObjectError, match=rf"turns\.{name} was .*Own\(seconds=9.0\).*, which no file can hold"
    ):
        settings_of(plain)
    assert settings_of(plain, {name: getattr(settings, name)}) == settings


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"rule": {"type": "never"}}, r"turns\.rule has no type 'never'"),
        ({"rule": {"type": "after", "minutes": 1}}, r"turns\.rule\.minutes is not a setting"),
        ({"rule": {"type": "after", "seconds": "x"}}, r"turns\.rule\.seconds is wrong"),
        ({"colour": 1}, r"turns\.colour is not a setting"),
    ],
)
def test_what_makes_no_settings_is_named(turns: Any, plain: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings_of(plain)


def test_the_settings_there_are_survive() -> None:
    for settings in (TurnSettings(), TurnSettings(end_silence=0.8, preset="noisy", max_turn=20)):
        assert settings_of(through_json(settings)) == settings
