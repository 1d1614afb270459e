"""Files about many rooms: several bots, and which rooms get which."""

from __future__ import annotations

from pathlib import Path

import pytest

from fishjam_agents.backends import Parrot
from fishjam_agents.config import Config, describe, load_config, pipeline_factory
from fishjam_agents.config.describe import describe_rooms
from fishjam_agents.errors import ConfigError
from fishjam_agents.journal.settings import JournalSettings
from fishjam_agents.worker import ApiSettings, ClaimsSettings, RoomRule, WorkersSettings
from fishjam_agents.worker.ray_settings import RaySettings
from fishjam_agents.worker.settings import ShardSettings

BOTS = "bots:\n  poet: {backend: {type: parrot, delay: 1}}\n  clerk: {backend: {type: parrot}}\n"
PARROT = "agent: {backend: {type: parrot}}\n"


@pytest.fixture(autouse=True)
def beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str) -> Config:
    Path("config.yaml").write_text(text)
    return load_config("config.yaml", {})


def test_every_kind_of_rule_arrives() -> None:
    config = load(
        BOTS
        + """
fishjam: {id: http://127.0.0.1:1, management_token: t}
rooms:
  - {id: lobby, bot: clerk}
  - {id: [a, b], type: audio_only, bot: poet}
  - {create: 2, bot: poet}
  - {peer: {plan: gold, level: 7}, bot: poet}
  - {every: true, bot: clerk}
workers: {processes: 2, max_calls: 40, drain: 5}
api: {token: t}
"""
    )
    assert config.rooms == (
        RoomRule("clerk", id=("lobby",)),
        RoomRule("poet", id=("a", "b"), type="audio_only"),
        RoomRule("poet", create=2),
        RoomRule("poet", peer={"plan": "gold", "level": 7}),
        RoomRule("clerk", every=True),
    )
    assert config.workers == WorkersSettings(processes=2, max_calls=40, drain=5)
    assert config.api == ApiSettings(token="t")
    assert config.bot_names() == ("poet", "clerk")


def test_a_journal_is_a_file_or_an_address_and_its_password_a_secret(tmp_path: Path) -> None:
    config = load(PARROT + "rooms: every\njournal: calls.db\n")
    assert config.journal == JournalSettings(path=Path("calls.db"))
    config = load(PARROT + "rooms: every\njournal: rediss://user:sesame@store:6380/1\n")
    assert config.journal == JournalSettings(type="redis", url="rediss://user:sesame@store:6380/1")
    assert config.secrets == {"sesame": "<journal.url>"}
    assert "sesame" not in repr(config)
    (told,) = [line for line in describe_rooms(config) if line.startswith("journal")]
    assert told.startswith("journal   in rediss://***@store:6380/1, kept for 7 days")


def test_claims_are_in_a_file_or_at_an_address() -> None:
    for text, claims in (
        ("claims.db", ClaimsSettings(path=Path("claims.db"))),
        ("redis://:sesame@store/2", ClaimsSettings(url="redis://:sesame@store/2")),
    ):
        config = load(PARROT + f"rooms: every\nworkers: {{claims: '{text}'}}\n")
        assert config.workers == WorkersSettings(claims=claims)
        assert "sesame" not in repr(config)
    assert config.secrets == {"sesame": "<workers.claims>"}
    with pytest.raises(ConfigError, match=r"workers\.claims is a path or a url: give one of them"):
        load(PARROT + "rooms: every\nworkers: {claims: {path: a, url: redis://b}}\n")
    with pytest.raises(ConfigError, match=r"workers\.claims\.url is no address of a Redis: write it as"):
        load(PARROT + "rooms: every\nworkers: {claims: {url: 'http://b'}}\n")


def test_replicas_on_ray_are_shown() -> None:
    config = load(PARROT + "rooms: every\nray: {max_replicas: 8, target: 40}\n")
    assert config.ray == RaySettings(max_replicas=8, target=40)
    assert "ray       1 to 8 replicas of 40 calls, 0.5 cores each, drain 3600" in describe_rooms(config)


def test_short_forms() -> None:
    config = load(PARROT + "rooms: every\nworkers: 3\napi: 8080\n")
    assert config.rooms == (RoomRule("agent", every=True),)
    assert config.workers.processes == 3
    assert config.api == ApiSettings(port=8080)
    assert load(PARROT + "rooms: {create: 1}\n").rooms == (RoomRule("agent", create=1),)


FISHJAM = "fishjam: {id: http://127.0.0.1:1, management_token: t}\n"


@pytest.mark.parametrize(
    ("shard", "settings"),
    [
        ("{index: 2, count: 3}", ShardSettings("2", 3)),
        ('{index: "${HOSTNAME}", count: 3, takeover: null}', ShardSettings("bots-1", 3, None)),
        ("{index: 0, count: '${REPLICAS}', takeover: 30}", ShardSettings("0", 4, 30.0)),
        ("2/3", ShardSettings("2", 3)),
        ('"${HOSTNAME}/${REPLICAS}"', ShardSettings("bots-1", 4)),
    ],
)
def test_the_shard_of_a_machine(shard: str, settings: ShardSettings) -> None:
    Path("config.yaml").write_text(FISHJAM + PARROT + f"rooms: every\nworkers: {{shard: {shard}}}\n")
    config = load_config("config.yaml", {"HOSTNAME": "bots-1", "REPLICAS": "4"})
    assert config.workers.shard == settings
    assert f"shard {settings.number} of {settings.count}" in "\n".join(describe_rooms(config))


def test_a_file_about_one_room_is_about_one_room() -> None:
    config = load(PARROT)
    assert not config.is_multi_room
    assert config.bot("agent") is config
    assert load(PARROT + "api:\n").api is None


def test_each_bot_is_made_of_its_own_section() -> None:
    config = load(BOTS + "rooms: {every: true, bot: poet}\n")
    backends = {name: pipeline_factory(config.bot(name))().backend for name in config.bot_names()}
    assert backends == {"poet": Parrot(delay=1), "clerk": Parrot()}
    assert any(
        "parrot" in line for line in describe(config.bot("poet"), pipeline_factory(config.bot("poet"))())
    )


def test_what_is_wrong_with_a_bot_is_told_under_its_own_key() -> None:
    config = load("bots:\n  poet:\n    backend: {type: parrot}\n    tools: no_such:tool\nrooms: every\n")
    with pytest.raises(ConfigError, match=r"^config\.yaml:4: bots\.poet\.tools: there is no module no_such"):
        pipeline_factory(config.bot("poet"))


def test_what_needs_one_bot_says_so() -> None:
    with pytest.raises(ConfigError, match=r"^config\.yaml:1: the file has several bots \(poet or clerk\)"):
        pipeline_factory(load(BOTS + "rooms: {every: true, bot: poet}\n"))


MISTAKES = {
    BOTS + "rooms: [{every: true}]": "config.yaml:4: rooms[0].bot is missing: use poet or clerk",
    BOTS + "rooms: [{every: true, bot: pet}]": (
        "config.yaml:4: rooms[0].bot 'pet' is none of bots: did you mean poet?"
    ),
    BOTS + "rooms: [{bot: poet}]": (
        "config.yaml:4: rooms[0] fits no room: add id, create, type, peer, or every: true"
    ),
    BOTS + "rooms: [{bot: poet, create: 1, type: conference}]": (
        "config.yaml:4: rooms[0] has both create and type: make two entries of it"
    ),
    BOTS + "fishjam: {id: http://h, management_token: t}\nrooms: [{bot: poet, every: true, id: x}]": (
        "config.yaml:5: rooms[0] has both every and id: keep one of them"
    ),
    BOTS + "rooms: [{bot: poet, create: 0}]": (
        "config.yaml:4: rooms[0].create must be 1 or more rooms, not 0"
    ),
    PARROT + "rooms: [{every: true}, {id: lobby}]": (
        "config.yaml:2: rooms[1].id names a room, but a local Fishjam starts without any: use create, or set "
        "fishjam.id"
    ),
    BOTS + "rooms: none": "config.yaml:4: rooms must be a list of rules, or every, not 'none'",
    BOTS: (
        "config.yaml:1: the file has bots, and nothing that brings a bot into a room: add rooms "
        "(`rooms: every`) or api"
    ),
    PARROT + "workers: 2": (
        "config.yaml:2: the file has workers, and nothing that brings a bot into a room: add rooms "
        "(`rooms: every`) or api"
    ),
    PARROT + "room: {create: true}\nrooms: every": (
        "config.yaml:2: the file has both room and rooms: make room an entry of rooms"
    ),
    PARROT + "room: {create: true}\napi: 8081": (
        "config.yaml:2: a file with api is about many rooms: make room an entry of rooms"
    ),
    PARROT + BOTS + "rooms: {every: true, bot: poet}": (
        "config.yaml:1: the file has both agent and bots: make agent an entry of bots"
    ),
    "bots: {a.b: {backend: {type: parrot}}}\nrooms: every": (
        "config.yaml:1: bots has the name 'a.b': use one without dots"
    ),
    "bots: {}\nrooms: every": (
        "config.yaml:1: bots is empty: write {parrot: {backend: {type: parrot}}} in it"
    ),
    "bots: {a: {}}\nrooms: every": (
        "config.yaml:1: bots.a has neither backend nor pipeline: write {backend: {type: parrot}} in it"
    ),
    PARROT + "rooms: every\napi: {host: 0.0.0.0}": (
        "config.yaml:3: api.host 0.0.0.0 can be reached from other machines: set api.token, too"
    ),
    PARROT + "ray: {target: 5}": (
        "config.yaml:2: the file has ray, and nothing that brings a bot into a room: add rooms "
        "(`rooms: every`) or api"
    ),
    PARROT + "rooms: every\nray: {min_replicas: 3, max_replicas: 2}": (
        "config.yaml:3: ray.max_replicas must be at least ray.min_replicas (3), not 2"
    ),
    PARROT + "rooms: every\nray: {cpus: 0}": "config.yaml:3: ray.cpus must be positive, not 0",
    PARROT + "rooms: every\nray: {target: 20}\nworkers: {max_calls: 20}": (
        "config.yaml:4: workers.max_calls is 20, with which no replica gets beyond ray.target (20) and there "
        "are never more of them: raise one, or lower the other"
    ),
    PARROT + "rooms: every\nworkers: 0": (
        "config.yaml:3: workers.processes must be between 1 and 256, not 0"
    ),
    FISHJAM + PARROT + "rooms: every\nworkers: {shard: 3/3}": (
        "config.yaml:4: workers.shard.index must be between 0 and 2, since count is 3, not 3"
    ),
    FISHJAM + PARROT + "rooms: every\nworkers: {shard: {index: laptop, count: 3}}": (
        "config.yaml:4: workers.shard.index laptop does not end with a number: use one from 0 to 2, or the "
        "name of a StatefulSet's pod, as bots-2"
    ),
    FISHJAM + PARROT + "rooms: every\nworkers: {shard: bots-1}": (
        "config.yaml:4: workers.shard.count is missing: give it"
    ),
    FISHJAM + PARROT + "rooms: every\nworkers: {shard: 0/0}": (
        "config.yaml:4: workers.shard.count must be between 1 and 1000, not 0"
    ),
    FISHJAM + PARROT + "rooms: every\nworkers: {shard: {index: 0, count: 2, takeover: 0}}": (
        "config.yaml:4: workers.shard.takeover must be a positive number of seconds, not 0"
    ),
    FISHJAM + PARROT + "rooms: every\nworkers: {shard: 0/many}": (
        "config.yaml:4: workers.shard.count must be a whole number, not 'many'"
    ),
    PARROT + "rooms: every\nworkers: {shard: 0/2}": (
        "config.yaml:3: workers.shard is for machines that share a Fishjam: set fishjam.id"
    ),
    FISHJAM + PARROT + "rooms: {create: 2}\nworkers: {shard: 0/2}": (
        "config.yaml:3: rooms[0].create would make rooms on each machine of workers.shard: make them in your "
        "application"
    ),
}


@pytest.mark.parametrize(("text", "sentence"), MISTAKES.items(), ids=list(MISTAKES.values()))
def test_a_mistake_is_told_with_file_line_and_key(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert str(caught.value) == sentence
