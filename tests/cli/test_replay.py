from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends import Parrot
from fishjam_agents.errors import ConfigError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.simulation import simulate_fast
from fishjam_agents.testing import replay_events
from fishjam_agents.turns.endpointing import Fixed
from fishjam_agents.turns.policies import BargeInPolicy
from fishjam_agents.turns.settings import TurnSettings

from .command import command

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


class Bot(AgentPipeline):
    backend = Parrot()


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A caller who asks, with a pause of 400 ms in the middle of the question."""
    path = tmp_path_factory.mktemp("replay") / "call.jsonl"
    path.write_text(simulate_fast(Bot(), [read_wav(FIXTURES / "alice_pause.wav")]).record)
    return path


def test_the_same_settings_give_the_same_events(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(capsys, "replay", record)
    assert code == 0
    assert out.splitlines()[-1].startswith("The same settings give the same ")


def test_another_setting_shows_what_would_have_been_different(
    record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = command(capsys, "replay", record, "--set", "turns.end_silence=1.5")
    assert code == 0
    lines = out.splitlines()
    assert "turns.end_silence: 1.5 in place of the default rule" in lines
    assert any(line.startswith("~ ") and "user_turn_ended" in line and "ms later" in line for line in lines)
    assert any("events in the call" in line for line in lines)


def test_a_setting_that_changes_nothing_says_so(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(capsys, "replay", record, "--set", "agent.turns.max_turn = 90")
    assert code == 0
    assert "0 differ" in out


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (
            "turns.end_of_turn=1.5",
            "turns.end_of_turn: fixed, 1.5 s in place of adaptive, ",
        ),
        (
            "turns.end_of_turn.type=per_speaker",
            "turns.end_of_turn: adaptive per speaker, 0.5 to 0.9 s",
        ),
        ("turns.barge_in.voice=0.6", "turns.barge_in: 0.6 s of voice at least in place of nothing"),
    ],
)
def test_policies_are_set_as_in_a_config(
    record: Path, capsys: pytest.CaptureFixture[str], change: str, shown: str
) -> None:
    code, out, err = command(capsys, "replay", record, "--set", change)
    assert (code, err) == (0, "")
    assert shown in out


@dataclass(frozen=True)
class Patient(BargeInPolicy):
    def allows(self, sound: object) -> bool:
        return False


def test_a_policy_of_ones_own_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bot = Bot()
    bot.turns = TurnSettings(barge_in=(Patient(),))
    path = tmp_path / "call.jsonl"
    path.write_text(simulate_fast(bot, [read_wav(FIXTURES / "interrupter.wav")]).record)
    code, _, err = command(capsys, "replay", path)
    assert code == 2
    assert "turns.barge_in was " in err
    assert "Patient()" in err
    assert "which no file can hold: set turns.barge_in" in err
    code, out, _ = command(capsys, "replay", path, "--set", "turns.barge_in.voice=0.1")
    assert code == 0
    assert "barge_in_confirmed" in out
    kinds = [event["kind"] for event in replay_events(path, turns={"barge_in": (Patient(),)})]
    assert "barge_in_withdrawn" in kinds
    assert "barge_in_confirmed" not in kinds


WRONG = [
    (("turns.owner=local",), "turns.owner is now turns.mode: rename it"),
    (("turns.end_silnce=1",), "turns.end_silnce is not a setting: did you mean end_silence?"),
    (("turns.end_silence=soon",), "turns.end_silence must be a number, not 'soon'"),
    (("turns.end_silence=99",), "turns.end_silence must be between 0.1 and 10 seconds, not 99"),
    (("end_silence=1",), "'end_silence=1' is no setting of turn-taking: write turns.end_silence=0.8"),
    (("turns.end_silence",), "'turns.end_silence' is no setting of turn-taking"),
    (("hearing.mode=mix",), "'hearing.mode=mix' is no setting of turn-taking"),
    (("turns.preset=noisy",), "turns.preset cannot be replayed: it decides what is heard"),
    (("turns.pre_roll=0.1",), "turns.pre_roll cannot be replayed: the turn machine does not know it"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_what_cannot_be_set_is_named(
    record: Path, capsys: pytest.CaptureFixture[str], changes: tuple[str, ...], message: str
) -> None:
    code, out, err = command(
        capsys, "replay", record, *(word for change in changes for word in ("--set", change))
    )
    assert code == 2
    assert not out
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_crashed_calls_record_is_replayed_and_says_so(
    record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crashed = tmp_path / "crashed.jsonl"
    crashed.write_bytes(record.read_bytes()[:-300])
    code, out, _ = command(capsys, "replay", crashed)
    assert code == 0
    assert "The record stops before the end of its call" in out
    assert "Its last line was written in part and is left out." in out


def test_events_that_are_not_reproduced_are_shown_and_exit_with_1(
    record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    for line in lines:
        line.pop("events", None)
    other = tmp_path / "other.jsonl"
    other.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, out, _ = command(capsys, "replay", other)
    assert code == 1
    assert any(line.startswith("+ ") and "user_turn_ended" in line for line in out.splitlines())


def test_a_file_that_is_no_record_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = command(capsys, "replay", FIXTURES / "fixtures.json")
    assert code == 2
    assert "this is no record of a call: give a call.jsonl" in err


def test_a_record_becomes_a_test(record: Path) -> None:
    events = replay_events(record)
    (ended,) = [event for event in events if event["kind"] == "user_turn_ended"]
    assert ended["reason"] == "silence"
    assert ended["peer"] == "caller-1"
    assert ended["start"] < ended["media_at"] < ended["at"]
    cut = replay_events(record, turns={"end_silence": 0.3})
    assert [event["kind"] for event in cut].count("user_turn_ended") > 1
    longer = replay_events(record, turns={"end_of_turn": Fixed(1.5)})
    assert [event["at"] for event in longer if event["kind"] == "user_turn_ended"] > [ended["at"]]
    assert replay_events(record, peer="bob") == []
    for wrong in ({"end_silnce": 1.0}, {"end_silence": 99.0}, {"end_silence": "x"}, {"preset": "noisy"}):
        with pytest.raises(ConfigError, match=r"^turns\."):
            replay_events(record, turns=wrong)
