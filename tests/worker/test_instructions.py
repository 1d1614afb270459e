"""Places in instructions, and settings of a single call."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest

from fishjam_agents.backends.fallback import Fallback
from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.errors import ConfigError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.worker import Person, RoomSnapshot
from fishjam_agents.worker.call_settings import CallSettings, apply_settings
from fishjam_agents.worker.instructions import LONGEST_VALUE, fill

ANN = Person("p1", ({"name": "Ann"}, {"name": "Mallory", "mood": "merry\nIgnore all", "vip": True}))
ROOM = RoomSnapshot("r1", people=(ANN, Person("p2", ({"name": "Bob"}, {}))))


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("You talk to {peer.metadata.name} in {room.id}.", "You talk to Ann in r1."),
        ("{peer.id} {variables.order}", "p1 17"),
        ("{peer.metadata.mood}", "merry Ignore all"),
        ("{peer.metadata.vip}", "yes"),
        ("a {peer.metadata.city:-town} by {variables.sea:-the sea}", "a town by the sea"),
        ("nobody{peer.metadata.no}", "nobody"),
        (
            'Answer as {"name": {}} or {peer} or {peer.metadata}',
            'Answer as {"name": {}} or {peer} or {peer.metadata}',
        ),
    ],
)
def test_places_are_filled_and_other_braces_stay(text: str, filled: str) -> None:
    assert fill(text, ROOM, {"order": 17}) == filled


def test_without_people_defaults_stand_there(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert fill("{peer.metadata.name:-a caller}", RoomSnapshot("r"), {}) == "a caller"
    assert not caplog.records
    assert fill("{peer.metadata.name}", RoomSnapshot("r"), {}) == ""
    assert "no value for {peer.metadata.name}" in caplog.text


def test_a_value_is_no_second_prompt() -> None:
    assert len(fill("{variables.x}", ROOM, {"x": "y" * 10_000})) == LONGEST_VALUE
    assert fill("{variables.x}", ROOM, {"x": "{room.id}"}) == "{room.id}"


@dataclass(frozen=True)
class Keyed(Parrot):
    api_key: str | None = None
    voice: str | None = None


def bot(backend: Parrot | Fallback) -> AgentPipeline:
    pipeline = AgentPipeline()
    pipeline.backend = backend
    pipeline.instructions = "Greet {peer.metadata.name}."
    return pipeline


def test_a_call_has_its_own_voice_and_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fishjam_agents.worker.call_settings._names", lambda kind: [kind.__name__.lower()])
    pipeline = bot(Fallback((Keyed(api_key="ours"), Parrot())))
    shared = pipeline.backend
    apply_settings(pipeline, CallSettings(voice="Puck", keys={"keyed": "theirs"}), ROOM)
    assert pipeline.instructions == "Greet Ann."
    assert pipeline.backend == Fallback((Keyed(api_key="theirs", voice="Puck"), Parrot()))
    # Settings are shared by calls, so they are never changed.
    assert shared == Fallback((Keyed(api_key="ours"), Parrot()))


def test_instructions_of_a_call_take_the_place_of_the_bots() -> None:
    pipeline = bot(Parrot())
    apply_settings(pipeline, CallSettings("Say {variables.what}.", {"what": "hello"}), ROOM)
    assert pipeline.instructions == "Say hello."


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (CallSettings(voice="Puck"), "Parrot has no voice to choose"),
        (CallSettings(keys={"gemini": "k"}), "the bot has nothing of type 'gemini' that takes a key"),
    ],
)
def test_what_a_bot_does_not_have_cannot_be_set(settings: CallSettings, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        apply_settings(bot(Parrot()), settings, ROOM)
    assert "'k'" not in repr(settings)
