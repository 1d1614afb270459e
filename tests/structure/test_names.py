"""Names that were given up stay so. This is their only trace, beside the keys that config.yaml refuses."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("fishjam_agents", "integrations", "bench", "quality", "examples", "tests", "audio_fixtures")
CODE = [
    file
    for folder in FOLDERS
    for file in sorted((ROOT / folder).rglob("*.py"))
    if not {"generated", ".venv", "structure"} & set(file.parts)
]
PAGES = [
    file
    for pattern in ("*.md", "docs/*.md", "examples/**/*.md", "examples/**/*.yaml", "integrations/**/*.md")
    for file in sorted(ROOT.glob(pattern))
    if ".venv" not in file.parts
]

MODULES = {
    "fishjam_agents": """
        audio.dips backends.bugs backends.entries backends.happenings backends.cascade.fallbacks
        backends.cascade.parts backends.cascade.questions backends.cascade.speaking
        backends.cascade.speculation backends.cascade.thoughts backends.fallback.exchange
        backends.fallback.feed backends.fallback.speaker backends.fallback.standing backends.fallback.tenure
        cli.performance fishjam.endpoint observe.parts observe.words observe.replay.words
        pipeline.background pipeline.backend_owner pipeline.crosstalk pipeline.ears pipeline.eyes
        pipeline.offers pipeline.on_air pipeline.owners pipeline.per_peer pipeline.push_to_talk
        pipeline.questions pipeline.roster pipeline.sessions pipeline.silence pipeline.speech
        pipeline.waiting playout.bed playout.voice server.gate simulation.cues simulation.mouth
        testing.likeness testing.moments testing.conformance.asides testing.conformance.far_side
        testing.conformance.parts testing.conformance.parts_checks testing.conformance.parts_suites
        testing.conformance.rig turns.recorded worker.ending worker.guest worker.leftovers
        worker.possessions
    """,
    "integrations/gemini/fishjam_agents_gemini": "continuity departure transcripts waiting",
    "integrations/openai/fishjam_agents_openai": """
        emulator.flavours emulator.hearing emulator.line emulator.speaking realtime.questions realtime.waiting
    """,
}
"""By package; a module that comes back is one that nobody would find under its new name."""

_NAMES = """
    AudioEndedEntry AudioEntry ControlEntry ImageEntry InterruptEntry QuestionEntry TextEntry ToolResultEntry
    TurnCancelledEntry TurnEndedEntry TurnPausedEntry TurnResumedEntry TurnStartedEntry UpdateEntry

    BackendOwner LocalOwner PeerOwners PushToTalkOwner Verdicts Ears Eyes Roster RoomGuest
    Farewell Handover Renewal RENEWED Tenure Standings Fallbacks PartError Speculation Thoughts
    SilenceSettings SilenceWatch VoiceListener VoiceSettings BackgroundSettings BedState
    Leftovers Placement Cues Mouth FarSide PartFarSide PartAlone Rig ToolDesk UserWords Departure Flavour
    FLAVOURS ReplyTimed Switched UserAway

    check_words far_side furnish forgo likeness_of mute_bed name_of on_air on_user_away orphaned possession
    pump_bed roster send_bed stand_in stand_in_after verify_offers voice_failed weighing

    reply_timed switched user_away
"""
NAMES = frozenset(_NAMES.split())
"""Classes, functions, attributes and kinds of events; nothing else may be called so."""

QUALIFIED = {
    "fishjam_agents/backends": """
        Basis Conversation Exchange Feed Means Part Requested Speaker Speaking Spent Standing Thought Warning
    """,
    "fishjam_agents/cli": "Performance Stage",
    "fishjam_agents/config": "Given Place",
    "fishjam_agents/pipeline": "Buttons Owner Questions Speech Words Room",
    "fishjam_agents/playout": "Bed Voice",
    "fishjam_agents/server": "Ear Gate",
    "fishjam_agents/testing": "Moment",
    "fishjam_agents/turns": "Tape Tapes",
    "fishjam_agents/worker": "Ending Guest",
    "integrations/gemini/fishjam_agents_gemini": "Continuity Said Waiting",
    "integrations/openai/fishjam_agents_openai": "Hearing Line Waiting",
}
"""Classes that were given up in one package; elsewhere the word may be the right one."""

KEYS = {
    r"turns: *\{[^}]*\bowner:": "turns.mode",
    r"turns\.owner": "turns.mode",
    r"agent\.silence|silence: *\{ *away": "agent.idle",
    r"agent\.voice\b|voice: *\{ *(background|thinking)": "agent.background_audio",
}


def names(file: Path) -> set[str]:
    """Names a module defines or uses, and those of its texts that could be one."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.arg | ast.keyword) and node.arg is not None:
            found.add(node.arg)
        elif isinstance(node, ast.alias):
            found |= {node.name, node.name.rpartition(".")[2]}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            found.add(node.value)
    return found


def old_names_in(file: Path) -> set[str]:
    return {name for name in names(file) if name.lstrip("_") in NAMES}


def test_code_uses_no_name_that_was_given_up() -> None:
    assert len(CODE) > 500
    found = {str(file.relative_to(ROOT)): old for file in CODE if (old := old_names_in(file))}
    assert found == {}


@pytest.mark.parametrize("package", QUALIFIED)
def test_a_package_has_no_class_under_a_name_that_was_given_up_there(package: str) -> None:
    defined = {
        f"{file.relative_to(ROOT)}: {node.name}"
        for file in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef) and node.name in QUALIFIED[package].split()
    }
    assert defined == set()


@pytest.mark.parametrize("package", MODULES)
def test_no_module_has_a_name_that_was_given_up(package: str) -> None:
    folder = ROOT / package
    assert folder.is_dir()
    for name in MODULES[package].split():
        path = folder / name.replace(".", "/")
        assert not path.with_suffix(".py").exists(), f"{package}: {name}"
        assert not (path / "__init__.py").exists(), f"{package}: {name}"


def test_pages_and_examples_use_no_key_event_or_class_that_was_given_up() -> None:
    assert len(PAGES) > 20
    found = []
    for page in PAGES:
        text = page.read_text()
        found += [f"{page.name}: {key} is now {new}" for key, new in KEYS.items() if re.search(key, text)]
        code = re.findall(r"`([A-Za-z_.]+)(?:\(\))?`", text)
        found += [f"{page.name}: {name}" for name in code if name.rpartition(".")[2] in NAMES]
    assert found == []


def test_an_old_name_is_found_wherever_code_may_have_it(tmp_path: Path) -> None:
    file = tmp_path / "old.py"
    for code in (
        "from fishjam_agents import Switched",
        "class _Roster: pass",
        "call.on_air()",
        "say(stand_in=1)",
        "kind = 'user_away'",
        "def f(far_side): pass",
    ):
        file.write_text(code)
        assert old_names_in(file), code
    file.write_text("text = 'the switched line of the roster'")
    assert old_names_in(file) == set()
